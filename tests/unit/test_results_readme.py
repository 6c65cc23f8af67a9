"""The columns that results/README.md promises are those that are written."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from serflow.audio.prepared import AUDIO_SCHEMA
from serflow.corpora._tables import LISTING_SCHEMA, UTTERANCES_SCHEMA
from serflow.noise.mixing import PLAN_SCHEMA
from serflow.runs.artefacts import EMBEDDINGS_SCHEMA, HISTORY_SCHEMA, PREDICTIONS_SCHEMA
from serflow.stages.prepare_clips import CLIPS_SCHEMA
from serflow.stages.split_utterances import SPLIT_SCHEMA
from serflow.stores.frames import FRAMES_SCHEMA
from serflow.transcripts.store import TRANSCRIPTS_SCHEMA

SCHEMAS = {
    "corpora/{corpus}/utterances.parquet": UTTERANCES_SCHEMA,
    "splits/{corpus}/{protocol}.parquet": SPLIT_SCHEMA,
    "audio/{corpus}/{shard}.parquet": AUDIO_SCHEMA,
    "noise/clips.parquet": CLIPS_SCHEMA,
    "noise/{corpus}/{profile}.parquet": PLAN_SCHEMA,
    "features/{feature}/{corpus}/{condition}/{shard}.parquet": FRAMES_SCHEMA,
    "transcripts/{recogniser}/{corpus}/{condition}/{shard}.parquet": TRANSCRIPTS_SCHEMA,
    "runs/{study}/{cell}/predictions.parquet": PREDICTIONS_SCHEMA,
    "runs/{study}/{cell}/history.parquet": HISTORY_SCHEMA,
    "runs/{study}/{cell}/embeddings.parquet": EMBEDDINGS_SCHEMA,
}


@pytest.fixture(scope="module")
def promised(repository: Path) -> dict[str, list[tuple[str, str]]]:
    """Name and type of the columns of each artefact, by its path."""
    page = (repository / "results" / "README.md").read_text()
    sections = re.findall(r"^### `(.+?)`\n(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL)
    return {path: re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE) for path, text in sections}


def test_every_artefact_has_a_section(promised):
    assert promised.keys() == SCHEMAS.keys()


@pytest.mark.parametrize("path", SCHEMAS)
def test_the_columns_are_those_that_are_written(promised, path):
    schema: pa.Schema = SCHEMAS[path]
    assert promised[path] == [(field.name, str(field.type)) for field in schema]


@pytest.mark.parametrize("path", SCHEMAS)
def test_what_a_row_is_about_is_called_alike(path):
    """So that the obvious merge works."""
    assert ("clip" if path == "noise/clips.parquet" else "utterance") in (
        *SCHEMAS[path].names[:4],
    ) or "history" in path


def test_a_listing_is_an_utterance_table_before_the_audio_was_read():
    assert [*LISTING_SCHEMA.names, "duration_s", "shard"] == UTTERANCES_SCHEMA.names
