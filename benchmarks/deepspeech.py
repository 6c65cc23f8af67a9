"""DeepSpeech through our recogniser against a bare call of its library, and a narrow beam against the published one.

``python benchmarks/deepspeech.py [--engine FILE] [--weights FILE] [--data DIR]``: the library is fetched if it is not
there; without weights a model of random numbers, ``--hidden`` wide (the published one has 2048); DIR holds EmoDB
(DIR/emodb), without it speech-like noise. Audio-seconds per second of processor time over all threads, all contenders
in one run by turns. One JSON line a comparison; ``ratio`` is ours over the peer's, so above 1 ours is faster.
"""

import argparse
import ctypes
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import numpy.typing as npt

from _common import print_comparison
from features import real_audio, speech_like
from serflow.backbones._deepspeech_frontend import N_INPUTS
from serflow.backbones._deepspeech_graph import BLANK, AcousticModel, Affine, map_pb, write_pb
from serflow.backbones.deepspeech import load
from serflow.features.base import FloatArray
from serflow.stages.fetch_deepspeech import main as fetch

UNIT = "audio-s/core-s"
REPEATS = 3


def random_model(n_hidden: int) -> AcousticModel:
    """Return a model of random numbers that is as sure of its symbols as a trained one."""
    rng = np.random.default_rng(0)

    def layer(n_in: int, n_out: int, scale: float = 1.0) -> Affine:
        weights = rng.normal(0.0, scale * np.sqrt(2 / (n_in + n_out)), (n_in, n_out))
        return Affine(weights.astype(np.float32), np.zeros(n_out, np.float32))

    return AcousticModel(
        dense1=layer(N_INPUTS, n_hidden),
        dense2=layer(n_hidden, n_hidden),
        dense3=layer(n_hidden, n_hidden),
        lstm=layer(2 * n_hidden, 4 * n_hidden),
        dense5=layer(n_hidden, n_hidden),
        output=layer(n_hidden, BLANK + 1, scale=30.0),
    )


def bare_call(engine: Path, graph: Path, beam_width: int) -> Callable[[npt.NDArray[np.int16]], str]:
    """Return the library's own function from samples to text, as it comes: threads for all processors."""
    library = ctypes.CDLL(str(engine.absolute()))
    library.DS_SpeechToText.restype = ctypes.c_void_p
    model = ctypes.c_void_p()
    if library.DS_CreateModel(str(graph).encode(), ctypes.byref(model)):
        raise SystemExit(f"{graph}: the library cannot load it")
    library.DS_SetModelBeamWidth(model, beam_width)

    def decode(pcm16: npt.NDArray[np.int16]) -> str:
        address = library.DS_SpeechToText(model, ctypes.c_void_p(pcm16.ctypes.data), len(pcm16))
        text = ctypes.string_at(address).decode()
        library.DS_FreeString(ctypes.c_void_p(address))
        return text

    return decode


def processor_seconds(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least processor time (s) of each contender; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return {name: min(taken) for name, taken in times.items()}


def compare(engine: Path, graph: Path, audio: list[FloatArray]) -> None:
    pcm16 = [np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16) for waveform in audio]
    narrow, wide = (load(graph, "cpu", "fp32", engine=engine, beam_width=width) for width in (32, 500))
    bare, bare_wide = (bare_call(engine, graph, width) for width in (32, 500))
    texts = [transcript.text for transcript in narrow.transcribe(audio)]
    assert texts == [" ".join(bare(samples).split()) for samples in pcm16], "ours and the bare call differ"
    few = slice(0, max(1, len(audio) // 10))
    taken = processor_seconds(
        {
            "ours": lambda: narrow.transcribe(audio),
            "bare": lambda: [bare(samples) for samples in pcm16],
            "ours few": lambda: narrow.transcribe(audio[few]),
            "ours wide": lambda: wide.transcribe(audio[few]),
            "bare wide": lambda: [bare_wide(samples) for samples in pcm16[few]],
        }
    )
    seconds, seconds_few = (sum(map(len, each)) / 16_000 for each in (audio, audio[few]))
    speed = {name: (seconds if name in ("ours", "bare") else seconds_few) / taken[name] for name in taken}
    print_comparison("deepspeech, beam 32, peer bare call", speed["ours"], speed["bare"], UNIT)
    print_comparison("deepspeech, beam 500, peer bare call", speed["ours wide"], speed["bare wide"], UNIT)
    print_comparison("deepspeech, beam 32, peer beam 500", speed["ours few"], speed["ours wide"], UNIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, default=Path("resources/deepspeech/libdeepspeech.so"))
    parser.add_argument("--weights", type=Path, help=".pbmm or .pb (default: random numbers)")
    parser.add_argument("--hidden", type=int, default=96, help="width of the random model (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder that holds emodb/")
    parser.add_argument("--utterances", type=int, default=40, help="how many (default: %(default)s)")
    arguments = parser.parse_args()
    audio = (
        speech_like(arguments.utterances)
        if arguments.data is None
        else real_audio(arguments.data, arguments.utterances)
    )
    with tempfile.TemporaryDirectory() as folder:
        graph = arguments.weights or Path(folder) / "random.pbmm"
        if arguments.weights is None:
            graph.write_bytes(map_pb(write_pb(random_model(arguments.hidden), 32)))
        engine = arguments.engine
        if not engine.exists():
            engine = Path(folder) / engine.name
            fetch(argparse.Namespace(engine=engine, wheel=None))
        compare(engine, graph, audio)


if __name__ == "__main__":
    main()
