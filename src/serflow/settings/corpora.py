"""Corpora: where they lie, how they are read, and the stand-ins in the place of those that are not there."""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from serflow.corpora.base import corpus_names, load_corpus
from serflow.errors import ConfigError
from serflow.settings.base import SYNTHETIC, Language, Name, Section, SettingError, path_below, unknown
from serflow.synthetic.catalogue import LAYOUTS

PUBLISHED_CORPORA = ("iemocap", "msp_improv", "mosei", "emodb", "cafe", "ravdess", "crema_d")
# a stand-in of this name lies where that of the noise does
_RESERVED = ("esc50",)


class TableOptions(Section):
    """How to read a folder with a table of labels (layout ``table``).

    Without ``columns`` they are those of our names; dialogues then have no order, whatever the table holds.
    """

    table: str
    audio: str
    columns: dict[str, str] = Field(default={})
    emotions: dict[str, str] = Field(default={})
    language: Language | None = None
    published: dict[str, int] | None = None


class CorpusSettings(Section):
    """One corpus: where it lies, how it is read, and what the target ``features`` builds of it (None: everything)."""

    root: str | None = Field(default=None, min_length=1)
    allow_partial: bool = False
    max_rejected: float = Field(default=0.1, ge=0, le=1)
    duplicates: Literal["keep", "drop"] = "keep"
    shards: int | None = Field(default=None, ge=1, le=9999)
    layout: str | None = None
    title: str | None = Field(default=None, min_length=1)
    language: Language | None = None
    features: list[str] | None = None
    options: TableOptions | None = None


# The layout of the set is not known: the stand-in's table has our columns, and `options` say how the set's is read.
_MANDARIN = CorpusSettings(
    root=SYNTHETIC,
    layout="table",
    title="SpeechOcean Mandarin",
    language="zh",
    features=["mfcc_kaldi", "energy_vad"],
    options=TableOptions(table="utterances.csv", audio="{path}", published={"total": 53803}),
)


class AudioSettings(Section):
    """What passes the door for audio files."""

    min_duration_s: float = Field(default=0.1, gt=0)
    max_duration_s: float = Field(default=10_800.0, gt=0)
    shard_size: int = Field(default=512, ge=1)


class SyntheticSettings(Section):
    """Size and planted effects of the stand-in corpora, and what is added to the SNRs (dB) of noise in them."""

    utterances: int = Field(default=200, ge=40)
    seed: int = 0
    emotion_strength: float = Field(default=1.5, ge=0)
    speaker_bias: float = Field(default=0.7, ge=0)
    scatter: float = Field(default=0.7, ge=0)
    emotion_in_text: float = Field(default=0.9, ge=0, le=1)
    snr_offset_db: float = Field(default=25.0, ge=-100, le=100)

    def of_voices(self) -> dict[str, Any]:
        """Return what the recordings depend on."""
        return self.model_dump(exclude={"snr_offset_db"})


class Corpora(Section):
    """The corpora, and what the rules ask of one by its name."""

    data_root: str = Field(default=".", min_length=1)
    corpora: dict[Name, CorpusSettings] = Field(
        default={name: CorpusSettings(root=SYNTHETIC) for name in PUBLISHED_CORPORA} | {"mandarin": _MANDARIN}
    )
    audio: AudioSettings = AudioSettings()
    synthetic: SyntheticSettings = SyntheticSettings()

    @field_validator("corpora")
    @classmethod
    def _names_are_free(cls, corpora: dict[str, CorpusSettings]) -> dict[str, CorpusSettings]:
        for name in _RESERVED:
            if name in corpora:
                raise SettingError(name, "this name is kept for the noise; give the corpus another")
        return corpora

    @model_validator(mode="after")
    def _check_layouts(self) -> "Corpora":
        for name, corpus in self.corpora.items():
            key, layout = f"corpora.{name}", self.layout(name)
            if name in PUBLISHED_CORPORA and layout != name:
                raise SettingError(
                    key, f"this name is kept for the published corpus; give yours (layout {layout}) another"
                )
            if layout not in corpus_names():
                said = f"no layout {layout!r}; for a corpus of your own set `layout: table`"
                raise SettingError(key, unknown(said, layout, corpus_names()))
            if layout == "table" and corpus.root is not None and corpus.options is None:
                raise SettingError(key, "layout `table` needs a root and `options` (see config.yaml)")
            if corpus.root == SYNTHETIC and layout != LAYOUTS.get(name):
                known = ", ".join(name if name == its else f"{name} (layout {its})" for name, its in LAYOUTS.items())
                said = (
                    f"there is no stand-in for {name}, layout {layout}; give its folder, or null (stand-ins: {known})"
                )
                raise SettingError(f"{key}.root", said)
        return self

    def layout(self, corpus: str) -> str:
        """Return the layout that reads this corpus."""
        return self.corpora[corpus].layout or corpus

    def title(self, corpus: str) -> str:
        """Return the name of the corpus in tables."""
        return self.corpora[corpus].title or load_corpus(self.layout(corpus)).info.title

    def printed_title(self, corpus: str) -> str:
        """Return the name of the corpus in papers, whatever title it is given here."""
        return (_MANDARIN.title if corpus == "mandarin" else None) or load_corpus(self.layout(corpus)).info.title

    def language(self, corpus: str) -> str:
        """Return the ISO 639-1 code of the corpus's language."""
        return self.corpora[corpus].language or load_corpus(self.layout(corpus)).info.language

    def is_synthetic(self, corpus: str) -> bool:
        """Say whether a stand-in takes this corpus's place."""
        return self.corpora[corpus].root == SYNTHETIC

    def snr_offset_db(self, corpus: str) -> float:
        """Return what is added to the SNRs (dB) that noise profiles ask for: 0 but for stand-ins of corpora."""
        return self.synthetic.snr_offset_db if self.is_synthetic(corpus) else 0.0

    def root(self, corpus: str) -> Path:
        """Return the folder of the corpus.

        Raises
        ------
        ConfigError
            If the corpus has no root.
        """
        root = self.corpora[corpus].root
        if root is None:
            raise ConfigError(
                f"corpora.{corpus}.root: null, where the folder of {self.title(corpus)} is needed; write it"
            )
        if root == SYNTHETIC:
            return Path("resources/synthetic") / corpus
        return path_below(self.data_root, root)

    def n_shards(self, corpus: str) -> int:
        """Return the number of jobs that a corpus's audio is dealt to; needs no data."""
        shards, size = self.corpora[corpus].shards, self.n_utterances(corpus)
        if shards is not None:
            return shards
        return math.ceil(size / self.audio.shard_size) if size else 1

    def n_utterances(self, corpus: str) -> int | None:
        """Return how many utterances a corpus has as published, or as a stand-in; None where nothing says."""
        if self.is_synthetic(corpus):
            return self.synthetic.utterances
        options = self.corpora[corpus].options
        if options is not None and options.published is not None:
            return options.published.get("total")
        return load_corpus(self.layout(corpus)).info.n_utterances

    def has_turns(self, corpus: str) -> bool:
        """Say whether the corpus's utterances have an order in dialogues."""
        options = self.corpora[corpus].options
        if options is not None:
            return {"dialogue", "turn"} <= options.columns.keys()
        return load_corpus(self.layout(corpus)).info.turns
