"""What there is to say of an artefact, whatever it is."""

from collections.abc import Callable
from pathlib import Path

from serflow.errors import StoreError
from serflow.inspection.describers import corpora, features, files, noise, pulses, runs, transcripts, waveforms
from serflow.inspection.description import Description
from serflow.inspection.kinds import FEATURE_KINDS, RUN, kind_of
from serflow.inspection.paths import require_path
from serflow.stores.pulses import PULSES_KIND
from serflow.stores.waveforms import WAVEFORMS_KIND
from serflow.transcripts.store import TRANSCRIPTS_KIND

_DESCRIBERS: dict[str, Callable[[Path], Description]] = {
    **dict.fromkeys(FEATURE_KINDS, features.describe_features),
    "utterances": corpora.describe_utterances,
    "listing": corpora.describe_utterances,
    "split": corpora.describe_split,
    "audio": corpora.describe_audio,
    WAVEFORMS_KIND: waveforms.describe_waveforms,
    PULSES_KIND: pulses.describe_pulses,
    "noise_plan": noise.describe_plan,
    "clips": noise.describe_clips,
    TRANSCRIPTS_KIND: transcripts.describe_transcripts,
    RUN: runs.describe_run,
    "predictions": runs.describe_rows,
    "history": runs.describe_rows,
    "embeddings": runs.describe_rows,
    "noise_sweep": runs.describe_rows,
    "csv": files.describe_csv,
    "json": files.describe_json,
    "safetensors": files.describe_weights,
}
_OF_UTTERANCES: dict[str, Callable[[Path, str], Description]] = {
    **dict.fromkeys(FEATURE_KINDS, features.describe_utterance),
    TRANSCRIPTS_KIND: transcripts.describe_transcript,
    RUN: runs.describe_tested,
}


def describe(path: Path, utterance: str | None = None) -> Description:
    """Describe an artefact: a feature store, a table of the workflow, a run, a CSV or JSON file.

    Parameters
    ----------
    path
        File, or folder of shards or of a run.
    utterance
        Describe this utterance of a feature store, of transcripts or of a run alone.

    Raises
    ------
    StoreError
        If there is no such path, or what is there is damaged.
    """
    kind = kind_of(require_path(path))
    if utterance is None:
        return _DESCRIBERS.get(kind, files.describe_generic)(path)
    if kind not in _OF_UTTERANCES:
        raise StoreError(f"{path}: holds {kind}; --utterance goes with a store of features, transcripts or a run")
    return _OF_UTTERANCES[kind](path, utterance)
