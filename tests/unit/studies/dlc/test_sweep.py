"""Trained networks that are asked again: with clips and level of their test they say what they said there."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from made_up_runs import UTTERANCE, write_split, write_utterances
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.errors import AudioError, ConfigError, StoreError
from serflow.features.base import load_feature
from serflow.noise.mixing import CLIPS_KIND, ClipBank, write_plan
from serflow.noise.plan import CONDITIONS
from serflow.noise.sweep import draw_kind, mix_at
from serflow.stages import predict_in_noise as stage
from serflow.stages import train as train_stage
from serflow.stages.prepare_clips import CLIPS_SCHEMA
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import read_metadata, read_table, write_batches
from serflow.studies.dlc.catalog import method_info

N, RATE = 60, 16_000
NAMES = [f"u{i:02d}" for i in range(N)]
KIND_OF = {name: CONDITIONS[i % 3] for i, name in enumerate(NAMES)}
RUNS = (0, 1)
ROLES = ("train", "train", "val", "test")
TRAINED_DB, LOUD_DB, SEED, BITS = -3.0, -12.0, 5, 6
FEATURE = {"n_mels": 8, "n_fft": 512}
OPTIONS = {
    "model": {"maps": 8, "kernel": 4, "dilations": [1, 2], "hidden": 8},
    "training": {"max_epochs": 1, "batch_size": 16, "learning_rate": 0.01, "device": "cpu"},
}
SWEPT = {
    "exp1": ("single", "moe_slc", "moe_dlc", "single_wide", "single_clean"),
    "exp2": ("moe_dlc", "dann", "maddog", "dsn_dlc"),
}
CELLS = [(experiment, method) for experiment, methods in SWEPT.items() for method in methods]


def tone(generator, hz, n_samples, level):
    """A tone in noise: what is of a kind is heard at a pitch of its own."""
    wave = np.sin(2 * np.pi * hz * np.arange(n_samples) / RATE) + 0.3 * generator.normal(size=n_samples)
    return np.clip(level * wave, -32768, 32767).astype(np.int16)


def write_clips(path):
    generator = np.random.default_rng(1)
    rows = [
        {
            "clip": f"{kind}{i}", "group": kind, "fold": 1 + i % 5,
            "pcm16": tone(generator, 1500 * (1 + place), 3000 + 700 * i, 6000).tobytes(),
        }
        for place, kind in enumerate(CONDITIONS)
        for i in range(10)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=CLIPS_SCHEMA)
    write_batches(path, CLIPS_SCHEMA, [table], kind=CLIPS_KIND, metadata={"synthetic": True, "warnings": []})
    return path


def write_store(folder, condition, frames):
    index = folder / f"{condition}.parquet"
    rows = [FrameRow(name, frames[name]) for name in np.random.default_rng(3).permutation(NAMES).tolist()]
    described = {"corpus": "toy", "condition": condition, "rejected": {}}
    write_frames(folder / f"{condition}_shard.parquet", rows, 8, described, mantissa_bits=BITS)
    pack_frames([folder / f"{condition}_shard.parquet"], index.with_suffix(".npy"), index)
    return index


class Lab:
    """A corpus whose noise profile draws what a sweep draws, and the cells that are trained on it."""

    def __init__(self, folder: Path) -> None:
        generator = np.random.default_rng(0)
        self.folder = folder
        # loud, so that mixtures are scaled down
        items = {
            name: PreparedUtterance(
                name, tone(generator, 300 + 150 * (i // 3 % 2), 4000 + 331 * (i % 13), 14_000), RATE, 1, "PCM_16", 0
            )
            for i, name in enumerate(NAMES)
        }
        self.audio = [folder / "0000.parquet", folder / "0001.parquet"]
        for path, names in zip(self.audio, (NAMES[::2], NAMES[1::2]), strict=True):
            described = {"corpus": "toy", "synthetic": True, "shard": path.stem, "n_shards": 2}
            write_prepared(path, [items[name] for name in names], described)
        self.clips = write_clips(folder / "clips.parquet")
        bank, feature = ClipBank.read(self.clips), load_feature("mfb", FEATURE)
        drawn = {kind: draw_kind(NAMES, kind, bank, "shared", SEED) for kind in CONDITIONS}
        mixed = {name: mix_at(items[name], drawn[KIND_OF[name]][name], bank, TRAINED_DB) for name in NAMES}
        self.plan_rows = {name: row for name, (_, row) in mixed.items()}
        write_plan(folder / "plan.parquet", self.plan_rows.values(), {
            "corpus": "toy", "profile": "h1", "snr_offset_db": 0.0, "synthetic_clips": True, "clip_warnings": [],
        })  # fmt: skip
        self.rows = [
            {UTTERANCE: name, "emotion": ("anger", "sadness")[i // 3 % 2], "speaker": f"s{i % 6}"}
            for i, name in enumerate(NAMES)
        ]
        splits = [{name: ROLES[(i // 3 + 5 * run) % 4] for i, name in enumerate(NAMES)} for run in RUNS]
        self.inputs = {
            "utterances": [write_utterances(folder, rows=self.rows, synthetic=True)],
            "splits": [
                write_split(folder, {"all": split}, protocol=f"speaker-{run}") for run, split in enumerate(splits)
            ],
            "plan": [folder / "plan.parquet"],
            "clean": [write_store(folder, "clean", {name: feature(item.waveform) for name, item in items.items()})],
            "noisy": [write_store(folder, "h1", {name: feature(noisy) for name, (noisy, _) in mixed.items()})],
        }

    def command(self, experiment, method, **inputs):
        heard = {"noisy": self.inputs["clean"]} if method_info(method).hears_clean else {}
        given = {**self.inputs, **heard, **inputs}
        return [
            *("--study", "dlc", "--cell", f"experiment={experiment}", f"method={method}", "corpus=toy", "profile=h1"),
            *("--inputs", *(f"{name}={path}" for name, paths in given.items() for path in paths)),
            *("--runs", *map(str, RUNS), "--options", json.dumps(OPTIONS), "--code", "c0de"),
        ]

    def trained(self, experiment, method):
        """The folder of a cell, which is trained where it is not."""
        out = self.folder / experiment / method
        if not out.is_dir():
            routes = method_info(method).routes
            gate = {"gate": [self.trained(experiment, "noise_classifier") / "predictions.parquet"]} if routes else {}
            names = ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors")
            outputs = (word for name in names for word in (f"--{Path(name).stem}", str(out / name)))
            command = [*self.command(experiment, method, **gate), *outputs]
            train_stage.main(train_stage.make_parser().parse_args(command))
        return out

    def asked(self, out, experiment, method, snr_db=(TRAINED_DB, LOUD_DB), more=(), **inputs):
        """What a cell says in noise, as a DataFrame, and the metadata of its file."""
        given = {
            "model": [self.trained(experiment, method) / "model.safetensors"],
            "audio": self.audio,
            "clips": [self.clips],
        }
        routed = []
        if method_info(method).routes:
            given["gate_model"] = [self.trained(experiment, "noise_classifier") / "model.safetensors"]
            routed = ["--gate-options", json.dumps(OPTIONS)]
        command = [
            *self.command(experiment, method, **{**given, **inputs}), *routed, "--extractor", "mfb",
            "--parameters", json.dumps(FEATURE), "--mantissa-bits", str(BITS), "--snr-db", *map(str, snr_db),
            "--seed", str(SEED), *more, "--predictions", str(out),
        ]  # fmt: skip
        stage.main(stage.make_parser().parse_args(command))
        return read_table(out, kind="noise_sweep").to_pandas(), read_metadata(out)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("lab"))


KEYS = ["run", "fold", "utterance"]


@pytest.mark.parametrize(("experiment", "method"), CELLS)
def test_at_the_level_and_with_the_clips_of_its_test_a_network_says_what_it_said_there(
    lab, tmp_path, experiment, method
):
    """So noise is mixed, features are computed, networks are restored and mixtures are routed as they were there."""
    found, _ = lab.asked(tmp_path / "said.parquet", experiment, method)
    tested = read_table(lab.trained(experiment, method) / "predictions.parquet").to_pandas().set_index(KEYS)
    if method_info(method).hears_clean:
        same = found[found["snr_db"].isna() & (found["condition"] == CONDITIONS[0])]
    else:
        same = found[(found["snr_db"] == TRAINED_DB) & (found["condition"] == found["utterance"].map(KIND_OF))]
    same = same.set_index(KEYS)
    assert sorted(same.index) == sorted(tested.index)
    tested = tested.loc[same.index]
    for column in ("label", "prediction", *(name for name in ("gate", "oracle_prediction") if name in tested)):
        assert same[column].tolist() == tested[column].tolist(), column
    for column in ("probabilities", "target"):
        assert np.stack(same[column]) == pytest.approx(np.stack(tested[column]), abs=1e-6), column
    if method_info(method).routes:
        # otherwise routing tells nothing
        assert same["gate"].nunique() > 1
        assert same["oracle_prediction"].notna().all() == (experiment == "exp1")
    else:
        assert found["gate"].isna().all()
    if not method_info(method).hears_clean:
        mixed = found[found["snr_db"] == TRAINED_DB].set_index("utterance")
        of_plan = mixed[mixed["condition"] == mixed.index.map(KIND_OF)]
        assert of_plan["clip"].tolist() == [lab.plan_rows[name].clip for name in of_plan.index]
        assert min(row.scale for row in lab.plan_rows.values()) < 0.9


def test_every_fit_is_asked_of_all_its_test_utterances_in_every_kind_at_every_level(lab, tmp_path):
    found, metadata = lab.asked(tmp_path / "said.parquet", "exp1", "single")
    tested = read_table(lab.trained("exp1", "single") / "predictions.parquet").to_pandas()
    points = found.groupby(["condition", found["snr_db"].fillna(np.inf)])
    assert sorted(points.groups) == sorted((kind, db) for kind in CONDITIONS for db in (np.inf, TRAINED_DB, LOUD_DB))
    for _, point in points:
        assert sorted(map(tuple, point[KEYS].to_numpy())) == sorted(map(tuple, tested[KEYS].to_numpy()))
    # an utterance has the same clip in all runs, at all levels
    noisy = found[found["snr_db"].notna()]
    assert noisy.groupby(["condition", "utterance"])["clip"].nunique().eq(1).all()
    assert (noisy["achieved_snr_db"] - noisy["snr_db"]).abs().max() < 0.01
    assert metadata["cell"] == {"experiment": "exp1", "method": "single", "corpus": "toy", "profile": "h1"}
    assert metadata["snr_db"] == [TRAINED_DB, LOUD_DB]
    assert metadata["provenance"]["stand_ins"] == {"corpus": ["toy"], "noise": ["ESC-50"]}


def test_clean_audio_is_what_mixtures_come_to_as_noise_falls(lab, tmp_path):
    """It is the clean recording, and not what the network was trained in."""
    found, _ = lab.asked(tmp_path / "said.parquet", "exp1", "single", (100.0, TRAINED_DB))
    said = {
        level: np.stack(of_level.sort_values([*KEYS, "condition"])["probabilities"])
        for level, of_level in found.groupby(found["snr_db"].fillna(np.inf))
    }
    moved = {level: np.abs(said[level] - said[np.inf]).mean() for level in (100.0, TRAINED_DB)}
    assert 0 < 20 * moved[100.0] < moved[TRAINED_DB]


def test_in_experiment_2_a_network_is_asked_in_the_noise_that_it_has_not_heard(lab, tmp_path):
    found, _ = lab.asked(tmp_path / "said.parquet", "exp2", "moe_dlc")
    assert (found["condition"] == found["fold"]).all()
    assert (found["gate"] != found["fold"]).all()
    assert set(found["fold"]) == set(CONDITIONS)


def test_what_is_said_does_not_hang_on_shards_or_on_the_order_of_audio(lab, tmp_path):
    one, _ = lab.asked(tmp_path / "one.parquet", "exp1", "moe_dlc")
    other, _ = lab.asked(tmp_path / "other.parquet", "exp1", "moe_dlc", audio=lab.audio[::-1])
    by = [*KEYS, "condition", "snr_db"]
    one, other = (said.sort_values(by).reset_index(drop=True) for said in (one, other))
    for column in ("clip", "achieved_snr_db", "prediction", "gate"):
        assert one[column].equals(other[column]), column
    again, _ = lab.asked(tmp_path / "again.parquet", "exp1", "moe_dlc")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()
    assert len(again) == len(one)


def test_with_clips_by_fold_none_is_mixed_that_training_may_have_heard(lab, tmp_path):
    found, _ = lab.asked(tmp_path / "said.parquet", "exp1", "single", (LOUD_DB,), ("--clips", "by_fold"))
    folds = ClipBank.read(lab.clips).fold_of
    assert {folds[clip] for clip in found["clip"].dropna()} == {5}


def test_an_utterance_that_the_audio_lacks_is_missed(lab, tmp_path):
    with pytest.raises(StoreError, match=r"the audio lacks \d+ test utterances, the first is u\d+; delete"):
        lab.asked(tmp_path / "said.parquet", "exp1", "single", audio=lab.audio[:1])
    assert not (tmp_path / "said.parquet").exists()


def test_the_networks_of_another_cell_are_refused(lab, tmp_path):
    """Though they are of the same layers."""
    other = lab.trained("exp1", "single_wide") / "model.safetensors"
    with pytest.raises(StoreError, match=r"single_wide/model\.safetensors: of cell .*single_wide.* and not"):
        lab.asked(tmp_path / "said.parquet", "exp1", "single", model=[other])
    with pytest.raises(ConfigError, match="give the noise classifier's model and options to methods that route alone"):
        lab.asked(tmp_path / "said.parquet", "exp1", "single", gate_model=[other])


def test_a_mixture_without_features_is_named(lab, tmp_path, monkeypatch):
    def none(parameters):
        def feature(waveform):
            raise AudioError("no pitch")

        return feature

    monkeypatch.setattr(stage, "load_feature", lambda name, parameters: none(parameters))
    with pytest.raises(AudioError, match=r"^u\d+ in noise at -3 dB: no pitch"):
        lab.asked(tmp_path / "said.parquet", "exp1", "single")


def test_that_the_same_audio_is_in_training_and_test_is_said_as_of_the_training(lab, tmp_path):
    rows = [{**row, "duplicate_of": NAMES[0] if i else None} for i, row in enumerate(lab.rows)]
    twins = [write_utterances(tmp_path, rows=rows, synthetic=True)]
    _, metadata = lab.asked(tmp_path / "said.parquet", "exp1", "single", utterances=twins)
    remarks = metadata["provenance"]["remarks"]
    assert [said for said in remarks if said.startswith("the same audio is in training and test")]
    _, metadata = lab.asked(tmp_path / "said.parquet", "exp1", "single")
    assert not [said for said in metadata["provenance"]["remarks"] if "same audio" in said]
