"""The one typed source of the configuration: its keys, defaults, schema and checks.

``config.yaml`` repeats the defaults with comments; ``workflow/schemas/config.schema.json`` is generated from
here (``python -m serflow.config > workflow/schemas/config.schema.json``). Tests fail when either drifts.
"""

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from serflow.backbones.base import backbone_names, releases
from serflow.corpora.base import corpus_names, load_corpus
from serflow.errors import ConfigError, CorpusError
from serflow.folders import is_file, is_folder
from serflow.noise.published import ADDRESS, LICENCE
from serflow.plugins import plugin_names
from serflow.studies.dlc.catalog import method_info

SYNTHETIC = "synthetic"
STAND_IN = "stand-in"
DOWNLOAD = "download"
CLEAN = "clean"
_NAME = r"^[a-z][a-z0-9_]*$"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableOptions(_Section):
    """How to read a folder with a table of labels (layout ``table``)."""

    table: str
    audio: str
    columns: dict[str, str]
    emotions: dict[str, str] = {}
    language: str | None = None
    published: dict[str, int] | None = None


class CorpusConfig(_Section):
    """One corpus: where it lies and how it is read."""

    root: str | None = None
    allow_partial: bool = False
    shards: int | None = Field(default=None, ge=1, le=9999)
    layout: str | None = None
    title: str | None = None
    language: str | None = None
    options: TableOptions | None = None


class AudioConfig(_Section):
    """What passes the door for audio files."""

    min_duration_s: float = Field(default=0.1, gt=0)
    shard_size: int = Field(default=512, ge=1)


class SyntheticConfig(_Section):
    """Size and planted effects of the stand-in corpora."""

    utterances: int = Field(default=200, ge=40)
    seed: int = 0
    emotion_strength: float = Field(default=1.0, ge=0)
    speaker_bias: float = Field(default=1.0, ge=0)
    scatter: float = Field(default=1.0, ge=0)


class Esc50Config(_Section):
    """Where ESC-50 lies."""

    root: str = SYNTHETIC
    allow_partial: bool = False


class ProfileConfig(_Section):
    """SNR (dB) of each type of noise in a profile."""

    natural: float
    interior: float
    human: float


class NoiseConfig(_Section):
    """Noise overlay (DLC paper, section III-B)."""

    esc50: Esc50Config = Esc50Config()
    mixing: Literal["snr", "authors_gain"] = "snr"
    clips: Literal["shared", "by_fold"] = "shared"
    seed: int = 0
    profiles: dict[str, ProfileConfig] = {
        "h1": ProfileConfig(natural=-5, interior=-20, human=-20),
        "h2": ProfileConfig(natural=-20, interior=-1, human=-5),
        "h3": ProfileConfig(natural=-5, interior=-30, human=-10),
    }


class BackboneConfig(_Section):
    """Where the weights of a pretrained network come from, and how it is run."""

    weights: str = Field(default=STAND_IN, min_length=1)
    release: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"


class DeepSpeechConfig(_Section):
    """DeepSpeech's library, fetched where None, and how it decodes; None is what the model or the scorer says."""

    engine: str | None = Field(default=None, min_length=1)
    beam_width: int | None = Field(default=None, ge=1)
    lm_alpha: float | None = None
    lm_beta: float | None = None

    @model_validator(mode="after")
    def _weights_in_pairs(self) -> "DeepSpeechConfig":
        if (self.lm_alpha is None) != (self.lm_beta is None):
            raise ValueError("lm_alpha and lm_beta belong together: give both, or neither for the scorer's own")
        return self


class TranscriptsConfig(_Section):
    """Speech recognition."""

    deepspeech: DeepSpeechConfig = DeepSpeechConfig()


class StoresConfig(_Section):
    """How feature stores are written."""

    mantissa_bits: int | None = Field(default=None, ge=1, le=23)


class DlcModelConfig(_Section):
    """Encoder, decoder and classifier (DLC paper, section IV-A)."""

    maps: int = Field(default=128, ge=1)
    kernel: int = Field(default=16, ge=1)
    dilations: list[int] = Field(default=[1, 2, 4], min_length=1)
    pool: Literal[1, 2, 4] = 4
    hidden: int = Field(default=128, ge=1)
    instance_norm: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)


class DlcTrainingConfig(_Section):
    """Training (DLC paper, section V)."""

    optimizer: Literal["adam", "adadelta"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    batch_size: int = Field(default=32, ge=1)
    max_epochs: int = Field(default=1000, ge=1)
    patience: int = Field(default=10, ge=1)
    reconstruction_weight: float = Field(default=1.0, ge=0)
    class_weights: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"


class DlcAdversaryConfig(_Section):
    """Adversary behind a gradient reversal, in DANN and DSN."""

    weight: float = Field(default=1.0, ge=0)
    ramp_epochs: int = Field(default=10, ge=1)


class DlcMaddogConfig(_Section):
    """MADDoG's critic."""

    weight: float = Field(default=0.1, ge=0)
    critic_batches: int = Field(default=5, ge=1)
    clip: float = Field(default=0.01, gt=0)


class DlcDsnConfig(_Section):
    """Weights of DSN's losses (alpha, gamma, delta of the DLC paper, figure 3)."""

    reconstruction: float = Field(default=0.01, ge=0)
    similarity: float = Field(default=0.25, ge=0)
    difference: float = Field(default=0.075, ge=0)
    task_code: Literal["shared", "combined"] = "shared"


class DlcStandInConfig(_Section):
    """What a synthetic corpus gets instead of the settings above it."""

    seeds: list[int] = Field(default=[0], min_length=1)
    maps: int = Field(default=16, ge=1)
    max_epochs: int = Field(default=4, ge=1)


class DlcConfig(_Section):
    """Table I of the DLC paper."""

    corpora: list[str] = Field(default=["msp_improv", "iemocap", "mosei"], min_length=1)
    profiles: list[str] = Field(default=["h1", "h2", "h3"], min_length=1)
    methods: list[str] = Field(
        default=[
            "single", "moe_slc", "moe_dlc", "dann", "maddog", "dsn_slc", "dsn_dlc", "hffn_single", "hffn_moe_dlc",
            "hffn_dsn_dlc",
        ],
        min_length=1,
    )  # fmt: skip
    controls: list[Literal["oracle_gate", "single_wide", "single_shuffled", "chance", "majority"]] = []
    feature: str = "mfb"
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    split: Literal["dialogue", "speaker"] = "dialogue"
    iemocap_labels: Literal["merged", "hap_only"] = "merged"
    asr: Literal["deepspeech", "wav2vec2", "reference"] = "deepspeech"
    hffn: Literal["end_to_end", "staged"] = "end_to_end"
    model: DlcModelConfig = DlcModelConfig()
    training: DlcTrainingConfig = DlcTrainingConfig()
    adversary: DlcAdversaryConfig = DlcAdversaryConfig()
    maddog: DlcMaddogConfig = DlcMaddogConfig()
    dsn: DlcDsnConfig = DlcDsnConfig()
    stand_in: DlcStandInConfig = DlcStandInConfig()

    @field_validator("corpora", "profiles", "methods", "controls", "seeds")
    @classmethod
    def _no_repeats(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) != len(values):
            raise ValueError("an entry stands there twice")
        return values


_PUBLISHED_CORPORA = ("iemocap", "msp_improv", "mosei", "emodb", "cafe", "ravdess", "crema_d")
_BACKBONES = ("ge2e", "byol", "wav2vec", "wav2vec2", "allosaurus", "deepspeech", "wav2vec2_ctc", "bert")
# networks behind `dlc.asr`; `reference` needs none
_RECOGNISERS = {"deepspeech": "deepspeech", "wav2vec2": "wav2vec2_ctc"}
_TRAINED_CONTROLS = ("single_wide", "single_shuffled")
TEXT_FEATURE = "bert_"
_LOG_MEL_30 = {
    "n_mels": 30,
    "n_fft": 1024,
    "win_length": 800,
    "hop_length": 200,
    "fmin": 0.0,
    "fmax": 8000.0,
    "floor": 1e-6,
}
_FEATURES: dict[str, dict[str, Any]] = {
    "mfb": {
        "n_mels": 40, "n_fft": 2048, "hop_length": 160, "preemphasis": 0.97, "fmin": 0.0, "fmax": 8000.0, "floor": 1e-6,
    },
    "mfcc": {
        "n_mfcc": 40, "n_mels": 128, "n_fft": 512, "win_length": 400, "hop_length": 160, "fmin": 0.0, "fmax": 8000.0,
        "cmvn": True,
    },
    "mfcc_kaldi": {
        "n_mfcc": 13, "n_mels": 23, "frame_length_ms": 25.0, "frame_shift_ms": 10.0, "low_hz": 20.0, "high_hz": 8000.0,
        "lifter": 22.0, "preemphasis": 0.97, "delta_order": 2, "delta_window": 2,
    },
    "energy_vad": {
        "threshold": 5.5, "mean_scale": 0.5, "context": 2, "proportion": 0.12, "frame_length_ms": 25.0,
        "frame_shift_ms": 10.0,
    },
    "spectrogram": {**_LOG_MEL_30, "warp": 0.0},
    "pitch_pulse": {"floor_hz": 75.0, "ceiling_hz": 600.0, **_LOG_MEL_30},
    "wav2vec": {"backbone": "wav2vec", "output": "context"},
    "wav2vec_encoder": {"extractor": "wav2vec", "backbone": "wav2vec", "output": "encoder"},
    "wav2vec2": {"backbone": "wav2vec2", "output": "hidden", "layer": -1},
    "ge2e": {"backbone": "ge2e", "output": "embedding"},
    "ge2e_partials": {"extractor": "ge2e", "backbone": "ge2e", "output": "partials"},
    "byol": {"backbone": "byol", "output": "vector"},
    "allosaurus": {"backbone": "allosaurus", "output": "blstm"},
}  # fmt: skip


class Config(_Section):
    """Everything a user may change."""

    data_root: str = "."
    corpora: dict[str, CorpusConfig] = {name: CorpusConfig(root=SYNTHETIC) for name in _PUBLISHED_CORPORA}
    audio: AudioConfig = AudioConfig()
    synthetic: SyntheticConfig = SyntheticConfig()
    noise: NoiseConfig = NoiseConfig()
    features: dict[Annotated[str, Field(pattern=_NAME)], dict[str, Any]] = _FEATURES
    backbones: dict[str, BackboneConfig] = {name: BackboneConfig() for name in _BACKBONES} | {
        "ge2e": BackboneConfig(weights=DOWNLOAD)
    }
    transcripts: TranscriptsConfig = TranscriptsConfig()
    stores: StoresConfig = StoresConfig()
    dlc: DlcConfig = DlcConfig()

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        for name in self.dlc.corpora:
            if name not in self.corpora:
                raise ValueError(_unknown(f"dlc.corpora: {name!r} is not in corpora", name, self.corpora))
        for name in self.dlc.profiles:
            if name not in self.noise.profiles:
                raise ValueError(
                    _unknown(f"dlc.profiles: {name!r} is not in noise.profiles", name, self.noise.profiles)
                )
        for name in self.features:
            self._check_feature(name)
        for name, backbone in self.backbones.items():
            if name not in backbone_names():
                raise ValueError(_unknown(f"backbones: no backbone {name!r}", name, backbone_names()))
            known = list(releases(name))
            if backbone.release is not None and backbone.release not in known:
                raise ValueError(
                    _unknown(f"backbones.{name}.release: no release {backbone.release!r}", backbone.release, known)
                )
        for name in self.dlc.methods:
            known = plugin_names("serflow.studies.dlc.methods")
            if name not in known:
                raise ValueError(_unknown(f"dlc.methods: no method {name!r}", name, known))
        if self.dlc.feature not in self.features:
            raise ValueError(
                _unknown(f"dlc.feature: {self.dlc.feature!r} is not in features", self.dlc.feature, self.features)
            )
        for name, corpus in self.corpora.items():
            layout = corpus.layout or name
            if name in _PUBLISHED_CORPORA and layout != name:
                raise ValueError(
                    f"corpora.{name}: this name is kept for the published corpus; give yours (layout {layout}) another"
                )
            if layout not in corpus_names():
                raise ValueError(
                    _unknown(
                        f"corpora.{name}: no layout {layout!r}; for a corpus of your own set `layout: table`",
                        layout,
                        corpus_names(),
                    )
                )
            if layout == "table" and (corpus.options is None or corpus.root == SYNTHETIC):
                raise ValueError(f"corpora.{name}: layout `table` needs a root and `options` (see config.yaml)")
        self._check_languages()
        return self

    def _check_feature(self, name: str) -> None:
        extractor, backbone, known = self.extractor(name), self.backbone(name), plugin_names("serflow.features")
        if extractor not in known:
            where = f"features.{name}.extractor" if "extractor" in self.features[name] else "features"
            raise ValueError(_unknown(f"{where}: no feature {extractor!r}", str(extractor), known))
        if name.startswith(TEXT_FEATURE):
            raise ValueError(f"features.{name}: names with {TEXT_FEATURE!r} are those of embedded transcripts")
        if backbone is not None and backbone in backbone_names("recogniser", "text"):
            raise ValueError(f"features.{name}.backbone: {backbone!r} gives no feature of audio")
        if backbone is not None and backbone not in self.backbones:
            raise ValueError(
                _unknown(
                    f"features.{name}.backbone: {backbone!r} is not in backbones", str(backbone), list(self.backbones)
                )
            )

    def _check_languages(self) -> None:
        if self.dlc.asr == "reference":
            return
        for corpus in self.dlc_multimodal_corpora():
            if self.corpora[corpus].root is not None and self.language(corpus) != "en":
                raise ValueError(
                    f"dlc.asr: {self.dlc.asr} knows English, and {corpus} is in {self.language(corpus)!r}; take "
                    "`reference`, or leave the HFFN methods out of dlc.methods"
                )

    # What the rules ask

    def extractor(self, feature: str) -> str:
        """Return the module that computes this feature: the one of its name, or of its ``extractor``."""
        return str(self.features[feature].get("extractor", feature))

    def backbone(self, feature: str) -> str | None:
        """Return the backbone that this feature needs, or None."""
        name = self.features[feature].get("backbone")
        return None if name is None else str(name)

    def parameters(self, feature: str) -> dict[str, Any]:
        """Return what the feature's module is built with."""
        return {key: value for key, value in self.features[feature].items() if key not in ("extractor", "backbone")}

    def weights_path(self, backbone: str) -> Path | None:
        """Return the file or folder that a backbone's weights are read from, or None where the workflow gets them."""
        weights = self.backbones[backbone].weights
        return None if weights in (STAND_IN, DOWNLOAD) else Path(self.data_root) / Path(weights).expanduser()

    def conditions(self) -> list[str]:
        """Return the conditions that a feature is extracted in: clean, and every noise profile."""
        return [CLEAN, *self.noise.profiles]

    def feature_stores(self) -> list[tuple[str, str, str]]:
        """Return feature, corpus and condition of every store that this configuration names."""
        corpora = [name for name, corpus in self.corpora.items() if corpus.root is not None]
        return [
            (feature, corpus, condition)
            for feature in self.features
            for corpus in corpora
            for condition in self.conditions()
        ]

    def layout(self, corpus: str) -> str:
        """Return the layout that reads this corpus."""
        return self.corpora[corpus].layout or corpus

    def title(self, corpus: str) -> str:
        """Return the name of the corpus in tables."""
        return self.corpora[corpus].title or load_corpus(self.layout(corpus)).info.title

    def language(self, corpus: str) -> str:
        """Return the ISO 639-1 code of the corpus's language."""
        return self.corpora[corpus].language or load_corpus(self.layout(corpus)).info.language

    def is_synthetic(self, corpus: str) -> bool:
        """Say whether a stand-in takes this corpus's place."""
        return self.corpora[corpus].root == SYNTHETIC

    def root(self, corpus: str) -> Path:
        """Return the folder of the corpus.

        Raises
        ------
        ConfigError
            If the corpus has no root.
        """
        root = self.corpora[corpus].root
        if root is None:
            raise ConfigError(f"corpora.{corpus}.root is null: set it to the folder of {self.title(corpus)}")
        if root == SYNTHETIC:
            return Path("resources/synthetic") / corpus
        return Path(self.data_root) / Path(root).expanduser()

    def esc50_root(self) -> Path:
        """Return the folder of ESC-50."""
        root = self.noise.esc50.root
        if root == SYNTHETIC:
            return Path("resources/synthetic/esc50")
        return Path(self.data_root) / Path(root).expanduser()

    def n_shards(self, corpus: str) -> int:
        """Return the number of jobs that a corpus's audio is dealt to; needs no data."""
        settings = self.corpora[corpus]
        if settings.shards is not None:
            return settings.shards
        published = load_corpus(self.layout(corpus)).info.n_utterances
        if settings.options is not None and settings.options.published is not None:
            published = settings.options.published.get("total")
        size = self.synthetic.utterances if self.is_synthetic(corpus) else published
        return math.ceil(size / self.audio.shard_size) if size else 1

    def has_turns(self, corpus: str) -> bool:
        """Say whether the corpus's utterances have an order in dialogues."""
        options = self.corpora[corpus].options
        if options is not None:
            return {"dialogue", "turn"} <= options.columns.keys()
        return load_corpus(self.layout(corpus)).info.turns

    def recogniser_backbone(self, recogniser: str) -> str | None:
        """Return the network of a recogniser, or None for ``reference``."""
        return _RECOGNISERS.get(recogniser)

    def dlc_methods(self) -> list[str]:
        """Return the methods of the DLC study that are trained, controls among them."""
        return [*self.dlc.methods, *(name for name in self.dlc.controls if name in _TRAINED_CONTROLS)]

    def dlc_is_multimodal(self) -> bool:
        """Say whether a method of the DLC study needs text."""
        return any(method_info(name).modality == "multi" for name in self.dlc_methods())

    def dlc_multimodal_corpora(self) -> list[str]:
        """Return the corpora of the DLC study that multimodal methods are trained on, if there are such methods."""
        return [name for name in self.dlc.corpora if self.has_turns(name)] if self.dlc_is_multimodal() else []

    def dlc_method_corpora(self, method: str) -> list[str]:
        """Return the corpora that a method of the DLC study is trained on: a multimodal one where there are turns."""
        multimodal = method_info(method).modality == "multi"
        return self.dlc_multimodal_corpora() if multimodal else list(self.dlc.corpora)

    def dlc_seeds(self, corpus: str) -> list[int]:
        """Return the seeds that a corpus is run with in the DLC study."""
        return self.dlc.stand_in.seeds if self.is_synthetic(corpus) else self.dlc.seeds

    def dlc_options(self, corpus: str) -> dict[str, Any]:
        """Return labels, model and training settings of a corpus in the DLC study."""
        model, training = self.dlc.model.model_dump(), self.dlc.training.model_dump()
        if self.is_synthetic(corpus):
            model["maps"] = self.dlc.stand_in.maps
            training["max_epochs"] = self.dlc.stand_in.max_epochs
        return {
            "labels": self.dlc.iemocap_labels,
            "hffn": self.dlc.hffn,
            "model": model,
            "training": training,
            "adversary": self.dlc.adversary.model_dump(),
            "maddog": self.dlc.maddog.model_dump(),
            "dsn": self.dlc.dsn.model_dump(),
        }

    def dlc_departures(self, corpus: str) -> list[str]:
        """Say where a corpus's settings in the DLC study are not the paper's; for the comparison with its table."""
        options = self.dlc_options(corpus)
        here_and_paper = {
            "optimiser": (options["training"]["optimizer"], "adadelta"),
            "maps": (options["model"]["maps"], 128),
            "epochs at most": (options["training"]["max_epochs"], 1000),
            "batch size": (options["training"]["batch_size"], 32),
            "patience": (options["training"]["patience"], 10),
            "split by": (self.dlc.split, "dialogue"),
            "mixing": (self.noise.mixing, "snr"),
            "noise clips": (self.noise.clips, "shared"),
            "transcripts by": (self.dlc.asr, "deepspeech"),
            "HFFN": (self.dlc.hffn, "end_to_end"),
            "DSN reads the emotion from its code": (self.dlc.dsn.task_code, "shared"),
        }
        departures = [
            f"{key} {here}, the paper's {paper}" for key, (here, paper) in here_and_paper.items() if here != paper
        ]
        for name, profile in NoiseConfig().profiles.items():
            if name in self.dlc.profiles and self.noise.profiles[name] != profile:
                departures.append(f"SNRs of {name} are not the paper's")
        return departures

    def absent_corpus(self, corpus: str, files: Sequence[Path] = ()) -> str | None:
        """Say that a corpus is not there, where it comes from and what to write; None where it is there.

        ``files`` are the configuration files in the order they were merged; they give the line to change.
        """
        line = _key_line(files, ["corpora", corpus, "root"])
        try:
            root = self.root(corpus)
        except ConfigError as error:
            return f"{line}{error}"
        if self.is_synthetic(corpus) or is_folder(root):
            return None
        info = load_corpus(self.layout(corpus)).info
        without = f"take {corpus} out of `dlc: corpora:`" if corpus in self.dlc.corpora else "`root: null`"
        return (
            f"{line}corpora.{corpus}.root: no folder {root}\n"
            f"  {self.title(corpus)} comes from {info.address} ({info.licence}).\n"
            f"  Set `corpora: {{{corpus}: {{root: /path/to/it}}}}`, or `root: synthetic` for a stand-in,\n"
            f"  or {without} to go on without it."
        )

    def absent_esc50(self, files: Sequence[Path] = ()) -> str | None:
        """Say that ESC-50 is not there and what to write; None where it is there, or a stand-in is."""
        if self.noise.esc50.root == SYNTHETIC or is_folder(self.esc50_root()):
            return None
        return (
            f"{_key_line(files, ['noise', 'esc50', 'root'])}noise.esc50.root: no folder {self.esc50_root()}\n"
            f"  ESC-50 comes from {ADDRESS} ({LICENCE}).\n"
            "  Set `noise: {esc50: {root: /path/to/ESC-50-master}}`, or `root: synthetic` for a stand-in."
        )

    def absent_engine(self, files: Sequence[Path] = ()) -> str | None:
        """Say that DeepSpeech's library is not where the configuration says; None where it is, or is fetched."""
        engine = self.transcripts.deepspeech.engine
        if engine is None or is_file(Path(engine).expanduser()):
            return None
        return (
            f"{_key_line(files, ['transcripts', 'deepspeech', 'engine'])}transcripts.deepspeech.engine: no file "
            f"{engine}\n  Give a libdeepspeech.so, such as that of envs/deepspeech.yaml, or null to fetch it."
        )

    def absent_weights(self, backbone: str, files: Sequence[Path] = ()) -> str | None:
        """Say that weights are not at their path; None where they are, or the workflow gets them."""
        path = self.weights_path(backbone)
        if path is None or is_file(path) or is_folder(path):
            return None
        return (
            f"{_key_line(files, ['backbones', backbone, 'weights'])}backbones.{backbone}.weights: no file or folder "
            f"{path}\n  Give a path, or `download`, or `stand-in` for a small random network of its format."
        )


def _unknown(message: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"{message} (did you mean {near[0]!r}?)" if near else f"{message} (known: {', '.join(sorted(known))})"


def _annotated_keys(path: Sequence[str | int]) -> list[str]:
    """Return the known keys of the section at ``path``."""
    model: Any = Config
    for part in path:
        fields = getattr(model, "model_fields", None)
        if fields is None or part not in fields:
            # a free-form mapping: its values decide
            continue
        annotation = fields[part].annotation
        arguments = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
        model = arguments[-1] if arguments else annotation
    return list(getattr(model, "model_fields", {}))


def _key_line(files: Sequence[Path], path: Sequence[str | int]) -> str:
    """Return ``file:line: `` of a key in the last of the files that sets it, or an empty string."""
    for file in reversed(files):
        try:
            node: Any = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, yaml.YAMLError):
            continue
        mark = None
        for part in path:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
                if pair is None:
                    mark = None
                    break
                mark, node = pair[0].start_mark, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
        if mark is not None:
            return f"{file.name}:{mark.line + 1}: "
    return ""


def _explain(error: ValidationError, files: Sequence[Path]) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        path = problem["loc"]
        where = _key_line(files, path)
        key = ".".join(str(part) for part in path)
        if problem["type"] == "extra_forbidden":
            yield where + _unknown(f"unknown key {key}", str(path[-1]), _annotated_keys(path[:-1]))
        elif problem["type"] == "value_error":
            yield f"{where}{key}: {problem['ctx']['error']}" if key else f"{where}{problem['ctx']['error']}"
        else:
            yield f"{where}{key}: {problem['msg']} (it is {problem['input']!r})"


def check_config(config: Mapping[str, Any], files: Sequence[Path] = ()) -> Config:
    """Check a merged configuration and return it typed.

    Parameters
    ----------
    config
        What Snakemake merged from the files and the command line.
    files
        The configuration files, in the order they were merged; used to name lines.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong.
    """
    try:
        return Config.model_validate(json.loads(json.dumps(config)))
    except ValidationError as error:
        raise ConfigError("The configuration is wrong:\n  " + "\n  ".join(_explain(error, files))) from error
    except CorpusError as error:
        raise ConfigError(f"The configuration is wrong:\n  {error}") from error


def wants_gpu(device: str) -> bool:
    """Say whether jobs of this device setting ask for a GPU: ``auto`` does where this machine has one."""
    return device == "cuda" or (device == "auto" and Path("/dev/nvidia0").exists())


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``config.yaml``, for editors and `workflow/schemas`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
