"""Corpora, ESC-50 and weights that no rule makes: what is noticed when they change, and what is not."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness import Workflow
from own_data import CONFIG, write_corpus, write_esc50, write_noise

pytestmark = pytest.mark.workflow

# depends on every label, every recording and every clip
PLAN = "results/noise/mine/h1.parquet"
WEIGHTS = "resources/weights/byol.json"
CORPUS = {"list_utterances": 1, "prepare_audio": 2, "accept_utterances": 1, "plan_noise": 1}
CLIPS = {"prepare_clips": 1, "plan_noise": 1}


@pytest.fixture(scope="module")
def read(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A corpus, noises and weights of one's own, read once."""
    folder = tmp_path_factory.mktemp("read")
    write_corpus(folder / "data/mine")
    write_esc50(folder / "data/esc50")
    (folder / "data/weights").mkdir()
    (folder / "data/weights/byol.pth").write_bytes(b"weights" * 100)
    workflow = Workflow(repository, folder, CONFIG.format(weights="data/weights/byol.pth"))
    workflow.run(PLAN, WEIGHTS, "--cores", "2")
    return workflow


@pytest.fixture
def copy(read: Workflow, tmp_path: Path) -> Workflow:
    """Results and data, copied, to be changed."""
    shutil.copytree(read.folder, tmp_path / "work")
    return Workflow(read.checkout, tmp_path / "work", read.config.read_text())


def label(root: Path) -> None:
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("anna0,anna,anger", "anna0,anna,sadness"))


def label_of_the_same_size(root: Path) -> None:
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("anna3,anna", "anna3,carl"))


def recording(root: Path) -> None:
    write_noise(root / "wav/ben1.wav", 99)


def recording_with_the_old_time(root: Path) -> None:
    status = (root / "wav/ben1.wav").stat()
    recording(root)
    os.utime(root / "wav/ben1.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (root / "wav/ben1.wav").stat().st_size == status.st_size


def new_recording(root: Path) -> None:
    write_noise(root / "wav/dora0.wav", 100)


def lost_recording(root: Path) -> None:
    (root / "wav/ben1.wav").unlink()


def renamed_recording(root: Path) -> None:
    (root / "wav/ben1.wav").rename(root / "wav/ben9.wav")


def another_root(root: Path) -> None:
    other = shutil.copytree(root, root.with_name("other"))
    label(other)
    config = root.parents[1] / "test.yaml"
    config.write_text(config.read_text().replace("data/mine", "data/other"))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (label, "changed: labels.csv"),
        (label_of_the_same_size, "changed: labels.csv"),
        (recording, "changed: wav/ben1.wav"),
        (recording_with_the_old_time, "changed: wav/ben1.wav"),
        (new_recording, "new: wav/dora0.wav"),
        (lost_recording, "gone: wav/ben1.wav"),
        (renamed_recording, "gone: wav/ben1.wav"),
        (another_root, "changed: labels.csv"),
    ],
)
def test_a_changed_corpus_is_read_again(copy: Workflow, edit: Callable[[Path], None], said: str) -> None:
    edit(copy.folder / "data/mine")
    output = copy.run(PLAN, "-n", "-q", "rules")
    assert copy.jobs(output) == CORPUS
    assert f"corpora.mine.root: since it was read last, {said}" in output


def test_every_file_is_as_the_page_of_results_says(read: Workflow) -> None:
    for record in ("corpora/mine", "noise"):
        assert (read.folder / "results" / record / "files.json").is_file()
    assert read.faults() == []


def test_unchanged_content_reruns_nothing(copy: Workflow) -> None:
    """Times, equal content written again, another folder, and files that no reader reads."""
    data = copy.folder / "data"
    for path in data.rglob("*"):
        os.utime(path)
    (data / "mine/labels.csv").write_bytes((data / "mine/labels.csv").read_bytes())
    (data / "mine/notes.txt").write_text("not read")
    (data / "mine/.DS_Store").write_text("hidden")
    (data / "esc50/README.md").write_text("not read")
    assert copy.plan(PLAN, WEIGHTS) == {}
    for record in ("results/corpora/mine", "results/noise", "resources/weights/byol"):
        known = json.loads((copy.folder / record / "files.json").read_text())["files"]
        assert known
        for _, mtime, _, digest in known.values():
            assert abs(mtime / 1e9 - (copy.folder / "test.yaml").stat().st_mtime) < 3600
            assert len(digest) == 64
    data.rename(copy.folder / "elsewhere")
    config = copy.config.read_text()
    copy.config.write_text(config.replace("root: data/", "root: elsewhere/"))
    assert copy.plan(PLAN) == {}


def test_the_record_may_be_lost(copy: Workflow) -> None:
    for record in ("results/corpora/mine", "results/noise", "resources/weights/byol"):
        (copy.folder / record / "files.json").unlink()
    assert copy.plan(PLAN, WEIGHTS) == {}


def test_a_kill_between_labels_and_audio_leaves_no_stale_audio(copy: Workflow) -> None:
    recording(copy.folder / "data/mine")
    copy.run(PLAN, "--cores", "1", "--until", "list_utterances")
    assert copy.plan(PLAN) == {name: count for name, count in CORPUS.items() if name != "list_utterances"}
    before = pd.read_parquet(copy.folder / "results/audio/mine/0000.parquet")
    copy.run(PLAN, "--cores", "2")
    after = pd.read_parquet(copy.folder / "results/audio/mine/0000.parquet")
    changed = before["utterance"][before["pcm16"] != after["pcm16"]]
    assert changed.tolist() == ["ben1"]
    assert copy.plan(PLAN) == {}


def test_swapped_noises_are_read_again(copy: Workflow) -> None:
    write_noise(copy.folder / "data/esc50/audio/1-20-A-20.wav", 99)
    assert copy.plan(PLAN) == CLIPS


def test_changed_weights_are_read_again(copy: Workflow) -> None:
    file = copy.folder / "data/weights/byol.pth"
    content = file.read_bytes()
    file.write_bytes(content[::-1])
    assert copy.plan(WEIGHTS) == {"prepare_weights": 1}
    file.write_bytes(content)
    assert copy.plan(WEIGHTS) == {}
    (copy.folder / "data/other.pth").write_bytes(content[::-1])
    copy.config.write_text(CONFIG.format(weights="data/other.pth"))
    assert copy.plan(WEIGHTS) == {"prepare_weights": 1}


def test_why_tells_what_changed_outside_the_workflow(copy: Workflow) -> None:
    label(copy.folder / "data/mine")
    changed = "corpora.mine.root: since it was read last, changed: labels.csv"
    assert copy.serflow("why", PLAN).splitlines() == [
        f"1 list_utterances (mine): {changed}",
        "Made anew because what they are made from is: 2 prepare_audio, 1 accept_utterances, 1 plan_noise",
    ]
    shutil.copytree(copy.folder / "data/esc50", copy.folder / "data/other")
    write_noise(copy.folder / "data/other/audio/1-20-A-20.wav", 99)
    copy.config.write_text(copy.config.read_text().replace("data/esc50", "data/other"))
    changed = "noise.esc50.root: since it was read last, changed: audio/1-20-A-20.wav"
    assert f"1 prepare_clips: {changed}" in copy.serflow("why", PLAN).splitlines()
    weights = copy.folder / "data/weights/byol.pth"
    weights.write_bytes(weights.read_bytes()[::-1])
    changed = "backbones.byol.weights: since it was read last, changed: byol.pth"
    assert copy.serflow("why", WEIGHTS) == f"1 prepare_weights (byol): {changed}\n"


def test_what_is_missing_stops_only_what_needs_it(copy: Workflow) -> None:
    shutil.rmtree(copy.folder / "data/esc50")
    said = copy.run(PLAN, "-n")
    assert "test.yaml:9: noise.esc50.root: no folder data/esc50" in said
    assert "A run would stop here" in said
    said = copy.run("results/features/mfb/emodb/clean", "--cores", "1", ok=False)
    assert "test.yaml:8: corpora.emodb.root: no folder no/such/folder" in said
    # of the studies of the default configuration one has it
    assert "take emodb out of `multigating:` to go on without it" in said
    assert "esc50" not in said
    copy.run("results/features/mfb/mine/clean", "--cores", "1")
