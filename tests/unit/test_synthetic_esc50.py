import argparse
import csv
import json
import re
from collections import Counter

import numpy as np
import pytest
import soundfile

from serflow.errors import ConfigError
from serflow.stages.make_synthetic_esc50 import main
from serflow.synthetic.esc50 import _HUMAN, _INTERIOR, _NATURAL, Options, _clip
from serflow.synthetic.speech import generator

NAME = re.compile(r"^([1-5])-(\d+)-([A-Z])-(\d|[1-4]\d)\.wav$")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    main(argparse.Namespace(root=folder / "esc50", options={}, manifest=folder / "manifest.json"))
    return folder / "esc50", json.loads((folder / "manifest.json").read_text())


@pytest.fixture(scope="module")
def rows(tree):
    with open(tree[0] / "meta" / "esc50.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_table_has_the_official_header_and_a_row_for_each_file(tree, rows):
    root, manifest = tree
    header = (root / "meta" / "esc50.csv").read_text().splitlines()[0]
    assert header == "filename,fold,target,category,esc10,src_file,take"
    assert sorted(row["filename"] for row in rows) == sorted(path.name for path in (root / "audio").iterdir())
    assert manifest["n_utterances"] == len(rows)
    assert manifest["n_files"] == len(rows) + 2


def test_file_names_agree_with_the_table(rows):
    for row in rows:
        fold, source, take, target = NAME.match(row["filename"]).groups()
        assert (row["fold"], row["src_file"], row["take"], row["target"]) == (fold, source, take, target)


def test_every_class_of_the_three_groups_is_in_every_fold(rows):
    counts = Counter((int(row["fold"]), int(row["target"])) for row in rows)
    for fold in range(1, 6):
        assert all(counts[fold, target] == 1 for target in range(10, 40))
    assert {target // 10 for _, target in counts} == {0, 1, 2, 3, 4}


def test_clips_are_5_s_of_16_bit_mono_and_sound(tree, rows):
    for row in rows:
        samples, rate = soundfile.read(tree[0] / "audio" / row["filename"], dtype="int16")
        assert (samples.shape, rate) == ((220500,), 44100)
        assert 5000 < np.abs(samples).max() < 32767


def test_some_clips_end_in_digital_silence(tree, rows):
    tails = 0
    for row in rows:
        samples, _ = soundfile.read(tree[0] / "audio" / row["filename"], dtype="int16")
        tails += not samples[-2205:].any()
    assert 0.05 < tails / len(rows) < 0.4


def log_spectrum(samples):
    frames = samples[: samples.size // 2048 * 2048].reshape(-1, 2048) / 32768.0
    power = (np.abs(np.fft.rfft(frames * np.hanning(2048))) ** 2)[np.abs(frames).max(axis=1) > 0]
    edges = np.geomspace(2, 1024, 25).astype(int)
    levels = np.log(np.add.reduceat(power[:, :1024], edges[:-1], axis=1) + 1e-6)
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0)])


def test_groups_can_be_told_apart_by_their_spectrum(tree, rows):
    rows = [row for row in rows if 1 <= int(row["target"]) // 10 <= 3]
    features = np.array([log_spectrum(soundfile.read(tree[0] / "audio" / row["filename"])[0]) for row in rows])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    groups = np.array([int(row["target"]) // 10 for row in rows])
    test = np.array([row["fold"] == "5" for row in rows])
    distances = np.linalg.norm(features[test][:, None] - features[~test][None], axis=2)
    nearest = groups[~test][np.argmin(distances, axis=1)]
    assert np.mean(nearest == groups[test]) > 0.8


def test_same_bytes_on_two_runs_in_any_order():
    recipes = [recipe for group in (_NATURAL, _HUMAN, _INTERIOR) for _, recipe in list(group.values())[:3]]
    once = [_clip(recipe, 1, generator("t", i)).tobytes() for i, recipe in enumerate(recipes)]
    again = [_clip(recipe, 1, generator("t", i)).tobytes() for i, recipe in reversed(list(enumerate(recipes)))]
    assert once == again[::-1]
    assert _clip(recipes[0], 1, generator("other")).tobytes() != once[0]


def test_wrong_options_are_named():
    with pytest.raises(ConfigError, match="no option 'clips'; known: seed, clips_per_class_and_fold"):
        Options.parse({"clips": 1})
    with pytest.raises(ConfigError, match="out of range"):
        Options.parse({"clips_per_class_and_fold": 0})
