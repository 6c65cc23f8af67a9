"""What the README and docs/ say to type does what they say: Snakemake plans it, Python runs, serflow shows it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from snakemake.cli import get_argument_parser

from doc_pages import ROOT, Command, blocks, commands, text_of
from harness import Workflow, environment

pytestmark = pytest.mark.workflow

# smaller than config.yaml, which it is merged into
SMALL_TABLE = "dlc: {corpora: [iemocap], profiles: [h1, h2], gain_profiles: [h1_gain]}\n"
# builds a study of its own
BUILT_ELSEWHERE = "add-a-study.md"
# runs of this study are made and inspected by test_temporal.py
INSPECTED_ELSEWHERE = "results/runs/temporal/"
FIVE_MINUTES = re.compile(r"^## Five minutes.*?(?=^## )", re.MULTILINE | re.DOTALL)

Asked = tuple[tuple[str, ...], tuple[str, ...]]


def python(folder: Path, *arguments: str) -> str:
    """Run Python in a folder, with the package of this checkout, and return what it printed."""
    asked = {**environment(), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=asked, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def code_of(page: str) -> str:
    (block,) = [block.text for block in blocks() if (block.page, block.kind) == (page, "python")]
    return block


def five_minutes(program: str) -> Command:
    """Return the one command of a program in the README's example."""
    lines = FIVE_MINUTES.search(text_of(ROOT / "README.md"))[0].splitlines()
    (found,) = (command for command in commands(program) if f"    {shlex.join(command.words)}" in lines)
    return found


def mine() -> str:
    """Return mine.yaml of the README."""
    (block,) = [block.text for block in blocks() if (block.page, block.kind) == ("README.md", "yaml")]
    assert block.startswith("# mine.yaml\n")
    return block


def asked_of_snakemake() -> dict[Asked, list[str]]:
    """Return the targets that pages ask for, by configuration: files, and what is said on the command line."""
    found: dict[Asked, dict[str, None]] = {}
    for command in commands("snakemake"):
        if command.page != BUILT_ELSEWHERE:
            arguments = get_argument_parser().parse_args(command.words[1:])
            configuration = (tuple(map(str, arguments.configfile or ())), tuple(arguments.config or ()))
            found.setdefault(configuration, {}).update(dict.fromkeys(arguments.targets))
    return {configuration: list(targets) for configuration, targets in found.items()}


@pytest.mark.parametrize(
    ("configuration", "targets"),
    [pytest.param(*asked, id=" ".join(map(" ".join, asked[0]))) for asked in asked_of_snakemake().items()],
)
def test_what_pages_ask_of_snakemake_can_be_planned(tmp_path, configuration, targets):
    """All targets of a configuration in one dry run, in the root of the checkout as a user would."""
    (tmp_path / "mine.yaml").write_text(mine())
    (tmp_path / "small.yaml").write_text(SMALL_TABLE)
    files = [str(tmp_path / file) if file == "mine.yaml" else file for file in configuration[0]]
    command = [
        *(str(Path(sys.executable).parent / "snakemake"), *targets, "-n", "-q", "rules"),
        *("--directory", str(tmp_path / "work"), "--configfile", str(tmp_path / "small.yaml"), *files),
        *(("--config", *configuration[1]) if configuration[1] else ()),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment(), check=False, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.search(r"^total +\d+$", said, re.MULTILINE), said


def test_five_minutes_on_ones_own_audio(tmp_path):
    """The README's example: its configuration, command, classifier and picture, on three speakers of EmoDB.

    Real ones where they lie beside the repository, a stand-in elsewhere.
    """
    real = ROOT.parent / "shared/data/emodb/wav"
    files = sorted(real.glob("0*a0[125]*.flac")) if real.is_dir() else []
    for file in files:
        (tmp_path / "emodb/wav").mkdir(parents=True, exist_ok=True)
        (tmp_path / "emodb/wav" / file.name).symlink_to(file)
    assert mine().count("root: /data/emodb") == 1
    root = f"{tmp_path / 'emodb'}, allow_partial: true" if files else "synthetic"
    (tmp_path / "mine.yaml").write_text(mine().replace("/data/emodb", root))
    (tmp_path / "small.yaml").write_text("synthetic: {utterances: 40}\n")
    shown = five_minutes("snakemake")
    words = [str(tmp_path / word) if word == "mine.yaml" else word for word in shown.words[1:]]
    extra = ("--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path / "work"))
    subprocess.run(
        [str(Path(sys.executable).parent / "snakemake"), *words, str(tmp_path / "small.yaml"), *extra],
        env=environment(), check=True, capture_output=True,
    )  # fmt: skip
    said = python(tmp_path / "work", "-c", code_of("README.md"))
    n_speakers = pd.read_parquet(tmp_path / "work/results/corpora/emodb/utterances.parquet")["speaker"].nunique()
    assert n_speakers == (3 if files else 10)
    share = re.fullmatch(rf"UA (\d+\.\d)% over {n_speakers} speakers\n", said)
    assert 0.0 < float(share[1]) <= 100.0
    assert "Predicted label" in (tmp_path / "work/confusion.svg").read_text()
    look = five_minutes("serflow")
    assert "GE2E" in python(tmp_path / "work", "-m", "serflow.cli", *look.words[1:])
    assert "<svg" in (tmp_path / "work" / look.words[-1]).read_text()


def test_python_of_the_page_on_running_reads_what_was_made(finished: Workflow):
    levels = python(finished.folder, "-c", f"{code_of('running.md').rstrip()}\nprint(len(plan))")
    assert int(levels) == len(pd.read_parquet(finished.folder / "results/noise/iemocap/h1.parquet"))


def test_what_pages_ask_of_serflow_is_shown(finished: Workflow, tmp_path: Path):
    """Every `inspect` of a page that names a path, `cite` and `verify`, in a finished small run."""
    asked = {
        command.words[1:]: None
        for command in commands("serflow")
        if command.words[1] in ("inspect", "cite", "verify") and command.page not in (BUILT_ELSEWHERE, "README.md")
    }
    shown = 0
    for words in asked:
        if len(words) > 1 and not words[1].startswith(INSPECTED_ELSEWHERE):
            assert python(finished.folder, "-m", "serflow.cli", *words)
            shown += 1
    assert shown > 3
    python(finished.folder, "-m", "serflow.cli", "verify")
    for name in ("page.png", "one.svg"):
        (finished.folder / name).unlink()
