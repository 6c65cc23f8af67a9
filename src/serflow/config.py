"""The one typed source of the configuration: the data's sections and the studies', its checks and its schema.

``config.yaml`` repeats the defaults with comments; ``workflow/schemas/config.schema.json`` is generated from
here (``python -m serflow.config > workflow/schemas/config.schema.json``). Tests fail when either drifts.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, model_validator

from serflow.corpora.base import load_corpus
from serflow.errors import ConfigError, CorpusError
from serflow.folders import is_file, is_folder
from serflow.noise.published import ADDRESS, LICENCE
from serflow.settings.base import SYNTHETIC, KeyPath, explain
from serflow.settings.data import Data
from serflow.studies.contract import Plan
from serflow.studies.dlc.plan import Plan as DlcPlan
from serflow.studies.dlc.settings import Dlc
from serflow.studies.invariance.plan import Plan as InvariancePlan
from serflow.studies.invariance.settings import Invariance


class Config(Data):
    """Everything a user may change: a section a study, beside those of the data."""

    dlc: Dlc = Dlc()
    invariance: Invariance = Invariance()

    @model_validator(mode="after")
    def _check_studies(self) -> "Config":
        self.dlc.check(self)
        self.invariance.check(self)
        return self

    def plans(self) -> dict[str, Plan]:
        """Return what each study is asked to do, by its name."""
        return {"dlc": DlcPlan(self.dlc, self), "invariance": InvariancePlan(self.invariance, self)}

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
        users = [f"`{plan.name}:`" for plan in self.plans().values() if corpus in plan.corpora()]
        without = f"take {corpus} out of {' and '.join(users)}" if users else "`root: null`"
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


def _key_line(files: Sequence[Path], path: KeyPath) -> str:
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
        said = explain(error, Config, place=lambda path: _key_line(files, path))
        raise ConfigError("The configuration is wrong:\n  " + "\n  ".join(said)) from error
    except CorpusError as error:
        raise ConfigError(f"The configuration is wrong:\n  {error}") from error


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``config.yaml``, for editors and `workflow/schemas`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
