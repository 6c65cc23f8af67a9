"""Stage: the words of a shard of audio. ``python -m serflow.stages.transcribe --help``.

Noise is mixed in as the audio is read. The recogniser ``reference`` listens to nothing and takes the corpus's own
text. An utterance that cannot be recognised is listed with its reason in the metadata of the shard
(``rejected``), and in the log; the time that recognition takes stands in the log as well.
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serflow.audio.decode import SAMPLE_RATE
from serflow.audio.prepared import FloatArray, PreparedUtterance, iterate_prepared
from serflow.backbones.base import Recogniser, Transcript, load_recogniser
from serflow.backbones.weights import read_weights
from serflow.errors import AudioError, ConfigError, WeightsError
from serflow.progress import progress
from serflow.reasons import by_reason
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stages._noisy import stand_ins, waveform_reader
from serflow.stores.groups import grouped
from serflow.stores.parquet import count_rows, read_metadata
from serflow.transcripts.references import REFERENCE, check_complete, check_language, read_references
from serflow.transcripts.scoring import count_errors
from serflow.transcripts.store import TranscriptRow, write_transcripts
from serflow.transcripts.words import normalise

log = logging.getLogger(__name__)
_GROUP = 64
"""Utterances given to a recogniser at once; it batches them as it likes."""


def _load(arguments: argparse.Namespace) -> tuple[Recogniser | None, dict[str, Any]]:
    """Return the recogniser, None for ``reference``, and what the metadata say of it."""
    given = (arguments.options is not None, arguments.weights is not None)
    if given != (arguments.recogniser != REFERENCE,) * 2:
        raise ConfigError(
            f"--recogniser {arguments.recogniser}: give --options and --weights with a recogniser, "
            f"and neither with {REFERENCE}"
        )
    if arguments.recogniser == REFERENCE:
        return None, {}
    weights = read_weights(arguments.weights)
    options = dict(arguments.options)
    name, device, precision = (options.pop(key) for key in ("backbone", "device", "precision"))
    recogniser = load_recogniser(name, Path(weights.path), device, precision, **options)
    if recogniser.sample_rate != SAMPLE_RATE:
        raise WeightsError(
            f"{weights.path}: takes audio at {recogniser.sample_rate} Hz where prepared audio has {SAMPLE_RATE}; "
            f"set backbones.{name}.weights to a recogniser of {SAMPLE_RATE} Hz"
        )
    options.pop("engine", None)
    return recogniser, {
        "backbone": {"name": name, "precision": precision, **recogniser.description},
        "parameters": options,
        "weights": weights.describe(),
    }


def _attempt(recogniser: Recogniser, waveform: FloatArray) -> Transcript | AudioError:
    try:
        return recogniser.transcribe([waveform])[0]
    except AudioError as error:
        return error


def _recognise(recogniser: Recogniser, waveforms: Sequence[FloatArray]) -> list[Transcript | AudioError]:
    """Return the transcript of each utterance, or the reason why it has none."""
    try:
        return list(recogniser.transcribe(waveforms))
    except AudioError:
        log.info("an utterance among %d cannot be recognised; going through them one by one", len(waveforms))
    return [_attempt(recogniser, waveform) for waveform in waveforms]


def _row(item: PreparedUtterance, text: str, confidence: float | None, reference: str | None) -> TranscriptRow:
    errors = None if reference is None else count_errors(reference, text)
    return TranscriptRow(
        item.utterance,
        text,
        confidence,
        reference,
        None if errors is None else errors.wer,
        None if errors is None else errors.cer,
        len(item.pcm16) / SAMPLE_RATE,
    )


class _Shard:
    """The transcripts of a shard, made as they are iterated over; ``rejected`` and times are known afterwards."""

    def __init__(
        self,
        recogniser: Recogniser | None,
        texts: Mapping[str, str | None],
        waveform_of: Callable[[PreparedUtterance], FloatArray],
    ) -> None:
        self.recogniser = recogniser
        self.texts = texts
        self.waveform_of = waveform_of
        self.rejected: dict[str, str] = {}
        self.audio_s = self.decoding_s = 0.0

    def rows(self, group: Sequence[PreparedUtterance]) -> Iterator[TranscriptRow]:
        """Yield the transcripts of some utterances."""
        if self.recogniser is None:
            for item in group:
                reference = self.texts[item.utterance]
                assert reference is not None
                yield _row(item, reference, None, reference)
            return
        waveforms = [self.waveform_of(item) for item in group]
        start = time.monotonic()
        results = _recognise(self.recogniser, waveforms)
        self.decoding_s += time.monotonic() - start
        self.audio_s += sum(map(len, waveforms)) / SAMPLE_RATE
        for item, result in zip(group, results, strict=True):
            if isinstance(result, AudioError):
                self.rejected[item.utterance] = str(result)
                log.info("%s has no transcript: %s", item.utterance, result)
            else:
                reference = self.texts[item.utterance]
                yield _row(item, normalise(result.text), result.confidence, reference)


def main(arguments: argparse.Namespace) -> None:
    """Write the words of the utterances of ``--audio`` to ``--transcripts``."""
    waveform_of = waveform_reader(arguments.condition, arguments.corpus, arguments.plan, arguments.clips)
    references = read_references(arguments.utterances, arguments.audio, arguments.corpus)
    if arguments.recogniser == REFERENCE:
        check_complete(references, arguments.utterances, arguments.corpus)
    else:
        check_language(references, arguments.recogniser, arguments.utterances, arguments.corpus)
    recogniser, network = _load(arguments)
    files = {
        "audio": arguments.audio,
        "utterances": arguments.utterances,
        "plan": arguments.plan,
        "clips": arguments.clips,
    }
    described = {name: read_metadata(path) for name, path in files.items() if path is not None}
    shard = _Shard(recogniser, references.texts, waveform_of)

    def metadata() -> dict[str, Any]:
        return {
            "recogniser": arguments.recogniser,
            **network,
            "corpus": arguments.corpus,
            "condition": arguments.condition,
            "language": ", ".join(sorted(references.languages)),
            "stand_ins": stand_ins(described, network),
            "code": arguments.code,
            "shard": described["audio"]["shard"],
            "n_shards": described["audio"]["n_shards"],
            "rejected": shard.rejected,
            "sources": {name: entries["data_sha256"] for name, entries in described.items()},
        }

    audio = iterate_prepared(arguments.audio, expect={"corpus": arguments.corpus})
    shown = progress(audio, count_rows(arguments.audio), f"transcribing with {arguments.recogniser}")
    groups = (list(shard.rows(group)) for group in grouped(shown, _GROUP))
    written = write_transcripts(arguments.transcripts, groups, metadata)
    log.info("%d utterances, %s; %d rejected", written, arguments.condition, len(shard.rejected))
    if shard.rejected:
        log.warning(
            "%s, %s: %d of %d utterances have no transcript of %s (%s); see the log",
            arguments.corpus, arguments.condition, len(shard.rejected), written + len(shard.rejected),
            arguments.recogniser, by_reason(shard.rejected.values()),
        )  # fmt: skip
    if shard.decoding_s:
        rate = shard.audio_s / shard.decoding_s
        log.info("%.1f s of audio recognised in %.1f s, %.1f times real time", shard.audio_s, shard.decoding_s, rate)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--recogniser", required=True, help="deepspeech, wav2vec2 or reference")
    parser.add_argument(
        "--options", type=json_option, help="JSON: backbone, device, precision and the recogniser's own options"
    )
    parser.add_argument("--weights", type=Path, help="record of the weights (resources/weights/NAME.json)")
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--condition", required=True, help="clean, or a noise profile")
    parser.add_argument("--audio", type=Path, required=True, help="shard of prepared audio")
    parser.add_argument("--plan", type=Path, help="noise plan of the corpus in that profile")
    parser.add_argument("--clips", type=Path, help="noise clips (clips.parquet)")
    parser.add_argument("--utterances", type=Path, required=True, help="the corpus's utterances.parquet")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file's metadata")
    parser.add_argument("--transcripts", type=Path, required=True, help="output: Parquet shard of transcripts")
    run_stage(parser, main)
