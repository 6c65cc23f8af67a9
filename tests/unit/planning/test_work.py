import json
import shlex

import pytest

from serflow.config import check_config
from serflow.planning.commands import read_command
from serflow.planning.hours import Hours
from serflow.planning.work import Amount, Folds, Works, epochs_of, folds_of, size_of

PAPER = {
    "corpora": {"iemocap": {"root": "/data/I"}, "crema_d": {"root": "/data/C"}, "emodb": {"root": "synthetic"}},
    "dlc": {"corpora": ["iemocap"]},
}
DLC = {"model": {"maps": 128}, "training": {"max_epochs": 1000, "patience": 10, "batch_size": 32}}


@pytest.fixture
def works(tmp_path):
    config = check_config(PAPER)
    return Works(config, Hours(config, tmp_path, {"emodb": 2.0}))


def training(options, corpus, protocol, runs=2, cell="experiment=exp1 method=single"):
    splits = " ".join([f"splits=results/splits/{corpus}/{protocol}.parquet"] * runs)
    return read_command(
        f"python -m serflow.stages.train --study dlc --cell {cell} corpus={corpus} --inputs {splits}"
        f" --runs {' '.join(map(str, range(runs)))} --options {shlex.quote(json.dumps(options))}"
        f" --log results/logs/train_dlc/{corpus}.log"
    )


def shard(corpus, stage="prepare_audio", more=""):
    return read_command(f"python -m serflow.stages.{stage} {more} --log results/logs/{stage}/{corpus}/0000.log")


def test_a_shard_is_a_part_of_the_published_hours(works):
    work = works.of("prepare_audio", shard("iemocap"))
    assert work.amount.most == pytest.approx(12.0 / 20)
    assert work.amount.least == work.amount.most == work.made


def test_lengths_are_told_with_their_origin(works):
    for corpus in ("iemocap", "emodb", "crema_d"):
        works.of("prepare_audio", shard(corpus))
    assert works.hours.told() == ["emodb 0.111 h, a stand-in", "iemocap 12 h, as published"]


def test_a_stand_in_is_as_long_as_its_utterances_were(works):
    assert works.of("prepare_audio", shard("emodb")).amount.most == pytest.approx(200 * 2.0 / 3600)


def test_a_corpus_of_unknown_length_is_said(works):
    work = works.of("prepare_audio", shard("crema_d"))
    assert work.amount is None
    assert "results/corpora/crema_d/utterances.parquet" in work.why_not


def test_what_is_of_no_corpus_is_a_job(works):
    command = read_command("python -m serflow.stages.tabulate --study dlc --log results/logs/t.log")
    assert works.of("tabulate_dlc_table1", command).amount == Amount(1, 1)
    assert works.of("make_table1", None).key == ("make_table1", "", "")


@pytest.mark.parametrize(
    ("feature", "kind"), [("mfb", "mfb"), ("byol", "byol, stand-in weights"), ("ge2e", "ge2e, download weights")]
)
def test_a_network_is_another_kind_with_other_weights(works, feature, kind):
    more = f"--feature {feature} --extractor {feature}"
    assert works.of("extract_features", shard("emodb", "extract_features", more)).kind == kind


def test_a_training_is_hours_times_epochs_times_fits(works):
    work = works.of("train_dlc", training(DLC, "iemocap", "dialogue-0"))
    # 5,531 of 10,039 utterances have a label, 0.7 of them train, in two runs
    whole = 12.0 * 5531 / 10039 * 0.7 * 2
    assert work.amount == pytest.approx((whole * 11, whole * 1000))
    assert work.made == 2
    held_out = works.of("train_dlc", training(DLC, "iemocap", "dialogue-0", cell="experiment=exp2 method=single"))
    # three noises in turn, and two of three train
    assert held_out.amount == pytest.approx((2 * whole * 11, 2 * whole * 1000))
    assert held_out.made == 6
    assert held_out.key == work.key


def test_a_network_in_the_graph_is_another_kind_with_other_weights(works):
    command = read_command(
        "python -m serflow.stages.train --study temporal --cell system=wav2vec corpus=emodb variant=plain --runs 0"
        " --inputs splits=results/splits/emodb/dialogue-0.parquet weights=resources/weights/wav2vec.json"
    )
    assert works.of("train_temporal", command).kind == "temporal wav2vec, stand-in weights"


def test_fewer_folds_are_asked_for(works):
    def hours(**more):
        return works.of("t", training({**more, "training": {"epochs": 1}}, "iemocap", "session-F", 1)).amount.most

    whole = hours()
    assert whole == pytest.approx(12.0 * 5531 / 10039 * 0.8 * 5)
    assert hours(folds_used=2) == pytest.approx(whole * 2 / 5)
    assert hours(folds_used="first") == pytest.approx(whole / 5)
    assert hours(style="improvised") == pytest.approx(whole * 2943 / 5531)
    assert hours(speakers=4) == pytest.approx(whole * 0.4 / 0.8)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({"training": {"max_epochs": 1000, "patience": 10}}, (11, 1000)),
        ({"training": {"max_epochs": 8, "patience": 10}}, (8, 8)),
        ({"training": {"epochs": 20}}, (20, 20)),
        ({"training": {"epochs": 100, "patience": None}}, (100, 100)),
        ({}, (1, 1)),
        ({"hffn": "staged", "training": {"max_epochs": 30, "patience": 9}}, (30, 90)),
        ({"hffn": "end_to_end", "training": {"max_epochs": 30, "patience": 9}}, (10, 30)),
        ({"hffn": "staged", "staged": {"fusion_epochs": 4}, "training": {"max_epochs": 30, "patience": 9}}, (24, 64)),
    ],
)
def test_epochs_are_bounded_by_patience_and_configuration(options, epochs):
    assert epochs_of(options) == epochs


@pytest.mark.parametrize(
    ("protocol", "folds"),
    [
        ("dialogue-3", (1, 0.7)), ("speaker80-0", (1, 0.8)), ("utterance-0", (1, 0.64)), ("session-F", (5, 0.8)),
        ("session-both", (10, 0.8)), ("pair-M", (5, 0.8)), ("last_session", (8, 0.7)), ("leave_session", (5, 0.6)),
        ("in_turn-8", (8, 0.7)), ("speaker_folds-5", (5, 0.6)), ("dialogue_fold", (10, 0.9)),
        ("speaker_fold", (10, 0.9)), ("session_fold", (5, 0.8)), ("utterance_fold", (10, 0.9)),
    ],
)  # fmt: skip
def test_folds_of_ten_speakers_in_five_sessions(protocol, folds):
    assert folds_of(protocol, 10, 5) == pytest.approx(Folds(*folds))


def test_folds_that_hang_on_what_is_not_known_are_not_guessed():
    assert [folds_of(name, None, None) for name in ("speaker_fold", "session-F", "pair-F", "last_session")] == [
        None
    ] * 4


def test_the_size_is_of_what_a_step_costs():
    other = {
        "model": {"maps": 128},
        "training": {"max_epochs": 3, "patience": 1, "learning_rate": 1.0, "batch_size": 32},
    }
    assert size_of(DLC) == size_of({**other, "iemocap_labels": "merged"})
    assert size_of(DLC) != size_of({**DLC, "model": {"maps": 64}})
    assert size_of(DLC) != size_of({**DLC, "training": {**DLC["training"], "batch_size": 8}})
    assert size_of(DLC) != size_of({**DLC, "an_option_that_comes_later": 1})
