import sys
from dataclasses import astuple, replace

import numpy as np
import pytest

from serflow.errors import MissingDependencyError, SerflowError
from serflow.synthetic.corpus import Options, Studio
from serflow.synthetic.scripts import CAFE, EMODB, ENGLISH, MANDARIN
from serflow.synthetic.speech import SYNTHESIS_RATE, Rendering, draw_prosody, generator, make_speaker, render

RATE = 16000


def studio(**options):
    return Studio("test", "en", RATE, Options(**options))


def utterances(emotion, n=5, **options):
    place = studio(**options)
    speakers = [place.speaker(f"s{i}", ("female", "male")[i % 2], i) for i in range(n)]
    return [place.say(f"{i}", speaker, emotion, ENGLISH[i]) for i, speaker in enumerate(speakers)]


def spoken(renderings):
    pytest.importorskip("parselmouth", reason="Praat is optional: pip install 'serflow[synthetic]'")
    return list(render(renderings))


def level_db(samples):
    return 10 * np.log10(np.mean((samples / 32768.0) ** 2))


def f0_hz(samples):
    """Median over frames of the autocorrelation peak between 60 and 500 Hz."""
    x = samples / 32768.0
    found = []
    for start in range(0, x.size - 1024, 512):
        frame = x[start : start + 1024] * np.hanning(1024)
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frame, 2048)) ** 2)
        lags = slice(RATE // 500, RATE // 60)
        peak = int(np.argmax(correlation[lags])) + RATE // 500
        if correlation[peak] > 0.4 * correlation[0] > 1e-3:
            found.append(RATE / peak)
    return float(np.median(found))


@pytest.fixture(scope="module")
def strong():
    return {emotion: spoken(utterances(emotion)) for emotion in ("anger", "sadness")}


def test_same_bytes_in_another_order(strong):
    again = spoken(utterances("anger")[::-1])
    assert [x.tobytes() for x in again[::-1]] == [x.tobytes() for x in strong["anger"]]


def test_samples_are_mono_16_bit_and_of_a_short_sentence(strong):
    for samples in strong["anger"] + strong["sadness"]:
        assert samples.dtype == np.int16
        assert samples.ndim == 1
        assert 0.6 < samples.size / RATE < 2.4


def test_anger_is_louder_faster_and_higher_than_sadness(strong):
    def per_speaker(measure):
        return np.array([[measure(x) for x in strong[emotion]] for emotion in ("anger", "sadness")])

    levels, lengths, pitches = per_speaker(level_db), per_speaker(len), per_speaker(f0_hz)
    assert np.all(levels[0] - levels[1] > 4.0)
    assert np.all(lengths[1] / lengths[0] > 1.08)
    assert np.mean(np.log2(pitches[0] / pitches[1])) > 0.1


def test_without_strength_the_emotion_is_not_in_the_voice():
    anger, sadness, neutral = (utterances(emotion, emotion_strength=0) for emotion in ("anger", "sadness", "neutral"))
    assert anger == sadness == neutral
    assert utterances("anger") != utterances("sadness")


def test_scatter_separates_utterances_and_nothing_else():
    place = studio(scatter=0)
    speaker = place.speaker("a", "male", 0)
    assert place.say("1", speaker, "anger", "x").prosody == place.say("2", speaker, "anger", "x").prosody
    place = studio()
    assert place.say("1", speaker, "anger", "x").prosody != place.say("2", speaker, "anger", "x").prosody


def test_speaker_bias_separates_speakers():
    def prosodies(bias):
        speakers = [make_speaker(f"{i}", "male", i, generator("bias", i), bias) for i in range(2)]
        return [draw_prosody(speaker, "happiness", generator("p"), scatter=0.0) for speaker in speakers]

    equal, different = prosodies(0.0), prosodies(1.0)
    assert equal[0] == equal[1]
    assert np.all(np.array(astuple(different[0]))[:6] != np.array(astuple(different[1]))[:6])


def test_other_seed_gives_other_voices():
    assert studio(seed=1).speaker("a", "male", 0) != studio(seed=2).speaker("a", "male", 0)


def test_sampling_rate_changes_the_number_of_samples_only():
    rendering = utterances("neutral", n=1)[0]
    low, high = spoken([rendering, replace(rendering, sample_rate=48000)])
    assert high.size == pytest.approx(3 * low.size, abs=3)


def formant_shift_octaves(low, high):
    """Lag between the long-term spectra on a logarithmic frequency axis, smoothed over the harmonics."""
    per_octave = 48
    frequencies = 400 * 2 ** (np.arange(3.5 * per_octave) / per_octave)

    def envelope(x):
        frames = x[: x.size // 512 * 512].reshape(-1, 512) * np.hanning(512)
        power = np.mean(np.abs(np.fft.rfft(frames, 4096)) ** 2, axis=0)
        levels = np.log(np.interp(frequencies, np.fft.rfftfreq(4096, 1 / RATE), power))
        return np.convolve(levels, np.hanning(25) / 12, "valid")

    first, second = envelope(low), envelope(high)
    lags = np.arange(-20, 21)
    inner = slice(20, first.size - 20)
    likeness = [np.corrcoef(first[inner], np.roll(second, -lag)[inner])[0, 1] for lag in lags]
    return float(lags[int(np.argmax(likeness))] / per_octave)


def test_formants_move_the_spectrum_and_keep_duration_and_f0():
    rendering = replace(utterances("neutral", n=2)[1], text="We may all wear yellow")
    raised = replace(rendering, speaker=replace(rendering.speaker, formants=rendering.speaker.formants * 1.15))
    low, high = spoken([rendering, raised])
    assert high.size / low.size == pytest.approx(1.0, abs=0.05)
    assert np.log2(f0_hz(high) / f0_hz(low)) == pytest.approx(0.0, abs=0.1)
    assert formant_shift_octaves(low, high) == pytest.approx(np.log2(1.15), abs=0.1)


@pytest.mark.parametrize(("language", "text"), [("de", EMODB["a01"]), ("fr", CAFE[1]), ("zh", MANDARIN[1])])
def test_other_languages_are_spoken(language, text):
    rendering = replace(utterances("neutral", n=1)[0], language=language, text=text)
    (samples,) = spoken([rendering])
    assert 0.6 < samples.size / RATE < 2.4
    assert level_db(samples) > -45


def test_failure_of_the_synthesiser_names_the_utterance(capfd):
    rendering = replace(utterances("neutral", n=1)[0], language="xx")
    with pytest.raises(SerflowError, match=r"The window faces the garden.*language xx"):
        spoken([rendering])
    capfd.readouterr()


def test_missing_praat_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    monkeypatch.delitem(sys.modules, "parselmouth.praat", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'serflow\[synthetic\]'.*GPL-3"):
        next(render(utterances("neutral", n=1)))


def test_a_rendering_holds_all_that_the_sound_depends_on():
    rendering = utterances("anger", n=1)[0]
    assert isinstance(rendering, Rendering)
    assert rendering == utterances("anger", n=1)[0]
    assert rendering.sample_rate == RATE != SYNTHESIS_RATE
