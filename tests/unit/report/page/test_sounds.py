"""Recordings are the corpus's own samples, and mixtures those of the noise plan."""

import matplotlib.image
import numpy as np
import pytest
import soundfile

from made_up_page import names, write_sound
from serflow.audio.mel import MelSpectrogram
from serflow.audio.prepared import iterate_prepared
from serflow.errors import StoreError
from serflow.files import check_digest
from serflow.noise.mixing import ClipBank, read_plan
from serflow.report.page.sounds import cut, file_stem, noise_words, spectrogram


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory):
    return write_sound(tmp_path_factory.mktemp("sound"))


HOSTILE = names("near")[0]
WANTED = {"near": {HOSTILE: {"h1"}, "near_20": set()}}


def test_clean_is_bit_for_bit_and_noisy_is_what_readers_mix(sound, tmp_path):
    audio, plans, clips = sound
    found = cut(tmp_path, audio, WANTED, plans, clips)
    assert {key: list(sounds) for key, sounds in found.items()} == {
        ("near", HOSTILE): ["clean", "h1"],
        ("near", "near_20"): ["clean"],
    }
    speech = {item.utterance: item for path in audio[:2] for item in iterate_prepared(path)}
    for (_, name), sounds in found.items():
        pcm16, rate = soundfile.read(tmp_path / f"{sounds['clean'].stem}.flac", dtype="int16")
        assert rate == 16_000
        np.testing.assert_array_equal(pcm16, speech[name].pcm16)
    row = read_plan(plans[0])[HOSTILE]
    mixed = ClipBank.read(clips).mix(speech[HOSTILE].waveform, row)
    noisy, _ = soundfile.read(tmp_path / f"{found['near', HOSTILE]['h1'].stem}.flac", dtype="float32")
    np.testing.assert_allclose(noisy, mixed, atol=1.01 / 32768)
    assert found["near", HOSTILE]["h1"].noise == noise_words(row)
    assert "-5.0 dB" in noise_words(row)


def test_files_have_digests_and_are_the_same_each_time(sound, tmp_path):
    audio, plans, clips = sound
    for place in ("one", "two"):
        cut(tmp_path / place, audio, WANTED, plans, clips)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len([file for file in files if file.suffix in (".flac", ".png")]) == 6
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        if file.suffix != ".sha256":
            check_digest(tmp_path / "one" / file)


def test_a_tone_is_a_line_at_its_height(tmp_path):
    mel = MelSpectrogram(feature="x", n_mels=64, n_fft=512, win_length=400, hop_length=160, fmin=0.0, fmax=8000.0)
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    high = np.sin(2 * np.pi * 5000 * np.arange(16_000) / 16_000).astype(np.float32)
    low_image, high_image = spectrogram(0.5 * tone, mel), spectrogram(0.5 * high, mel)
    assert low_image.shape == (64, 101)
    assert low_image.max() == 1.0
    assert low_image.min() == 0.0
    assert low_image[:, 50].argmax() < 12 < 45 < high_image[:, 50].argmax()
    # as loud as it is, a picture looks alike
    np.testing.assert_allclose(low_image, spectrogram(0.05 * tone, mel), atol=1 / 31 + 1e-6)


def test_low_frequencies_are_below(sound, tmp_path):
    audio, plans, clips = sound
    found = cut(tmp_path, audio, {"near": {"near_3": set()}}, plans, clips)
    picture = matplotlib.image.imread(tmp_path / f"{found['near', 'near_3']['clean'].stem}.png")
    assert picture.shape[0] == 64


def test_names_that_look_alike_have_files_of_their_own():
    assert len({file_stem("near", name, "clean") for name in ("a/b", "a\\b", "a_b", "a b", "é", "è")}) == 6
    assert all(character.isalnum() or character in "/._-" for character in file_stem("near", "é <x>/../y", "clean"))
    assert ".." not in file_stem("near", "../../etc", "h1").split("/")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"near": {"nobody": set()}}, "no audio of nobody"),
        ({"near": {"near_1": {"h7"}}}, "no h7 of near_1"),
    ],
)
def test_what_is_not_there_is_said(sound, tmp_path, wanted, message):
    audio, plans, clips = sound
    with pytest.raises(StoreError, match=message):
        cut(tmp_path, audio, wanted, plans, clips)
