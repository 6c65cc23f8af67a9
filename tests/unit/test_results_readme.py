"""The columns that results/README.md promises are those that are written, and its reader notices what is not so."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from results_page import ANY, Page, column_type
from serflow.audio.prepared import AUDIO_SCHEMA
from serflow.audit import study as audit
from serflow.audit.prints import FINGERPRINTS_SCHEMA, NEAR_COLUMNS
from serflow.claims import card as claims_card
from serflow.corpora._duplicates import Duplicate
from serflow.corpora._tables import LISTING_SCHEMA, REJECTED_COLUMNS, UTTERANCES_SCHEMA
from serflow.files import write_csv, write_sealed_json
from serflow.noise.esc50 import RejectedClip
from serflow.noise.mixing import PLAN_SCHEMA, PlanRow
from serflow.premiums import measure
from serflow.qc import checks as quality
from serflow.report import comparison, intervals
from serflow.runs.artefacts import EMBEDDINGS_SCHEMA, HISTORY_SCHEMA, PREDICTIONS_SCHEMA
from serflow.stages import prepare_audio, tabulate_levels, tabulate_wer
from serflow.stages.prepare_clips import CLIPS_SCHEMA
from serflow.stages.split_utterances import SPLIT_SCHEMA
from serflow.stores.frames import FRAMES_SCHEMA, PACKED_SCHEMA
from serflow.stores.parquet import write_table
from serflow.stores.pulses import PULSES_SCHEMA
from serflow.stores.vectors import vectors_schema
from serflow.stores.waveforms import WAVEFORMS_SCHEMA
from serflow.studies.dlc import figure4, pilot, robustness, shift
from serflow.studies.dlc.sweep_schema import SWEEP_SCHEMA
from serflow.studies.multigating import figure3 as multigating_figure3
from serflow.studies.multigating import figure4 as multigating_figure4
from serflow.studies.multigating import gates
from serflow.studies.speakernorm import evaluations
from serflow.studies.temporal import receptive_fields
from serflow.transcripts.store import TRANSCRIPTS_SCHEMA

FEATURES = "features/{feature}/{corpus}/{condition}/{shard}.parquet"
SCHEMAS = {
    ("corpora/{corpus}/utterances.parquet", None): UTTERANCES_SCHEMA,
    ("corpora/{corpus}/listing.parquet", None): LISTING_SCHEMA,
    ("splits/{corpus}/{protocol}.parquet", None): SPLIT_SCHEMA,
    ("audio/{corpus}/{shard}.parquet", None): AUDIO_SCHEMA,
    ("packed/audio/{corpus}.parquet", None): WAVEFORMS_SCHEMA,
    ("noise/clips.parquet", None): CLIPS_SCHEMA,
    ("noise/{corpus}/{profile}.parquet", None): PLAN_SCHEMA,
    (FEATURES, "frames"): FRAMES_SCHEMA,
    (FEATURES, "vectors"): vectors_schema(7),
    ("packed/{feature}/{corpus}/{condition}.parquet", None): PACKED_SCHEMA,
    ("pulses/{corpus}/{shard}.parquet", None): PULSES_SCHEMA,
    ("transcripts/{recogniser}/{corpus}/{condition}/{shard}.parquet", None): TRANSCRIPTS_SCHEMA,
    ("runs/{study}/{cell}/predictions.parquet", None): PREDICTIONS_SCHEMA,
    ("runs/{study}/{cell}/history.parquet", None): HISTORY_SCHEMA,
    ("runs/{study}/{cell}/embeddings.parquet", None): EMBEDDINGS_SCHEMA,
    ("audit/fingerprints/{corpus}.parquet", None): FINGERPRINTS_SCHEMA,
    ("{study}/robustness/{cell}.parquet", None): SWEEP_SCHEMA,
}
HEADINGS = {
    "corpora/{corpus}/rejected.csv": REJECTED_COLUMNS,
    "corpora/{corpus}/duplicates.csv": Duplicate._fields,
    "audio/{corpus}/{shard}_rejected.csv": prepare_audio.REJECTED_COLUMNS,
    "noise/clips_rejected.csv": RejectedClip._fields,
    "noise/{corpus}/levels.csv": tabulate_levels.COLUMNS,
    "noise/{corpus}/{profile}/audio/plan.csv": PlanRow._fields,
    "transcripts/{recogniser}/wer.csv": tabulate_wer.COLUMNS,
    "{study}/{table}_vs_paper.csv": comparison.COLUMNS,
    "{study}/{table}_intervals.csv": intervals.COLUMNS,
    "{study}/premiums.csv": measure.COLUMNS,
    "{study}/claims.csv": claims_card.COLUMNS,
    "qc/{study}.csv": quality.COLUMNS,
    "audit/{study}.csv": audit.COLUMNS,
    "audit/near_duplicates/{corpus}.csv": NEAR_COLUMNS,
    "dlc/figure4.csv": figure4.COLUMNS,
    "dlc/pilot/{corpus}.csv": pilot.COLUMNS,
    "dlc/robustness.csv": robustness.COLUMNS,
    "dlc/shift.csv": shift.COLUMNS,
    "temporal/receptive_fields.csv": receptive_fields.COLUMNS,
    "multigating/figure3.csv": multigating_figure3.COLUMNS,
    "multigating/figure4.csv": multigating_figure4.COLUMNS,
    "multigating/gates.csv": gates.COLUMNS,
    "speakernorm/figure2.csv": evaluations.COLUMNS,
}
# by these files are merged
KEYS = ("utterance", "clip", "corpus", "profile", "condition", "run", "fold", "role")


@pytest.fixture(scope="module")
def page(repository: Path) -> Page:
    return Page(repository / "results" / "README.md", ["dlc"])


def promised(page: Page, pattern: str, kind: str | None = None) -> dict[str, str]:
    """Name and type of the columns that every study has."""
    (section,) = (found for found in page.sections if pattern in found.patterns and found.kind == kind)
    return {name: column.type for name, column in section.columns.items() if not column.studies and name != ANY}


def test_every_parquet_has_a_schema(page: Page) -> None:
    patterns = {
        (section.patterns[0], section.kind) for section in page.sections if section.patterns[0].endswith(".parquet")
    }
    assert patterns == SCHEMAS.keys()


@pytest.mark.parametrize(("pattern", "kind"), SCHEMAS)
def test_the_columns_are_those_that_are_written(page: Page, pattern: str, kind: str | None) -> None:
    schema = SCHEMAS[pattern, kind]
    assert promised(page, pattern, kind) == {field.name: column_type(field.type) for field in schema}


@pytest.mark.parametrize("pattern", HEADINGS)
def test_the_heading_of_a_csv_is_that_which_is_written(page: Page, pattern: str) -> None:
    assert sorted(promised(page, pattern)) == sorted(HEADINGS[pattern])


@pytest.mark.parametrize(("pattern", "kind"), SCHEMAS)
def test_what_a_row_is_about_is_called_alike(pattern: str, kind: str | None) -> None:
    """So that the obvious merge works."""
    of = {"noise/clips.parquet": "clip", "runs/{study}/{cell}/history.parquet": "fold"}
    assert of.get(pattern, "utterance") in SCHEMAS[pattern, kind].names[:4]
    assert "id" not in SCHEMAS[pattern, kind].names


def test_what_files_are_merged_by_has_one_type(page: Page) -> None:
    found = {
        (name, section.columns[name].type)
        for section in page.sections
        for name in section.columns.keys() & set(KEYS)
        # ESC-50's own folds are numbers
        if (section.patterns[0], name) != ("noise/clips.parquet", "fold")
    }
    assert {name for name, _ in found} == set(KEYS)
    assert found - {("run", "int32"), ("run", "integer")} == {(name, "string") for name in KEYS if name != "run"}


def test_a_listing_is_an_utterance_table_before_the_audio_was_read() -> None:
    assert [*LISTING_SCHEMA.names, "duration_s", "shard", "duplicate_of"] == UTTERANCES_SCHEMA.names


def split(names: list[str] | None = None, role: pa.DataType | None = None, **metadata: str) -> Callable[[Path], None]:
    """Return what writes a split: as it should be, or with other columns, another type or less metadata."""
    kinds = {name: role if name == "role" and role else pa.string() for name in names or SPLIT_SCHEMA.names}
    table = pa.schema(kinds.items()).empty_table()
    said = {"corpus": "toy", "protocol": "speaker-0", "unit": "speaker", "draw": "0", **metadata}
    about = {key: value for key, value in said.items() if value}
    return lambda path: write_table(path, table, kind="split", metadata=about)


def fits(**changed: object) -> Callable[[Path], None]:
    """Return what writes the scores of one fit: as they should be, or with other cells (None: without a column)."""
    row = {"method": "single", "run": 0, "fold": "none", "role": "test", "predicted": "prediction", "n": 9}
    row |= {"ua": "50.00", "wa": "-0.50", "wer": "", **changed}
    cells = {name: cell for name, cell in row.items() if cell is not None}
    return lambda path: write_csv(path, list(cells), [list(cells.values())])


SPLIT, FITS, FILES = "splits/toy/speaker-0.parquet", "dlc/table1_fits.csv", "noise/files.json"


@pytest.mark.parametrize(
    ("name", "write", "faults"),
    [
        (SPLIT, split(), []),
        (SPLIT, split(["utterance", "role"]), ["no column fold"]),
        (SPLIT, split(["utterance", "fold", "role", "id"]), ["column id is not on the page"]),
        (SPLIT, split(role=pa.int32()), ["column role is no string"]),
        (SPLIT, split(unit=""), ["no unit in its metadata"]),
        ("splits/speaker-0.parquet", split(), ["not on the page"]),
        ("features/mfb/toy/clean/0000.parquet", split(), ["kind 'split' is not on the page"]),
        (FITS, fits(), []),
        # the cell's own names are a study's, and so is what they are called
        (FITS, fits(experiment="exp1"), []),
        (FITS, fits(ua=None), ["no column ua"]),
        (FITS, fits(ua="0.5"), ["column ua is no percent"]),
        (FITS, fits(ua="50.0"), ["column ua is no percent"]),
        (FITS, fits(run="first"), ["column run is no integer"]),
        ("other/table1_fits.csv", fits(), ["not on the page"]),
        ("dlc/cells.txt", lambda path: path.write_text(""), ["not on the page"]),
        (FILES, lambda path: write_sealed_json(path, {"id": "x", "files": {}}), []),
        (FILES, lambda path: write_sealed_json(path, {"id": 1}), ["column id is no string", "no column files"]),
        ("logs/train_dlc/a/b.log", lambda path: path.write_text(""), []),
        ("runs/dlc/a/b/c/model.safetensors", lambda path: path.write_text(""), []),
        (".state", lambda path: path.write_text(""), []),
    ],
)
def test_what_is_not_as_promised_is_noticed(
    page: Page, tmp_path: Path, name: str, write: Callable[[Path], None], faults: list[str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    assert page.faults(tmp_path) == [f"{name}: {fault}" for fault in faults]


def test_bools_are_spelt_in_one_way(page: Page, tmp_path: Path) -> None:
    row = dict.fromkeys(tabulate_wer.COLUMNS)
    for number, (synthetic, faults) in enumerate({True: [], "yes": ["is no bool"], "true": ["is no bool"]}.items()):
        folder = tmp_path / str(number)
        write_csv(folder / "transcripts/asr/wer.csv", list(row), [list({**row, "synthetic": synthetic}.values())])
        assert page.faults(folder) == [f"transcripts/asr/wer.csv: column synthetic {fault}" for fault in faults]


def test_what_a_study_adds_is_of_its_own_files_alone(repository: Path, tmp_path: Path) -> None:
    page = Page(repository / "results" / "README.md", ["dlc", "toy"])
    table = pa.schema([*PREDICTIONS_SCHEMA, pa.field("gate", pa.string())]).empty_table()
    for study in page.studies:
        write_table(tmp_path / "runs" / study / "a/predictions.parquet", table, kind="predictions")
    assert page.faults(tmp_path) == ["runs/toy/a/predictions.parquet: column gate is not on the page"]
    assert page.unseen(tmp_path, "dlc") >= {"condition", "oracle_prediction", "test_snr_db"}
    assert "gate" not in page.unseen(tmp_path, "dlc")
    assert all("speaker" in page.unseen(tmp_path, study) for study in ("invariance", "temporal", "speakernorm"))
