"""A picture of one utterance: what the segment classifiers of a trained network say over time (section 2.2)."""

from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from serflow.audio.mel import SAMPLE_RATE
from serflow.backbones.weights import read_weights
from serflow.errors import StoreError
from serflow.report.frame import Margins, Words, framed
from serflow.report.marks import provenance_marks
from serflow.report.style import EMOTION_STYLES, FAINT, look_at
from serflow.stores.parquet import read_table
from serflow.stores.waveforms import PackedWaveforms
from serflow.studies.temporal.catalog import load_network
from serflow.studies.temporal.data import Batch
from serflow.studies.temporal.front_end import LogMelFrontEnd
from serflow.studies.temporal.network import Network, Wav2VecFrontEnd
from serflow.studies.temporal.networks import Trained, read_trained, rebuild
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.segment_net import SegmentNet

FloatArray = npt.NDArray[np.floating]
_WIDTH, _HEIGHT, _GAP = 8.0, 1.5, 0.5
_MARGINS = Margins(left=0.85, right=0.4, top=1.15, bottom=0.68)
_RECORD = Path("resources/weights/wav2vec.json")


class Tested(NamedTuple):
    """What a fit said of the utterance when the run was made."""

    run: int
    fold: str
    role: str
    label: str
    prediction: str


class Segments(NamedTuple):
    """Posteriors over time.

    Parameters
    ----------
    times
        Middle of each segment (s), ``(segments,)``.
    posteriors
        Of each segment classifier, ``(classifiers, segments, classes)``.
    field_ms
        Time that a segment sees around its middle (ms).
    before_ms
        Time before that which it sees through the context network of wav2vec (ms).
    """

    times: FloatArray
    posteriors: FloatArray
    field_ms: float
    before_ms: float


def picture(folder: Path, results: Path, utterance: str) -> Figure:
    """Draw the log-mel spectrogram of an utterance, and below it the posteriors of each segment classifier.

    The network is that of the first fit that tested the utterance; where none did, of the first that it validated.

    Parameters
    ----------
    folder
        Of the run.
    results
        The folder that the workflow wrote, with the audio; weights lie beside it.
    utterance
        Name.

    Raises
    ------
    StoreError
        If the network has no segment classifiers, the run did not test the utterance, or a file that is needed is
        absent, damaged, or another than the run was made from.
    WeightsError
        If the weights of wav2vec are not those of their record.
    """
    predictions = folder / "predictions.parquet"
    trained = read_trained(predictions)
    if trained.info.network != "segment_net" or not trained.options.segment_net.segments:
        raise StoreError(
            f"{folder}: {trained.name} has no segment classifiers to look at; give a run of wav2vec with some, such as "
            "the variant none-2"
        )
    tested = _read_tested(predictions, utterance)
    waveform = _read_waveform(results, trained, utterance)
    weights = _wav2vec(results, trained) if trained.info.reads == "wav2vec" else None
    network = rebuild(trained, folder / "model.safetensors", weights, f"{tested.run}/{tested.fold}")
    segments = classify_segments(network, load_network(trained.info.network), waveform, len(trained.classes))
    return _draw(trained, tested, utterance, waveform, segments)


def _read_tested(predictions: Path, utterance: str) -> Tested:
    rows = read_table(predictions, columns=["utterance", *Tested._fields]).to_pylist()
    found = [row for row in rows if row.pop("utterance") == utterance]
    if not found:
        raise StoreError(f"{predictions}: no fit tested or validated {utterance}; give an utterance that one did")
    return Tested(**min(found, key=lambda row: row["role"] != "test"))


def _read_waveform(results: Path, trained: Trained, utterance: str) -> Tensor:
    """Return the samples of an utterance, ``(n_samples,)``, from the very audio that the run was made from."""
    index = results / "packed" / "audio" / f"{trained.cell.corpus}.parquet"
    if not index.is_file():
        raise StoreError(
            f"{index}: no such file, and the segments of {utterance} are classified from its audio; build it with "
            f"`snakemake --cores 2 results/packed/audio/{index.name}`"
        )
    audio = PackedWaveforms.open(index)
    found = {"audio": audio.metadata["data_sha256"], "audio/array": audio.metadata["array_sha256"]}
    _require_same(trained, found, index)
    return torch.from_numpy(audio.waveform(audio.row_of[utterance]))


def _wav2vec(results: Path, trained: Trained) -> Path:
    """Return where the weights lie that the run began with: what it did not train of them is in no other file."""
    record = results.absolute().parent / _RECORD
    weights = read_weights(record)
    _require_same(trained, {f"weights/0/{name}": digest for name, digest in weights.files.items()}, record)
    return record.parents[2] / weights.path


def _require_same(trained: Trained, digests: dict[str, str], path: Path) -> None:
    """Refuse a file that is another than the run was made from."""
    if any(trained.provenance.sources.get(name) != digest for name, digest in digests.items()):
        raise StoreError(
            f"{path}: another than {trained.name} was made from; run `snakemake --cores 2 results/runs/temporal/"
            f"{trained.name}/metrics.json`, which trains it anew"
        )


def classify_segments(network: Network[SegmentNet], method: ModuleType, waveform: Tensor, n_classes: int) -> Segments:
    """Return what each segment classifier says of a waveform ``(n_samples,)``."""
    batch = Batch(waveform[None], None, torch.tensor([len(waveform)]), torch.zeros(1), None, torch.zeros(1, n_classes))
    network.eval()
    with torch.no_grad():
        found = method.find(network, batch)
    posteriors = torch.stack([logits[0, : int(found.lengths[0])].softmax(1) for logits in found.segments]).numpy()
    cnn, hop_ms = network.classifier.cnn, network.hop_ms
    frame_ms, first_ms = network.window_ms, (cnn.field - 1) / 2 * hop_ms
    if isinstance(network.front_end, Wav2VecFrontEnd):
        # a frame of the encoder begins with its samples, one of log-mel has them around it
        frame_ms = 1000 * network.front_end.network.geometry.field / SAMPLE_RATE
        first_ms += frame_ms / 2
    times = (first_ms + cnn.hop * hop_ms * np.arange(posteriors.shape[1])) / 1000
    return Segments(times, posteriors, frame_ms + (cnn.field - 1) * hop_ms, network.window_ms - frame_ms)


def _draw(trained: Trained, tested: Tested, utterance: str, waveform: Tensor, segments: Segments) -> Figure:
    looks = {
        name: {"color": EMOTION_STYLES[name]["color"]}
        if set(trained.classes) <= EMOTION_STYLES.keys()
        else look_at(place).line
        for place, name in enumerate(trained.classes)
    }
    n = len(segments.posteriors)
    before = f", and {segments.before_ms:.0f} ms before that through wav2vec's context" if segments.before_ms else ""
    figure, ((top,), *panels) = framed(
        Words(
            f"{utterance} · {' · '.join(trained.name.split('/'))}",
            f"Run {tested.run}, fold {tested.fold}, {_ROLES[tested.role]}: {tested.label}, "
            f"classified as {tested.prediction}",
            provenance_marks(trained.provenance),
            [Line2D([], [], label=name, **look) for name, look in looks.items()],
            note=f"Below: the posterior of each emotion, at the middle of each segment. A segment sees "
            f"{segments.field_ms:.0f} ms around it{before}. Dotted: chance.",
        ),
        (1 + n, 1),
        (_WIDTH, (1 + n) * (_HEIGHT + _GAP) - _GAP),
        _MARGINS,
        (0.0, _GAP),
        sharex=True,
    )
    _draw_spectrogram(top, trained.options, waveform)
    for place, ((axes,), posteriors) in enumerate(zip(panels, segments.posteriors, strict=True)):
        axes.set_title(f"Segment classifier {place + 1}")
        for name, values in zip(trained.classes, posteriors.T, strict=True):
            axes.plot(
                segments.times, values, label=name, marker="." if len(values) == 1 else "", linewidth=1.3, **looks[name]
            )
        axes.axhline(1 / len(trained.classes), color=FAINT, linestyle=(0, (1, 2)), linewidth=0.9)
        axes.set_ylim(0, 1)
        axes.set_ylabel("posterior", color=FAINT)
    panels[-1][0].set_xlabel("time (s)", color=FAINT)
    return figure


_ROLES = {"test": "tested", "val": "validated"}


def _draw_spectrogram(axes: Axes, options: Options, waveform: Tensor) -> None:
    """Draw the log-mel frames of a waveform ``(n_samples,)``, each around the time that it is centred on."""
    front_end = LogMelFrontEnd(options.framing)
    frames = front_end(waveform[None], torch.tensor([len(waveform)]), torch.zeros(1))[0].numpy()
    low, high = np.percentile(frames, [1, 99])
    hop_s = front_end.hop / SAMPLE_RATE
    axes.imshow(
        frames.T, origin="lower", aspect="auto", interpolation="nearest", cmap="magma",
        extent=(-hop_s / 2, (len(frames) - 0.5) * hop_s, 0, front_end.n_mels), vmin=low, vmax=max(high, low + 1),
        rasterized=True,
    )  # fmt: skip
    axes.grid(False)
    axes.set_xlim(0, len(waveform) / SAMPLE_RATE)
    axes.set_title(f"Log-mel spectrogram, {options.framing.window_ms:g} ms every {options.framing.hop_ms:g} ms")
    axes.set_ylabel("mel band", color=FAINT)
