"""The study's section of ``config.yaml``: what its tables are made of; and what the paper says of each setting.

Trainings see `Options` alone, so a change of anything else here trains nothing again.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from serflow.settings.base import Distinct, Run, Section, SettingError, unknown
from serflow.settings.data import Data
from serflow.studies.departures import Open, Paper, Stated
from serflow.studies.multigating.options import FEATURES, FitOptions, LanguageOptions

System = Literal["one_tower", "sb", "omoe", "mmoe", "ours"]
LanguageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Runs = Annotated[list[Run], Field(min_length=1), Distinct]
Alphas = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1), Distinct]


class Pictured(Section):
    """Figure 3: the language whose representations are drawn, at these weights of its contrastive loss."""

    language: str = "german"
    alphas: Alphas = Field(default=[0.0, 0.01, 0.1])


class StandIn(Section):
    """What the study gets instead where all its corpora are synthetic."""

    runs: Runs = Field(default=[0])
    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    units: int = Field(default=32, ge=1)
    width: int = Field(default=32, ge=1)
    maps: int = Field(default=16, ge=1)
    lstm: int = Field(default=16, ge=1)
    ge2e_learning_rate: float = Field(default=0.0, ge=0)


class Multigating(FitOptions):
    """The tables and figures of the multilingual paper.

    A language that is null is left out.
    """

    languages: dict[LanguageName, LanguageOptions | None] = Field(
        default={
            "english": LanguageOptions(corpus="iemocap", units=256, activations=("mish", "gelu"), alpha=0.1),
            "german": LanguageOptions(corpus="emodb", units=512, activations=("tanh", "relu"), alpha=0.01),
            "french": LanguageOptions(
                corpus="cafe", units=512, activations=("tanh", "relu"), alpha=0.015, intensity="strong"
            ),
        }
    )
    systems: Annotated[list[System], Field(min_length=1), Distinct] = Field(
        default=["one_tower", "sb", "omoe", "mmoe", "ours"]
    )
    controls: Annotated[list[Literal["sb_wide", "svc", "chance", "majority"]], Distinct] = Field(default=[])
    split: Literal["utterance", "sentence", "speaker64", "speaker_folds"] = "utterance"
    folds: int = Field(default=5, ge=3)
    resplit: bool = False
    runs: Runs = Field(default=[0, 1, 2, 3, 4])
    figure3: Pictured = Pictured()
    stand_in: StandIn = StandIn()

    def spoken(self) -> dict[str, LanguageOptions]:
        """Return the languages that are not null."""
        return {name: language for name, language in self.languages.items() if language is not None}

    @model_validator(mode="after")
    def _what_rows_set(self) -> "Multigating":
        if not self.aux:
            raise SettingError("aux", "is set by the rows of Table 4; leave it out")
        if not self.spoken():
            raise SettingError("languages", "there is none; give one at least")
        corpora: dict[str, str] = {}
        for name, language in self.spoken().items():
            other = corpora.setdefault(language.corpus, name)
            if other != name:
                raise SettingError(
                    f"languages.{name}.corpus",
                    f"{language.corpus} is the corpus of {other} already; give each language one of its own",
                )
        return self

    def check(self, data: Data) -> None:
        """Hold the section against those of the data.

        Raises
        ------
        SettingError
            If it names what they do not have, words of IEMOCAP, whose classes are the paper's, or a Figure 3 of a
            language that is not among its own, or if the gates of Figure 4 have nothing to weigh.
        """
        spoken = self.spoken()
        for name, language in spoken.items():
            data.check_corpus(f"multigating.languages.{name}", language.corpus, language.emotions)
        for feature, store in zip(self.features, self.stores(), strict=True):
            if store not in data.features:
                raise SettingError(
                    "multigating.features", f"{feature} reads features.{store}, which is not there; add it"
                )
        if self.sharing.selector not in self.features:
            said = unknown(
                f"{self.sharing.selector!r} is not in multigating.features", self.sharing.selector, self.features
            )
            raise SettingError("multigating.sharing.selector", said)
        if not self.sharing.weighed(self.features):
            raise SettingError(
                "multigating.features", "gates that read byol weigh the other features, and there is none; add one"
            )
        pictured = self.figure3.language
        if pictured not in spoken:
            said = unknown(f"{pictured!r} is not in multigating.languages", pictured, spoken)
            raise SettingError("multigating.figure3.language", said)


def _language(units: int, activations: list[str], alpha: float, intensity: str | None) -> Paper:
    return {
        "corpus": None,
        "emotions": Open("emotions", None),
        "intensity": Open("intensity", intensity),
        "units": Stated("units of the tower", units),
        "activations": Stated("activations of the tower", activations),
        "alpha": Stated("alpha", alpha),
    }


PAPER_LANGUAGES: Mapping[str, Paper] = {
    "english": _language(256, ["mish", "gelu"], 0.1, None),
    "german": _language(512, ["tanh", "relu"], 0.01, None),
    "french": _language(512, ["tanh", "relu"], 0.015, "strong"),
}
"""What the paper says of its languages (section 5.1)."""
PAPER_CORPORA = {"english": "iemocap", "german": "emodb", "french": "cafe"}

PAPER: Paper = {
    # rows and runs, which the tables show; what the stand-ins get stands in the options that it replaces
    **dict.fromkeys(["languages", "systems", "controls", "runs", "figure3", "aux"]),
    # 3
    "split": Stated("split", "utterance"),
    "folds": Open("folds of speakers", 5),
    "resplit": Open("a split a run", False),
    "folds_used": Open("folds used", None),
    "features": Stated("features", list(FEATURES)),
    "standardise": Open("features standardised by", "training"),
    "stores.mfcc.n_mfcc": Open("MFCC", 40),
    "stores.mfcc.cmvn": Open("normalisation of MFCC", True),
    "stores.wav2vec.output": Open("output of wav2vec", "context"),
    "stores.allosaurus.output": Open("output of Allosaurus", "blstm"),
    "stores.byol.output": Stated("output of BYOL", "vector"),
    "stores.byol.standardise": Open("pictures of BYOL standardised by", "utterance"),
    # 4.1 and 5.1
    "encoder.cnn": Open("reading of the kernels", "parallel"),
    "encoder.kernels": Stated("kernels", [3, 5]),
    "encoder.maps": Stated("maps", 64),
    "encoder.lstm": Stated("units of the LSTM", 128),
    "encoder.mfcc_maps": Stated("maps of MFCC", 32),
    "encoder.mfcc_lstm": Stated("units of MFCC's LSTM", 64),
    "encoder.mfcc_layers": Stated("layers of MFCC's LSTM", 2),
    "encoder.dropout": Stated("dropout", 0.1),
    # 4.3
    "sharing.width": Open("common width of features", 256),
    "sharing.selector": Stated("feature that selects", "ge2e"),
    "sharing.join": Stated("joining of features", "sum"),
    "sharing.base_units": Open("units of Base's tower", 512),
    "sharing.base_activations": Open("activations of Base's tower", ["tanh", "relu"]),
    "nas.form": Open("form of the gates", "louizos"),
    "nas.beta": Stated("beta", 0.9),
    "nas.gamma": Stated("gamma", -0.1),
    "nas.delta": Stated("delta", 2.0),
    "nas.l0": Open("weight of the number of gates", 0.0),
    "nas.init_std": Open("deviation of ln kappa at first", 0.01),
    # 4.2
    "contrastive.reduction": Stated("reduction of the contrastive loss", "sum"),
    "contrastive.more_than": Stated("samples of an emotion, more than", 5),
    "contrastive.scale": Open("w at first", 10.0),
    "contrastive.bias": Open("b at first", -5.0),
    # 5.1
    "training.learning_rate": Stated("learning rate", 1e-3),
    "training.ge2e_learning_rate": Stated("learning rate of GE2E", 1e-5),
    "training.weight_decay": Stated("weight decay", 1e-5),
    "training.batch_size": Open("batch size", 64),
    "training.epochs": Stated("epochs", 20),
    "training.temperature": Open("temperature of languages", 1.0),
    "training.precision": Open("precision", "fp32"),
    "training.device": None,
    "training.graphs": None,
}
"""What the paper says of each option of a cell, in its order; see `serflow.studies.departures`."""
