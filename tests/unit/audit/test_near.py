"""What is the same recording is found, what is said again is not; and the search counts as a plain count does."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soxr

from serflow.audio.prepared import prepare
from serflow.audit.fingerprint import HOP, Landmarks, landmarks
from serflow.audit.near import Near, groups, near_duplicates
from serflow.audit.prints import read_near, read_prints, write_near, write_prints
from serflow.errors import StoreError

RATE = 16_000


def speech(seed, duration_s=3.0):
    """Tones of a glottal pulse train through resonances that move: each seed says something else."""
    draws = np.random.default_rng(seed)
    n = round(duration_s * RATE)
    points = np.arange(0, n + RATE // 5, RATE // 5)
    pitch = np.interp(np.arange(n), points, draws.uniform(120, 200, len(points)))
    phase = np.cumsum(pitch) / RATE
    level = np.interp(np.arange(n), points, draws.uniform(0.02, 1, len(points)))
    formants = [
        np.interp(np.arange(n), points, draws.uniform(*band, len(points))) for band in ((300, 900), (900, 2600))
    ]
    wave = np.zeros(n)
    for harmonic in range(1, 16):
        frequency = harmonic * pitch
        gain = sum(np.exp(-(((frequency - formant) / 150) ** 2)) for formant in formants) + 0.02
        wave += gain * np.sin(2 * np.pi * harmonic * phase)
    return (0.2 * level * wave / np.abs(wave).max()).astype(np.float32)


def noisy(wave, snr_db, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(wave))
    level = np.sqrt((wave**2).mean() / (noise**2).mean()) * 10 ** (-snr_db / 20)
    return (wave + level * noise).astype(np.float32)


def resampled(wave, rate):
    return soxr.resample(soxr.resample(wave, RATE, rate), rate, RATE).astype(np.float32)


def later(wave, n_samples):
    return np.concatenate([np.zeros(n_samples, dtype=np.float32), wave])


CHANGES = {
    "20 dB less": lambda wave: wave / 10,
    "20 dB more": lambda wave: wave * 10,
    "in 16 bits, 20 dB less": lambda wave: np.round(wave / 10 * 32768).astype(np.float32) / 32768,
    "48 kHz": lambda wave: resampled(wave, 48_000),
    "22.05 kHz": lambda wave: resampled(wave, 22_050),
    "8 kHz": lambda wave: resampled(wave, 8_000),
    "10 dB SNR": lambda wave: noisy(wave, 10),
    "5 dB SNR": lambda wave: noisy(wave, 5),
    "half a second later": lambda wave: later(wave, 8_000),
    "half a frame later": lambda wave: later(wave, HOP // 2),
    "trimmed": lambda wave: wave[4_801:-3_000],
    "all at once": lambda wave: later(resampled(noisy(wave, 10), 8_000), 5_000)[2_000:] / 10,
}


@pytest.fixture(scope="module")
def spoken():
    return [speech(seed) for seed in range(8)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else_is(spoken, change):
    copies = [CHANGES[change](wave) for wave in spoken]
    found = near_duplicates([landmarks(wave) for wave in (*spoken, *copies)])
    assert [(pair.first, pair.second) for pair in found] == [(place, place + 8) for place in range(8)]


def test_the_offset_says_where_what_is_heard_in_the_one_is_in_the_other(spoken):
    (pair,) = near_duplicates([landmarks(spoken[0]), landmarks(later(spoken[0], 8_000))])
    assert abs(pair.offset_s - 0.5) <= HOP / RATE
    (pair,) = near_duplicates([landmarks(later(spoken[0], 8_000)), landmarks(spoken[0])])
    assert abs(pair.offset_s + 0.5) <= HOP / RATE


def test_gain_changes_no_landmark(spoken):
    for wave in spoken:
        for gain in (2.0**-4, 2.0**5):
            for one, other in zip(landmarks(wave), landmarks(np.float32(gain) * wave), strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_landmark_is_two_peaks_by_frequency_distance_and_time():
    """Two tone bursts: of 1,000 Hz at 0.5 s and of 1,500 Hz at 0.8 s."""
    times = np.arange(RATE) / RATE
    wave = sum(
        np.exp(-(((times - at) / 0.02) ** 2)) * np.sin(2 * np.pi * hertz * times)
        for at, hertz in ((0.5, 1_000), (0.8, 1_500))
    )
    found = landmarks(wave.astype(np.float32))
    bins, frames = 1_000 * 1024 // RATE, (round(0.5 * RATE / HOP), round(0.8 * RATE / HOP))
    assert (((bins - 16) << 13) | ((32 + 63) << 6) | (frames[1] - frames[0])) in found.codes.tolist()
    assert frames[0] in found.frames.tolist()


def bursts(*said):
    """Tone bursts, of which each is known by its time (s), frequency (Hz) and level (dB)."""
    times = np.arange(2 * RATE) / RATE
    return sum(
        10 ** (level / 20) * np.exp(-(((times - at) / 0.02) ** 2)) * np.sin(2 * np.pi * hertz * times)
        for at, hertz, level in said
    ).astype(np.float32)


def distances(found):
    """Return the times (frames) between the peaks of landmarks."""
    return {code & 63 for code in found.codes.tolist()}


@pytest.mark.parametrize(("level", "heard"), [(-30, True), (-50, False)])
def test_a_peak_is_heard_to_40_db_below_the_greatest(level, heard):
    assert (19 in distances(landmarks(bursts((0.5, 1_000, 0), (0.5 + 19 * HOP / RATE, 1_500, level))))) is heard


@pytest.mark.parametrize(("later", "paired"), [(62, True), (63, True), (64, False)])
def test_two_peaks_are_a_landmark_to_63_frames(later, paired):
    found = landmarks(bursts((0.32, 1_000, 0), (0.32 + later * HOP / RATE, 1_500, 0)))
    assert (max(distances(found), default=0) >= 62) is paired


def test_peaks_of_one_frame_are_no_landmark_and_each_has_four_partners_at_most(spoken):
    for wave in spoken:
        found = landmarks(wave)
        assert 0 not in distances(found)
        firsts = Counter(zip(found.frames.tolist(), (found.codes >> 13).tolist(), strict=True))
        assert max(firsts.values()) == 4


@pytest.mark.parametrize("wave", [np.zeros(16_000, np.float32), np.zeros(0, np.float32), np.ones(100, np.float32)])
def test_what_has_no_peaks_has_no_landmarks_and_is_near_nothing(wave):
    prints = [landmarks(wave)] * 2
    assert [len(each.codes) for each in prints] == [0, 0]
    assert near_duplicates(prints) == near_duplicates([]) == []


# The search


def plainly(prints, least_votes, least_share):
    """Count the landmarks that agree pair by pair."""
    found = []
    for first, second in itertools.combinations(range(len(prints)), 2):
        differences = Counter(
            later_frame - frame
            for code, frame in zip(*prints[first], strict=True)
            for other, later_frame in zip(*prints[second], strict=True)
            if code == other
        )
        votes = max((count + differences[at + 1] for at, count in differences.items()), default=0)
        fewer = min(len(prints[place].codes) for place in (first, second))
        if votes and votes >= min(max(least_votes, np.ceil(least_share * fewer)), fewer):
            found.append((first, second, votes))
    return found


@pytest.mark.parametrize("most", list(itertools.product([1, 50, 10**6], repeat=3)))
def test_the_search_in_blocks_counts_as_a_plain_count(monkeypatch, most):
    for name, of_name in zip(("MOST_INDEXED", "MOST_LOOKED_UP", "MOST_ENTRIES"), most, strict=True):
        monkeypatch.setattr(f"serflow.audit.near.{name}", of_name)
    draws = np.random.default_rng(0)
    prints = [
        Landmarks(*(draws.integers(0, high, size).astype(np.int32) for high in (9, 12)))
        for size in draws.integers(0, 14, 40)
    ]
    found = [(pair.first, pair.second, pair.votes) for pair in near_duplicates(prints, 4, 0.2)]
    assert found == plainly(prints, 4, 0.2)
    assert 20 < len(found) < 700


def test_a_code_that_nearly_all_have_tells_nothing(monkeypatch):
    prints = [Landmarks(np.full(20, 7, np.int32), np.arange(20, dtype=np.int32))] * 4
    assert len(near_duplicates(prints)) == 6
    monkeypatch.setattr("serflow.audit.near.MOST_OF_A_CODE", 80)
    assert len(near_duplicates(prints)) == 6
    monkeypatch.setattr("serflow.audit.near.MOST_OF_A_CODE", 79)
    assert near_duplicates(prints) == []


def test_votes_are_a_share_of_the_shorter_list_and_at_most_all_of_it():
    long, short = (Landmarks(*(np.arange(n, dtype=np.int32),) * 2) for n in (40, 10))
    (pair,) = near_duplicates([long, short])
    assert (pair.votes, pair.share) == (10, 1.0)
    half = short._replace(codes=np.where(np.arange(10) < 8, np.arange(10), 50).astype(np.int32))
    (pair,) = near_duplicates([long, half])
    assert (pair.votes, pair.share) == (8, 0.8)
    # of one hum all landmarks agree, and all but one a frame later
    hum = Landmarks(np.full(20, 7, np.int32), np.arange(20, dtype=np.int32))
    (pair,) = near_duplicates([hum, hum])
    assert (pair.votes, pair.share) == (39, 1.0)


@pytest.mark.parametrize(("n", "common", "near"), [(30, 6, False), (30, 7, True), (100, 9, False), (100, 10, True)])
def test_seven_landmarks_and_a_tenth_of_them_have_to_agree(n, common, near):
    frames = np.arange(n, dtype=np.int32)
    one = Landmarks(frames, frames)
    other = Landmarks(np.where(frames < common, frames, frames + 1000).astype(np.int32), frames)
    assert bool(near_duplicates([one, other])) is near


def test_fewer_landmarks_than_votes_are_asked_for_must_all_agree():
    few = Landmarks(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int32))
    but_one = few._replace(codes=np.array([0, 1, 2, 3, 9], dtype=np.int32))
    assert [pair[:3] for pair in near_duplicates([few, few, but_one])] == [(0, 1, 5)]


def test_groups_are_what_pairs_connect():
    pairs = [Near(first, second, 9, 1.0, 0.0) for first, second in ((4, 5), (1, 3), (3, 4))]
    assert groups(7, pairs) == [0, 1, 2, 1, 1, 1, 6]


# What is written


def test_fingerprints_and_pairs_come_back_as_they_were(tmp_path, spoken):
    rows = [(f"u{place}", landmarks(wave)) for place, wave in enumerate((*spoken[:2], spoken[0], spoken[3][:10]))]
    write_prints(tmp_path / "toy.parquet", rows, {"corpus": "toy"})
    found = read_prints(tmp_path / "toy.parquet")
    assert found.utterances == ["u0", "u1", "u2", "u3"]
    for (_, one), other in zip(rows, found.landmarks, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    write_near(tmp_path / "toy.csv", found.utterances, near_duplicates(found.landmarks))
    assert read_near(tmp_path / "toy.csv") == [("u0", "u2")]
    write_near(tmp_path / "said.csv", found.utterances, [Near(0, 3, 9, 0.45, -1.5)])
    heading, row = (tmp_path / "said.csv").read_text().splitlines()[:2]
    assert dict(zip(heading.split(","), row.split(","), strict=True)) == {
        "utterance": "u0", "other": "u3", "landmarks": "9", "percent": "45.00", "offset_s": "-1.50",
    }  # fmt: skip
    write_near(tmp_path / "none.csv", found.utterances, [])
    assert read_near(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    "changed",
    ["FRAME", "HOP", "LOWEST_BIN", "N_BINS", "PEAKS_PER_S", "FLOOR_DB", "NEIGHBOUR_BINS", "NEIGHBOUR_FRAMES",
     "PARTNERS", "REACH_BINS", "REACH_FRAMES"],
)  # fmt: skip
def test_fingerprints_that_were_made_in_another_way_are_refused(tmp_path, monkeypatch, spoken, changed):
    write_prints(tmp_path / "toy.parquet", [("u0", landmarks(spoken[0]))], {"corpus": "toy"})
    assert pq.read_table(tmp_path / "toy.parquet").num_rows == 1
    monkeypatch.setattr(f"serflow.audit.fingerprint.{changed}", 3)
    with pytest.raises(StoreError, match=r"toy\.parquet: parameters is .* delete it and run"):
        read_prints(tmp_path / "toy.parquet")


# Real speech


def waves(folder: Path, pattern: str) -> dict[str, np.ndarray]:
    return {path.stem: prepare(path.stem, path, min_duration_s=0.1).waveform for path in sorted(folder.rglob(pattern))}


def test_of_real_sentences_said_again_by_the_same_speaker_none_is_taken_for_another(real_data):
    """RAVDESS: each actor says two sentences sixty times; one pair of files is the same audio, as it is published."""
    spoken = waves(real_data / "ravdess", "*-0[1267].flac")
    found = near_duplicates([landmarks(wave) for wave in spoken.values()])
    names = list(spoken)
    assert len(names) == 240
    assert [(names[pair.first], names[pair.second]) for pair in found] == [
        ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")
    ]


@pytest.mark.parametrize("change", ["8 kHz", "10 dB SNR", "half a second later", "20 dB less"])
def test_changed_copies_of_real_speech_are_found(real_data, change):
    spoken = list(waves(real_data / "emodb", "1[0-2]a0*.flac").values())
    copies = [CHANGES[change](wave) for wave in spoken]
    found = near_duplicates([landmarks(wave) for wave in (*spoken, *copies)])
    n = len(spoken)
    assert n == 65
    assert [(pair.first, pair.second) for pair in found] == [(place, place + n) for place in range(n)]
