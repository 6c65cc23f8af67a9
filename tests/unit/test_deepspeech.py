"""DeepSpeech's own library on models that we write: front end, graph, decoding, and what is refused."""

import gc
import logging
import multiprocessing
import os
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from deepspeech_parts import noise_bursts, random_model, shared_engine
from serflow.backbones import _deepspeech_engine as engine_module
from serflow.backbones._deepspeech_engine import Decoded, Model, open_engine
from serflow.backbones._deepspeech_frontend import in_context, mfcc
from serflow.backbones._deepspeech_graph import ALPHABET, BLANK, _Graph, map_pb, write_pb
from serflow.backbones.base import Recogniser, load_recogniser
from serflow.backbones.deepspeech import DeepSpeech, load
from serflow.errors import AudioError, ConfigError, SerflowError, WeightsError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="DeepSpeech's library is for Linux x86_64"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return shared_engine(tmp_path_factory)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "random.pbmm"
    path.write_bytes(map_pb(write_pb(random_model(), beam_width=32)))
    return path


@pytest.fixture(scope="module")
def recogniser(engine, graph):
    return load(graph, "cpu", "fp32", engine=engine)


def log_probabilities(model, pcm16):
    """Run a model on an utterance in double precision: front end of ours, layers as in the paper."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def dense(x, layer):
        return x @ layer.weights.astype(np.float64) + layer.bias

    x = in_context(mfcc(pcm16)).astype(np.float64)
    for layer in (model.dense1, model.dense2, model.dense3):
        x = np.clip(dense(x, layer), 0, 20)
    n_hidden = model.lstm.bias.size // 4
    cell, state, states = np.zeros(n_hidden), np.zeros(n_hidden), []
    for row in x:
        entered, new, forgotten, shown = np.split(dense(np.concatenate([row, state]), model.lstm), 4)
        cell = sigmoid(forgotten) * cell + sigmoid(entered) * np.tanh(new)
        state = sigmoid(shown) * np.tanh(cell)
        states.append(state)
    logits = dense(np.clip(dense(np.array(states), model.dense5), 0, 20), model.output)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def text_of(symbols):
    """Return what CTC makes of a symbol per frame."""
    kept = [symbol for position, symbol in enumerate(symbols) if position == 0 or symbol != symbols[position - 1]]
    return "".join(ALPHABET[symbol] for symbol in kept if symbol != BLANK)


# around 16 frames (5312 samples), which the library runs at once
@pytest.mark.parametrize(
    ("seed", "n_samples"), [(0, 3000), (1, 5119), (2, 5311), (3, 5312), (4, 5313), (5, 7000), (6, 9000)]
)
def test_probability_of_the_text_is_that_of_the_reference(engine, tmp_path, seed, n_samples):
    model, pcm16 = random_model(seed=seed, sharpness=120.0), noise_bursts(n_samples, seed)
    path = tmp_path / "model.pb"
    path.write_bytes(write_pb(model, beam_width=2000))
    reference = log_probabilities(model, pcm16)
    with Model(engine, path) as loaded:
        assert (loaded.sample_rate, loaded.beam_width) == (16_000, 2000)
        decoded = loaded.decode(pcm16)
    # all alignments of that text, which a wide beam sums up
    symbols = torch.tensor([ALPHABET.index(symbol) for symbol in decoded.text])
    expected = -torch.nn.functional.ctc_loss(
        torch.from_numpy(reference), symbols, [len(reference)], [len(symbols)], blank=BLANK, reduction="sum"
    )
    assert len(decoded.text) >= 3
    assert decoded.confidence == pytest.approx(expected.item(), abs=1e-3)


def test_beam_of_one_takes_the_best_symbol_of_each_frame(engine, tmp_path):
    equal = 0
    for seed in range(8):
        model, pcm16 = random_model(seed=seed, sharpness=60.0), noise_bursts(16_000, seed)
        path = tmp_path / f"model{seed}.pbmm"
        path.write_bytes(map_pb(write_pb(model, beam_width=1)))
        reference = log_probabilities(model, pcm16)
        with Model(engine, path) as loaded:
            decoded = loaded.decode(pcm16)
        equal += decoded.text == text_of(reference.argmax(axis=1).tolist()) and decoded.confidence == pytest.approx(
            reference.max(axis=1).sum(), abs=5e-3
        )
    # elsewhere two alignments of one text were summed
    assert equal >= 5


@pytest.mark.parametrize("n_samples", [1, 160, 511, 512, 831, 832, 833, 16_000])
def test_frames_are_those_of_a_window_of_32_ms_each_20_ms(n_samples):
    frames = mfcc(noise_bursts(n_samples))
    assert frames.shape == ((1 if n_samples < 512 else 2 + (n_samples - 512) // 320), 26)
    windows = in_context(frames).reshape(len(frames), 19, 26)
    np.testing.assert_array_equal(windows[:, 9], frames)
    assert not windows[0, :9].any()
    assert not windows[-1, 10:].any()


def test_cepstra_of_silence_and_of_twice_the_level():
    silence = mfcc(np.zeros(512, np.int16))
    # log(1e-12) in all 40 bands: the DCT's first column sums them
    assert silence[0, 0] == pytest.approx(np.sqrt(2 / 40) * 40 * np.log(1e-12), rel=1e-6)
    np.testing.assert_allclose(silence[:, 1:], 0, atol=1e-4)
    # twice the level adds log(2) to each band
    louder = mfcc(2 * noise_bursts(4000)) - mfcc(noise_bursts(4000))
    np.testing.assert_allclose(louder[:-1, 0], np.sqrt(2 * 40) * np.log(2), rtol=1e-4)
    np.testing.assert_allclose(louder[:-1, 1:], 0, atol=1e-3)


def test_pb_and_pbmm_give_the_same(engine, graph, recogniser, tmp_path):
    (tmp_path / "same.pb").write_bytes(write_pb(random_model(), beam_width=32))
    waveforms = [noise_bursts(n).astype(np.float32) / 32768 for n in (9000, 20_000)]
    assert load(tmp_path / "same.pb", "auto", "fp32", engine=engine).transcribe(waveforms) == (
        recogniser.transcribe(waveforms)
    )


def test_it_is_a_recogniser_and_says_how_it_works(engine, graph):
    recogniser = load_recogniser("deepspeech", graph, engine=str(engine), beam_width=7)
    assert isinstance(recogniser, Recogniser)
    assert recogniser.sample_rate == 16_000
    assert recogniser.description["beam_width"] == 7
    assert recogniser.description["language_model"] is False
    assert "natural logarithm" in recogniser.description["confidence"]


def test_an_utterance_does_not_depend_on_those_before_it(recogniser):
    waveforms = [noise_bursts(n, seed=n).astype(np.float32) / 32768 for n in (16_000, 700, 40_000)]
    together = recogniser.transcribe(waveforms)
    assert together == [recogniser.transcribe([waveform])[0] for waveform in reversed(waveforms)][::-1]
    assert len({transcript.text for transcript in together}) == 3


def test_samples_are_rounded_and_clipped(engine, graph, recogniser):
    pcm16 = noise_bursts(12_000).astype(np.int64) * 12
    assert np.abs(pcm16).max() > 40_000
    with Model(engine, graph) as model:
        expected = model.decode(np.clip(pcm16, -32768, 32767).astype(np.int16))
    transcript = recogniser.transcribe([((pcm16 + 0.4) / 32768).astype(np.float32)])[0]
    assert transcript == (expected.text.strip(), expected.confidence)


@pytest.mark.parametrize("n_samples", [1, 160, 320, 512])
def test_the_shortest_audio_gives_a_result(recogniser, n_samples):
    for waveform in (np.zeros(n_samples, np.float32), noise_bursts(n_samples).astype(np.float32) / 32768):
        (transcript,) = recogniser.transcribe([waveform])
        assert np.isfinite(transcript.confidence)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(0, np.float32),
        np.zeros((2, 100), np.float32),
        np.zeros(100, np.int16),
        np.full(100, np.nan, np.float32),
        np.full(100, np.inf, np.float32),
    ],
    ids=["empty", "stereo", "int16", "nan", "inf"],
)
def test_what_is_no_waveform_is_refused(recogniser, waveform):
    with pytest.raises(AudioError, match="waveform"):
        recogniser.transcribe([waveform])


def test_text_is_in_small_letters_with_single_blanks():
    class Loud:
        sample_rate = 16_000

        def decode(self, pcm16):
            return Decoded("  Keep  IT'S\tplace ", -1.5)

    recogniser = DeepSpeech(Loud(), {})
    assert recogniser.transcribe([np.zeros(10, np.float32)]) == [("keep it's place", -1.5)]


def damaged(path, content):
    path.write_bytes(content)
    return path


def damages(folder):
    pb = write_pb(random_model(), 32)
    pbmm = map_pb(pb)
    html = b"<!DOCTYPE html><html><body>Not Found</body></html>"
    return {
        "empty.pbmm": b"",
        "empty.pb": b"",
        "truncated.pbmm": pbmm[: len(pbmm) // 2],
        "cut.pbmm": pbmm[:-1],
        "truncated.pb": pb[: len(pb) // 2],
        "html.pbmm": html,
        "html.pb": html,
        "far.pbmm": pbmm[:-8] + struct.pack("<Q", 1 << 60),
    }


@pytest.mark.parametrize("name", damages(None))
def test_a_damaged_model_is_refused_in_the_words_of_the_library(engine, tmp_path, name, capfd):
    path = damaged(tmp_path / name, damages(tmp_path)[name])
    with pytest.raises(WeightsError, match=rf"{name}: refused .*code 0x[23]00\d: .*backbones\.deepspeech\.weights"):
        load(path, "cpu", "fp32", engine=engine)
    assert capfd.readouterr().err == ""


def test_a_damaged_scorer_is_refused(engine, graph, tmp_path):
    (tmp_path / "model.pbmm").write_bytes(graph.read_bytes())
    scorer = damaged(tmp_path / "language.scorer", b"not a language model" * 100)
    with pytest.raises(WeightsError, match=r"language\.scorer: refused .*scorer"):
        load(tmp_path, "cpu", "fp32", engine=engine)
    # two, or another's
    (tmp_path / "second.scorer").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"1 files .pbmm or .pb and 2 .scorer"):
        load(tmp_path, "cpu", "fp32", engine=engine)
    with pytest.raises(WeightsError, match=r"language\.scorer: not a .pbmm or .pb"):
        load(scorer, "cpu", "fp32", engine=engine)


def test_a_folder_has_one_model(engine, graph, tmp_path):
    with pytest.raises(WeightsError, match=r"0 files .pbmm or .pb .*backbones\.deepspeech\.weights"):
        load(tmp_path, "cpu", "fp32", engine=engine)
    (tmp_path / "model.pbmm").write_bytes(graph.read_bytes())
    assert load(tmp_path, "cpu", "fp32", engine=engine).description["language_model"] is False
    (tmp_path / "other.pb").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"2 files .pbmm or .pb"):
        load(tmp_path, "cpu", "fp32", engine=engine)
    with pytest.raises(
        WeightsError, match=r"absent\.pbmm: no file or folder there; set backbones\.deepspeech\.weights"
    ):
        load(tmp_path / "absent.pbmm", "cpu", "fp32", engine=engine)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "cuda"}, r"backbones\.deepspeech\.device: .*CPU only"),
        ({"precision": "bf16"}, r"backbones\.deepspeech\.precision: .*no bf16"),
        ({"beam_width": 0}, r"backbones\.deepspeech\.beam_width: 0 is not at least 1"),
        ({"lm_alpha": 0.9}, "give lm_alpha and lm_beta both"),
        ({"lm_alpha": 0.9, "lm_beta": 1.1}, r"lm_alpha: there is no \.scorer beside"),
    ],
)
def test_settings_that_the_library_has_not_are_refused(engine, graph, options, said):
    settings = {"device": "cpu", "precision": "fp32", "engine": engine, **options}
    with pytest.raises(ConfigError, match=said):
        load(graph, **settings)


def test_a_library_that_cannot_be_used_is_named(engine, graph, tmp_path, monkeypatch):
    said = r"`snakemake --cores 1 resources/deepspeech/libdeepspeech\.so`.*dlc\.asr to wav2vec2 or reference"
    with pytest.raises(WeightsError, match=rf"absent\.so: .*{said}"):
        load(graph, "cpu", "fp32", engine=tmp_path / "absent.so")
    with pytest.raises(WeightsError, match=rf"text\.so: not DeepSpeech's library .*{said}"):
        open_engine(damaged(tmp_path / "text.so", b"no library"))
    monkeypatch.setattr(engine_module, "VERSION", "0.9.4")
    open_engine.cache_clear()
    with pytest.raises(WeightsError, match=r"DeepSpeech 0\.9\.3, where 0\.9\.4 is needed"):
        open_engine(engine)
    open_engine.cache_clear()


def test_a_graph_that_fails_silently_is_refused(engine, tmp_path, monkeypatch, capfd):
    # a vector of one value where TensorFlow needs a scalar: the library itself only prints this, and gives ""
    monkeypatch.setattr(_Graph, "integer", lambda graph, name, value: graph.integers(name, value))
    path = damaged(tmp_path / "wrong.pbmm", map_pb(write_pb(random_model(), 32)))
    with pytest.raises(WeightsError, match=r"wrong\.pbmm: the library cannot run this graph \(Error running session.*"):
        load(path, "cpu", "fp32", engine=engine)
    assert capfd.readouterr().err == ""


def test_what_the_library_prints_goes_to_the_log(engine, graph, capfd, caplog):
    with caplog.at_level(logging.DEBUG, logger="serflow.backbones._deepspeech_engine"):
        load(graph, "cpu", "fp32", engine=engine)
    assert capfd.readouterr() == ("", "")
    assert "libdeepspeech: DeepSpeech: v0.9.3" in caplog.text
    os.write(2, b"standard error is as it was\n")
    assert capfd.readouterr().err == "standard error is as it was\n"


def test_threads_of_the_library_are_made_for_one_processor_and_may_use_all(engine, graph):
    # in processes of their own: the library makes some threads only once
    script = """
        import os, sys
        from pathlib import Path
        import numpy as np
        from serflow.backbones._deepspeech_engine import Model

        engine, graph, n_processors = *map(Path, sys.argv[1:3]), int(sys.argv[3])
        os.sched_setaffinity(0, range(os.cpu_count()))  # whatever this process was left with by other tests
        allowed = set(sorted(os.sched_getaffinity(0))[:n_processors])
        os.sched_setaffinity(0, allowed)
        with Model(engine, graph) as model:
            model.decode(np.ones(16_000, np.int16))
            threads = [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
            assert all(os.sched_getaffinity(thread) == allowed for thread in threads)
        print(len(threads))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(engine), str(graph)]
    on_one, on_all = (
        subprocess.run([*command, str(n)], check=True, timeout=60, capture_output=True, text=True).stdout
        for n in (1, os.cpu_count())
    )
    assert on_one == on_all


def _decode_in_child(connection, model, engine, graph):
    said = []
    for use in (lambda: model.decode(noise_bursts(1000)), lambda: Model(engine, graph)):
        try:
            use()
            said.append("worked")
        except SerflowError as error:
            said.append(str(error))
    connection.send(said)


def test_a_forked_process_is_refused(engine, graph):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with Model(engine, graph) as model:
        child = multiprocessing.get_context("fork").Process(
            target=_decode_in_child, args=(sender, model, engine, graph)
        )
        child.start()
        assert receiver.poll(20), "the forked process hangs"
        said = receiver.recv()
        child.join(20)
        assert child.exitcode == 0
        assert all("before this process was forked" in each and "spawn" in each for each in said), said
        assert model.decode(noise_bursts(1000)).confidence < 0


def test_a_forked_process_may_load_a_model_if_its_parent_has_none(engine, graph):
    script = """
        import os, sys
        from pathlib import Path
        import numpy as np
        from serflow.backbones._deepspeech_engine import Model, open_engine

        engine, graph = map(Path, sys.argv[1:])
        open_engine(engine)
        child = os.fork()
        with Model(engine, graph) as model:
            model.decode(np.zeros(4000, np.int16))
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(engine), str(graph)]
    subprocess.run(command, check=True, timeout=60)


def test_memory_of_a_model_is_freed(engine, tmp_path):
    path = damaged(tmp_path / "large.pb", write_pb(random_model(n_hidden=450), 1))
    size = path.stat().st_size
    assert size > 9e6

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def use():
        Model(engine, path).decode(noise_bursts(2000))
        gc.collect()

    use()
    use()
    before = resident()
    for _ in range(6):
        use()
    # a model that is kept takes five times its file: 6 of them 30 times
    assert resident() - before < 10 * size


def test_a_closed_model_is_not_used(engine, graph):
    model = Model(engine, graph)
    model.close()
    model.close()
    with pytest.raises(SerflowError, match="closed"):
        model.decode(noise_bursts(1000))
