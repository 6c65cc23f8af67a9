"""The study's section of ``config.yaml``: what Table I is made of; and what the paper says of each setting.

Trainings see `Options` alone, so a change of anything else here trains nothing again.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from serflow.settings.base import Distinct, Run, Section, SettingError, unknown
from serflow.settings.data import Data
from serflow.settings.noise import PROFILES
from serflow.studies.departures import Open, Paper, Stated
from serflow.studies.dlc.catalog import method_info, method_names
from serflow.studies.dlc.options import Options

TRAINED_CONTROLS = ("single_clean", "single_wide", "single_shuffled", "svc")

Names = Annotated[list[str], Field(min_length=1), Distinct]
Runs = Annotated[list[Run], Field(min_length=1), Distinct]


class StandIn(Section):
    """What a synthetic corpus gets instead."""

    seeds: Runs = Field(default=[0])
    maps: int = Field(default=16, ge=1)
    kernel: int = Field(default=8, ge=1)
    max_epochs: int = Field(default=6, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    hffn: Literal["end_to_end", "staged"] = "staged"
    lexical_learning_rate: float | None = Field(default=1.5e-3, gt=0)
    lexical_epochs: int | None = Field(default=8, ge=1)
    fusion_learning_rate: float = Field(default=1e-2, gt=0)
    fusion_epochs: int | None = Field(default=6, ge=1)
    fusion_dialogues: int = Field(default=4, ge=1)

    def of(self, group: Section) -> dict[str, Any]:
        """Return the values that take the place of those of a group of options."""
        return {name: value for name, value in self if name in type(group).model_fields}


class Robustness(Section):
    """What the curves over levels of noise are drawn of: trained networks, and the levels (dB) that they are asked at.

    ``methods`` None: all that are trained in ``experiment`` and can be; ``profile`` None: the first of
    ``dlc.profiles``.
    """

    experiment: Literal["exp1", "exp2"] = "exp1"
    profile: str | None = None
    methods: Names | None = None
    snr_db: Annotated[list[Annotated[float, Field(ge=-100, le=100)]], Field(min_length=1), Distinct] = Field(
        default=[20.0, 10.0, 5.0, 0.0, -5.0]
    )


def why_not_swept(method: str, experiment: str) -> str | None:
    """Say why a method has no curve over levels of noise; None where it may have one."""
    info = method_info(method)
    if info.predicts != "emotion":
        return "predicts no emotion"
    if experiment not in info.experiments:
        return f"is not part of {experiment} (dlc.robustness.experiment)"
    if info.modality == "multi":
        return "reads words as well, which would have to be recognised anew at every level; give methods that only hear"
    return None if info.network else "keeps no network that could be asked again"


class Dlc(Options):
    """Table I of the DLC paper."""

    corpora: Names = Field(default=["msp_improv", "iemocap", "mosei"])
    profiles: Names = Field(default=["h1", "h2", "h3"])
    experiments: Annotated[list[Literal["exp1", "exp2"]], Field(min_length=1), Distinct] = Field(
        default=["exp1", "exp2"]
    )
    gain_profiles: Annotated[list[str], Distinct] = Field(default=["h1_gain", "h2_gain", "h3_gain"])
    methods: Names = Field(
        default=[
            "single", "moe_slc", "moe_dlc", "dann", "maddog", "dsn_slc", "dsn_dlc", "hffn_single", "hffn_moe_dlc",
            "hffn_dsn_dlc",
        ]
    )  # fmt: skip
    controls: Annotated[
        list[Literal["single_clean", "oracle_gate", "single_wide", "single_shuffled", "svc", "chance", "majority"]],
        Distinct,
    ] = Field(default=["single_clean", "chance"])
    feature: str = "mfb"
    seeds: Runs = Field(default=[0, 1, 2])
    split: Literal["dialogue", "speaker", "partners"] = "dialogue"
    asr: Literal["deepspeech", "wav2vec2", "reference"] = "deepspeech"
    stand_in: StandIn = StandIn()
    robustness: Robustness = Robustness()

    @field_validator("methods")
    @classmethod
    def _methods_there_are(cls, methods: list[str]) -> list[str]:
        for position, name in enumerate(methods):
            if name not in method_names():
                raise SettingError(str(position), unknown(f"no method {name!r}", name, method_names()))
        return methods

    def trained_methods(self) -> list[str]:
        """Return the methods that are trained, controls among them."""
        return [*self.methods, *(name for name in self.controls if name in TRAINED_CONTROLS)]

    def swept_methods(self) -> list[str]:
        """Return the methods whose networks are asked at every level of noise."""
        swept = self.robustness
        if swept.methods is not None:
            return swept.methods
        trained = [name for name in self.trained_methods() if swept.experiment in self.experiments_of(name)]
        return [name for name in trained if why_not_swept(name, swept.experiment) is None]

    def experiments_of(self, method: str) -> list[str]:
        """Return the experiments that a method is part of, of those that are asked for, in the paper's order."""
        return [name for name in method_info(method).experiments if name in self.experiments]

    def multimodal_corpora(self, data: Data) -> list[str]:
        """Return the corpora that multimodal methods are trained on, those with turns, if there are such methods."""
        multimodal = any(method_info(name).modality == "multi" for name in self.trained_methods())
        return [name for name in self.corpora if data.has_turns(name)] if multimodal else []

    def check(self, data: Data) -> None:
        """Hold the section against those of the data.

        Raises
        ------
        SettingError
            If it names what they do not have, a method is in none of the experiments, stand-ins and real corpora have
            no seed in common, or a recogniser has to hear a language that it does not know.
        """
        named = [
            *((f"corpora.{position}", name, "corpora") for position, name in enumerate(self.corpora)),
            *((f"profiles.{position}", name, "noise.profiles") for position, name in enumerate(self.profiles)),
            *(
                (f"gain_profiles.{position}", name, "noise.profiles")
                for position, name in enumerate(self.gain_profiles)
            ),
            ("feature", self.feature, "features"),
        ]
        known = {
            "corpora": list(data.corpora),
            "noise.profiles": list(data.noise.profiles),
            "features": list(data.features),
        }
        for key, name, of in named:
            if name not in known[of]:
                raise SettingError(f"dlc.{key}", unknown(f"{name!r} is not in {of}", name, known[of]))
        for position, name in enumerate(self.methods):
            if not self.experiments_of(name):
                other = method_info(name).experiments[0]
                raise SettingError(
                    f"dlc.methods.{position}",
                    f"{name} is part of {other} alone; leave it out, or add {other} to dlc.experiments",
                )
            if self.training.fused == "always" and not method_info(name).fuses:
                raise SettingError(
                    "dlc.training.fused",
                    f"fits of {name} cannot be trained as one network; take auto or never, or leave it out of "
                    "dlc.methods",
                )
        if self.training.fused == "always" and self.training.graphs == "on":
            raise SettingError(
                "dlc.training.graphs", "steps of fused fits are not graphs; take off, or auto or never for fused"
            )
        swept = self.robustness
        if swept.profile is not None and swept.profile not in known["noise.profiles"]:
            raise SettingError(
                "dlc.robustness.profile",
                unknown(f"{swept.profile!r} is not in noise.profiles", swept.profile, known["noise.profiles"]),
            )
        for position, name in enumerate(swept.methods or ()):
            key = f"dlc.robustness.methods.{position}"
            if name not in method_names():
                raise SettingError(key, unknown(f"no method {name!r}", name, method_names()))
            if (why := why_not_swept(name, swept.experiment)) is not None:
                raise SettingError(key, f"{name} {why}")
        standing_in = [data.is_synthetic(corpus) for corpus in self.corpora]
        if any(standing_in) and not all(standing_in) and not set(self.seeds) & set(self.stand_in.seeds):
            raise SettingError(
                "dlc.seeds",
                f"{self.seeds}, and stand-ins have {self.stand_in.seeds} (dlc.stand_in.seeds): tables average over the "
                "runs that all corpora have; give both one in common, or leave one kind out of dlc.corpora",
            )
        if self.asr == "reference":
            return
        for corpus in self.multimodal_corpora(data):
            if data.corpora[corpus].root is not None and data.language(corpus) != "en":
                raise SettingError(
                    "dlc.asr",
                    f"{self.asr} knows English, and {corpus} is in {data.language(corpus)!r}; take `reference`, or "
                    "leave the HFFN methods out of dlc.methods",
                )


PAPER: Paper = {
    # columns, rows and runs, which the table shows; stand-ins, whose values stand in the options that they replace
    **dict.fromkeys(["corpora", "profiles", "gain_profiles", "experiments", "methods", "controls", "seeds"]),
    **dict.fromkeys(f"stand_in.{name}" for name in StandIn.model_fields),
    # what trained networks are asked afterwards
    **dict.fromkeys(f"robustness.{name}" for name in Robustness.model_fields),
    # III-A
    "iemocap_labels": Open("labels of IEMOCAP", "merged"),
    # III-B; where the noise comes from stands in its own remarks
    **dict.fromkeys(["noise.esc50.root", "noise.esc50.allow_partial", "noise.seed"]),
    "noise.mixing": Stated("mixing", "snr"),
    "noise.clips": Stated("noise clips", "shared"),
    **{
        f"noise.profiles.{profile}.{kind}": Stated(f"{profile}'s SNR of {kind} noise", level)
        for profile, levels in PROFILES.items()
        for kind, level in levels.items()
    },
    # III-C
    "feature": Stated("features", "mfb"),
    "features.mfb.n_mels": Stated("mel bands", 40),
    "features.mfb.n_fft": Open("samples of a transform", 2048),
    "features.mfb.hop_length": Open("samples from frame to frame", 160),
    "features.mfb.preemphasis": Open("pre-emphasis", 0.97),
    "features.mfb.fmin": Open("lowest frequency of mel bands", 0.0),
    "features.mfb.fmax": Open("highest frequency of mel bands", 8000.0),
    "features.mfb.floor": Open("floor of mel bands", 1e-6),
    "stores.mantissa_bits": Open("bits of the features' mantissas", None),
    "asr": Stated("transcripts by", "deepspeech"),
    # which weights these are stands in the stores that they made
    **dict.fromkeys(["backbones.deepspeech.weights", "backbones.wav2vec2_ctc.weights", "backbones.bert.weights"]),
    **dict.fromkeys(["backbones.deepspeech.device", "backbones.wav2vec2_ctc.device", "backbones.bert.device"]),
    "transcripts.deepspeech.engine": None,
    "transcripts.deepspeech.beam_width": Open("DeepSpeech's beam width", None),
    "transcripts.deepspeech.lm_alpha": Open("DeepSpeech's weight of the language model", None),
    "transcripts.deepspeech.lm_beta": Open("DeepSpeech's weight of a word", None),
    "backbones.deepspeech.release": Open("release of DeepSpeech", None),
    "backbones.deepspeech.precision": Open("precision of DeepSpeech", "fp32"),
    "backbones.wav2vec2_ctc.release": Open("release of wav2vec 2.0", None),
    "backbones.wav2vec2_ctc.precision": Open("precision of wav2vec 2.0", "fp32"),
    "backbones.bert.release": Open("release of BERT", None),
    "backbones.bert.precision": Open("precision of BERT", "fp32"),
    # IV-A.1
    "model.maps": Stated("maps", 128),
    "model.kernel": Stated("kernel", 16),
    "model.dilations": Stated("dilations", [1, 2, 4]),
    "model.pool": Stated("pooling", 4),
    "model.readout": Open("readout of the code", "max"),
    "model.hidden": Stated("units of dense layers", 128),
    "model.instance_norm": Open("instance normalisation", False),
    "model.dropout": Open("dropout", 0.0),
    # IV-A.3 to 6
    "adversary.weight": Open("DANN's weight of the adversary", 1.0),
    "adversary.ramp_epochs": Open("epochs of the adversary's ramp", 10),
    "maddog.weight": Open("MADDoG's weight of the critic", 0.1),
    "maddog.critic_batches": Open("batches of MADDoG's critic", 5),
    "maddog.clip": Open("bound of the weights of MADDoG's critic", 0.01),
    "dsn.reconstruction": Open("DSN's weight of the reconstruction", 0.01),
    "dsn.similarity": Open("DSN's weight of the similarity", 0.25),
    "dsn.difference": Open("DSN's weight of the difference", 0.075),
    "dsn.task_code": Stated("DSN reads the emotion from its code", "shared"),
    "hffn": Stated("HFFN", "end_to_end"),
    "staged.lexical_learning_rate": Open("learning rate of the lexical stage", None),
    "staged.lexical_epochs": Open("epochs of the lexical stage", None),
    "staged.fusion_learning_rate": Open("learning rate of the fusion", 1e-3),
    "staged.fusion_epochs": Open("epochs of the fusion", None),
    "staged.fusion_dialogues": Open("dialogues in a batch of the fusion", 10),
    # V; the device is where it runs, and fused how many fits at once
    "split": Stated("split by", "dialogue"),
    "training.optimizer": Stated("optimiser", "adadelta"),
    "training.learning_rate": Stated("learning rate", 1e-3),
    "training.class_weights": Open("class weights", True),
    "training.reconstruction_weight": Open("weight of the reconstruction", 1.0),
    "training.batch_size": Stated("batch size", 32),
    "training.patience": Stated("patience", 10),
    "training.max_epochs": Stated("epochs at most", 1000),
    "training.precision": Open("precision", "fp32"),
    "training.device": None,
    "training.graphs": None,
    "training.fused": None,
}
"""What the paper says of each option of a cell, in its order; see `serflow.studies.departures`."""
