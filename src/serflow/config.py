"""The one typed source of the configuration: the data's sections and the studies', its checks and its schema.

``config.yaml`` repeats the defaults with comments; ``workflow/schemas/config.schema.json`` is generated from
here (``python -m serflow.config > workflow/schemas/config.schema.json``). Tests fail when either drifts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from serflow.backbones.weights import unfit_path
from serflow.corpora.base import load_corpus
from serflow.errors import ConfigError, CorpusError
from serflow.folders import is_file, is_folder
from serflow.noise.published import ADDRESS, LICENCE
from serflow.settings.base import SYNTHETIC, SettingError, explain, path_below, unknown
from serflow.settings.data import Data
from serflow.settings.report import Report
from serflow.settings.written import Written, merged, place, read, read_argument
from serflow.studies.contract import Plan
from serflow.studies.dlc.plan import Plan as DlcPlan
from serflow.studies.dlc.settings import Dlc
from serflow.studies.invariance.plan import Plan as InvariancePlan
from serflow.studies.invariance.settings import Invariance
from serflow.studies.multigating.plan import Plan as MultigatingPlan
from serflow.studies.multigating.settings import Multigating
from serflow.studies.speakernorm.plan import Plan as SpeakernormPlan
from serflow.studies.speakernorm.settings import Speakernorm
from serflow.studies.temporal.plan import Plan as TemporalPlan
from serflow.studies.temporal.settings import Temporal
from serflow.synthetic.catalogue import LAYOUTS


class Config(Data):
    """Everything a user may change: a section a study, beside those of the data."""

    dlc: Dlc = Dlc()
    invariance: Invariance = Invariance()
    temporal: Temporal = Temporal()
    multigating: Multigating = Multigating()
    speakernorm: Speakernorm = Speakernorm()
    report: Report = Report()

    @model_validator(mode="after")
    def _check_studies(self) -> "Config":
        self.dlc.check(self)
        # what nobody wrote need not fit the corpora that somebody did
        if "invariance" in self.model_fields_set:
            self.invariance.check(self)
        if "temporal" in self.model_fields_set:
            self.temporal.check(self)
        if "multigating" in self.model_fields_set:
            self.multigating.check(self)
        if "speakernorm" in self.model_fields_set:
            self.speakernorm.check(self)
        self._check_report()
        return self

    def _check_report(self) -> None:
        known = self.plans()
        for position, name in enumerate(self.report.studies or ()):
            if name not in known:
                raise SettingError(f"report.studies.{position}", unknown(f"{name!r} is no study", name, known))

    def plans(self) -> dict[str, Plan]:
        """Return what each study is asked to do, by its name."""
        return {
            "dlc": DlcPlan(self.dlc, self),
            "invariance": InvariancePlan(self.invariance, self),
            "temporal": TemporalPlan(self.temporal, self),
            "multigating": MultigatingPlan(self.multigating, self),
            "speakernorm": SpeakernormPlan(self.speakernorm, self),
        }

    def reported(self) -> list[str]:
        """Return the studies that the overview of results shows."""
        return list(self.plans()) if self.report.studies is None else self.report.studies

    def absent_corpus(self, corpus: str, documents: Sequence[Written] = ()) -> str | None:
        """Say that a corpus is not there, where it comes from and what to write; None where it is there.

        ``documents`` are what the configuration was merged from; they give the line to change.
        """
        given = self.corpora[corpus].root
        if self.is_synthetic(corpus) or (given is not None and is_folder(self.root(corpus))):
            return None
        absent = "null, and this target needs the corpus" if given is None else f"no folder {self.root(corpus)}"
        info = load_corpus(self.layout(corpus)).info
        users = [f"`{plan.name}:`" for plan in self.plans().values() if corpus in plan.corpora()]
        stand_in = "" if corpus not in LAYOUTS else ", or `root: synthetic` for a stand-in"
        named = " and ".join([", ".join(users[:-1]), users[-1]] if users[1:] else users)
        without = f"take {corpus} out of {named}" if users else "ask for the targets of other corpora"
        return (
            f"{place(documents, ['corpora', corpus, 'root'])}corpora.{corpus}.root: {absent}\n"
            f"  {self.title(corpus)} comes from {info.address} ({info.licence}).\n"
            f"  Set `corpora: {{{corpus}: {{root: /path/to/it}}}}`{stand_in},\n"
            f"  or {without} to go on without it."
        )

    def absent_esc50(self, documents: Sequence[Written] = ()) -> str | None:
        """Say that ESC-50 is not there and what to write; None where it is there, or a stand-in is."""
        if self.noise.esc50.root == SYNTHETIC or is_folder(self.esc50_root()):
            return None
        return (
            f"{place(documents, ['noise', 'esc50', 'root'])}noise.esc50.root: no folder {self.esc50_root()}\n"
            f"  ESC-50 comes from {ADDRESS} ({LICENCE}).\n"
            "  Set `noise: {esc50: {root: /path/to/ESC-50-master}}`, or `root: synthetic` for a stand-in."
        )

    def absent_engine(self, documents: Sequence[Written] = ()) -> str | None:
        """Say that DeepSpeech's library is not where the configuration says; None where it is, or is fetched."""
        engine = self.transcripts.deepspeech.engine
        if engine is None or is_file(path_below("", engine)):
            return None
        return (
            f"{place(documents, ['transcripts', 'deepspeech', 'engine'])}transcripts.deepspeech.engine: no file "
            f"{engine}\n  Give a libdeepspeech.so, such as that of envs/deepspeech.yaml, or null to fetch it."
        )

    def absent_weights(self, backbone: str, documents: Sequence[Written] = ()) -> str | None:
        """Say that weights are not at their path, or are a folder for a file; None if all is well."""
        path = self.weights_path(backbone)
        unfit = None if path is None else unfit_path(backbone, path)
        if unfit is None:
            return None
        return (
            f"{place(documents, ['backbones', backbone, 'weights'])}backbones.{backbone}.weights: {unfit}"
            "\n  Give a path, or `download`, or `stand-in` for a small random network of its format."
        )


def check_config(content: Mapping[str, Any], documents: Sequence[Written] = ()) -> Config:
    """Check what was written and return it typed.

    Parameters
    ----------
    content
        What the documents say together.
    documents
        What it was merged from, in that order; they tell the lines.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        said = explain(error, Config, place=lambda path: place(documents, path))
        raise ConfigError("The configuration is wrong:\n  " + "\n  ".join(said)) from error
    except CorpusError as error:
        raise ConfigError(f"The configuration is wrong:\n  {error}") from error


def read_configs(files: Iterable[Path], arguments: Iterable[str] = ()) -> tuple[Config, list[Written]]:
    """Return the configuration of files and ``key=value`` arguments, each over those before, and what it was read from.

    Raises
    ------
    ConfigError
        If a file cannot be read, or something in them is wrong.
    """
    documents = [*map(read, files), *map(read_argument, arguments)]
    return check_config(merged(documents), documents), documents


def read_config(files: Sequence[Path] = (), arguments: Sequence[str] = ()) -> tuple[Config, list[Written]]:
    """Return the configuration as Snakemake takes it from the working folder, and what it was merged from.

    Parameters
    ----------
    files
        Over ``config.yaml``, which is that of the working folder, else of the checkout that this package is part of.
    arguments
        ``key=value`` each, over all files.

    Raises
    ------
    ConfigError
        If a file cannot be read, or something in them is wrong.
    """
    known = (folder / "config.yaml" for folder in (Path(), Path(__file__).parents[2]))
    own = next((file for file in known if file.is_file()), None)
    return read_configs([*([] if own is None else [own]), *files], arguments)


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``config.yaml``, for editors and `workflow/schemas`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
