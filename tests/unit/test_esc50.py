import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from serflow.errors import AudioError, NoiseError, StoreError
from serflow.noise.esc50 import ClipFile, check_complete, list_clips, read_clip
from serflow.noise.mixing import ClipBank
from serflow.noise.published import READS
from serflow.stages import prepare_clips
from serflow.state import stamps
from serflow.stores.parquet import read_metadata, read_table, write_table

HEADER = "filename,fold,target,category,esc10,src_file,take"


def noise(n_samples: int = 2205, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples)


def make_esc50(root: Path, targets: list[int], per_class: int = 1, suffix: str = ".wav") -> Path:
    (root / "audio").mkdir(parents=True)
    lines = [HEADER]
    for target in targets:
        for take in range(per_class):
            stem = f"{take % 5 + 1}-{1000 + take}-A-{target}"
            lines.append(f"{stem}.wav,{take % 5 + 1},{target},class_{target},False,{1000 + take},A")
            soundfile.write(root / "audio" / f"{stem}{suffix}", noise(seed=target), 22050)
    write_meta(root, lines)
    return root


def write_meta(root: Path, lines: list[str]) -> None:
    (root / "meta").mkdir(exist_ok=True)
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")


def run(root: Path, folder: Path, synthetic: bool = False, allow_partial: bool = False) -> Path:
    prepare_clips.main(
        argparse.Namespace(
            root=root,
            synthetic=synthetic,
            allow_partial=allow_partial,
            files=None,
            clips=folder / "clips.parquet",
            rejected=folder / "clips_rejected.csv",
        )
    )
    return folder / "clips.parquet"


def test_the_files_that_count_are_those_that_are_read(tmp_path: Path) -> None:
    root = make_esc50(tmp_path / "wav", [10, 20, 30])
    make_esc50(tmp_path / "flac", [31], suffix=".flac")
    (root / "audio/other.flac").write_bytes((tmp_path / "flac/audio/1-1000-A-31.flac").read_bytes())
    (root / "README.md").write_text("not read")
    listed, _, _ = list_clips(root)
    found = stamps(root, READS)
    assert {clip.path.relative_to(root).as_posix() for clip in listed if clip.path} < found.keys()
    assert found.keys() - {f"audio/{clip.clip}.wav" for clip in listed} == {"meta/esc50.csv", "audio/other.flac"}


def rejected(folder: Path) -> list[dict[str, str]]:
    with open(folder / "clips_rejected.csv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_groups_are_the_targets_tens(tmp_path: Path, suffix: str) -> None:
    root = make_esc50(tmp_path / "esc50", [0, 9, 10, 19, 20, 29, 30, 39, 40, 49], suffix=suffix)
    table = read_table(run(root, tmp_path, allow_partial=True), kind="clips").to_pylist()
    assert [(row["target"], row["group"]) for row in table] == [
        (10, "natural"), (19, "natural"), (20, "human"), (29, "human"), (30, "interior"), (39, "interior"),
    ]  # fmt: skip
    assert table[0]["clip"] == "1-1000-A-10"
    assert (table[0]["fold"], table[0]["category"], table[0]["n_samples"]) == (1, "class_10", 1600)
    assert rejected(tmp_path) == []


def test_clips_can_be_read_back_into_a_bank(tmp_path: Path) -> None:
    bank = ClipBank.read(run(make_esc50(tmp_path / "esc50", [30, 20, 10], 2), tmp_path, synthetic=True))
    assert bank.synthetic
    assert bank.by_condition == {
        "natural": ["1-1000-A-10", "2-1001-A-10"],
        "human": ["1-1000-A-20", "2-1001-A-20"],
        "interior": ["1-1000-A-30", "2-1001-A-30"],
    }
    assert bank["1-1000-A-10"].dtype == np.int16
    with pytest.raises(NoiseError, match="clip 'x' of the noise plan is not among the 6 noise clips"):
        bank["x"]
    write_table(tmp_path / "other.parquet", pa.table({"clip": ["a"]}), kind="frames", metadata={})
    with pytest.raises(StoreError, match="kind is 'frames' where 'clips' was asked for"):
        ClipBank.read(tmp_path / "other.parquet")


def test_whole_esc50_needs_no_permission(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    rows = [f"{i % 5 + 1}-{i}-A-{target}.wav,{i % 5 + 1},{target},x" for target in range(50) for i in range(40)]
    write_meta(tmp_path, ["filename,fold,target,category", *rows])
    listed, rejected_rows, warnings = list_clips(tmp_path)
    assert (rejected_rows, warnings) == ([], [])
    groups = [clip.group for clip in listed]
    assert Counter(groups) == {"natural": 400, "human": 400, "interior": 400}
    assert check_complete(groups, [], tmp_path, allow_partial=False) == []
    with pytest.raises(NoiseError, match="human: 399 of 400 clips"):
        check_complete([g for i, g in enumerate(groups) if i != 500], [], tmp_path, allow_partial=False)


def test_part_of_esc50_needs_permission_and_is_told(tmp_path: Path) -> None:
    root = make_esc50(tmp_path / "esc50", [10, 20, 30], 2)
    (root / "audio" / "2-1001-A-20.wav").unlink()
    with pytest.raises(NoiseError) as caught:
        run(root, tmp_path)
    assert "natural: 2 of 400 clips, human: 1 of 400 clips, interior: 2 of 400 clips" in str(caught.value)
    assert "audio/2-1001-A-20.wav: no such file" in str(caught.value)
    assert "`noise.esc50.allow_partial: true` in config.yaml" in str(caught.value)
    assert not (tmp_path / "clips.parquet").exists()
    metadata = read_metadata(run(root, tmp_path, allow_partial=True))
    assert metadata["synthetic"] is False
    assert "human: 1 of 400 clips" in metadata["warnings"]
    assert "meta/esc50.csv lists 6 clips of 2000 published" in metadata["warnings"]


def test_unusable_clips_are_rejected_with_their_reasons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = make_esc50(tmp_path / "esc50", [10, 20, 30], 5)
    audio = root / "audio"
    (audio / "1-1000-A-10.wav").unlink()
    soundfile.write(audio / "2-1001-A-10.wav", np.zeros(2205), 22050)
    (audio / "3-1002-A-10.wav").write_bytes((audio / "3-1002-A-10.wav").read_bytes()[:-50])
    (audio / "4-1003-A-10.wav").write_text("text")
    lines = (root / "meta" / "esc50.csv").read_text().splitlines()
    lines += ["rain.wav,1,10,rain,False,1,A", "1-7-A-10.wav,1,11,sea_waves,False,7,A", lines[-1]]
    write_meta(root, lines)
    path = run(root, tmp_path, allow_partial=True)
    assert all(row["path"] == f"audio/{row['clip']}.wav" for row in rejected(tmp_path))
    reasons = {row["path"]: row["reason"] for row in rejected(tmp_path)}
    assert reasons == {
        "audio/rain.wav": "the name is not ESC-50's fold-id-take-target.wav",
        "audio/1-7-A-10.wav": "fold 1 and target 11 of meta/esc50.csv are not those of the name",
        "audio/5-1004-A-30.wav": "listed twice in meta/esc50.csv",
        "audio/1-1000-A-10.wav": "listed in meta/esc50.csv, but there is no such file (.wav or .flac)",
        "audio/2-1001-A-10.wav": "digital silence: every sample has the same value",
        "audio/3-1002-A-10.wav": "truncated: the header announces 4410 bytes of samples, the file holds 4360",
        "audio/4-1003-A-10.wav": reasons["audio/4-1003-A-10.wav"],
    }
    assert reasons["audio/4-1003-A-10.wav"].startswith("not an audio file")
    assert read_table(path).num_rows == 11
    (warning,) = (message for message in caplog.messages if "rejected" in message)
    assert warning.startswith("ESC-50: 7 clips rejected (1 ")
    assert warning.endswith(f", 2 for other reasons); see {tmp_path / 'clips_rejected.csv'}")


@pytest.mark.parametrize("synthetic", [True, False])
def test_group_without_any_clip_is_always_an_error(tmp_path: Path, synthetic: bool) -> None:
    root = make_esc50(tmp_path / "esc50", [10, 20, 30])
    soundfile.write(root / "audio" / "1-1000-A-30.wav", np.zeros(2205), 22050)
    with pytest.raises(NoiseError, match=r"a group of noises has no usable clip: .*interior: 0 of 400"):
        run(root, tmp_path, synthetic=synthetic, allow_partial=True)


@pytest.mark.parametrize("present", ["nothing", "folder", "meta"])
def test_wrong_root_says_where_esc50_is_had(tmp_path: Path, present: str) -> None:
    root = tmp_path / "esc50"
    if present != "nothing":
        root.mkdir()
    if present == "meta":
        write_meta(root, [HEADER])
    with pytest.raises(NoiseError) as caught:
        run(root, tmp_path)
    for part in ("noise.esc50.root in config.yaml", "https://github.com/karolpiczak/ESC-50", "CC BY-NC 3.0"):
        assert part in str(caught.value)


def test_parent_folder_gets_a_hint(tmp_path: Path) -> None:
    make_esc50(tmp_path / "ESC-50-master", [10])
    with pytest.raises(NoiseError, match=r"did you mean .*ESC-50-master"):
        list_clips(tmp_path)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe\x00\x01", b""])
def test_wrong_table_is_refused(tmp_path: Path, content: bytes) -> None:
    root = make_esc50(tmp_path / "esc50", [10])
    (root / "meta" / "esc50.csv").write_bytes(content)
    with pytest.raises(NoiseError, match=r"meta/esc50\.csv: "):
        list_clips(root)


def test_digital_zeros_are_trimmed_and_recorded(tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(1600), noise(8000), np.zeros(3200), [0.5], np.zeros(4800)])
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    clip = read_clip(ClipFile("a", 1, 10, "rain", "natural", tmp_path / "a.wav"))
    assert (clip.trimmed_start_s, clip.trimmed_end_s) == (0.1, 0.3)
    np.testing.assert_allclose(clip.pcm16 / 32768, samples[1600:-4800], atol=1e-4)


def test_clip_without_file_is_refused() -> None:
    with pytest.raises(AudioError, match="no such file"):
        read_clip(ClipFile("a", 1, 10, "rain", "natural", None))


def test_real_clips(real_data: Path, tmp_path: Path) -> None:
    path = run(real_data / "esc50", tmp_path, allow_partial=True)
    table = read_table(path, kind="clips").to_pandas()
    assert table.group.value_counts().to_dict() == {"natural": 80, "human": 80, "interior": 80}
    assert set(table.fold) == {4}
    assert len(rejected(tmp_path)) == 960
    assert read_metadata(path)["warnings"] == [
        f"{group}: 80 of 400 clips" for group in ("natural", "human", "interior")
    ]
    durations = table.n_samples / 16000 + table.trimmed_start_s + table.trimmed_end_s
    np.testing.assert_allclose(durations, 5.0, atol=1e-3)
    assert (table.trimmed_end_s > 0.05).sum() > 20
    ends = [np.frombuffer(pcm, "<i2")[[0, -1]] for pcm in table.pcm16]
    assert np.all(ends)
