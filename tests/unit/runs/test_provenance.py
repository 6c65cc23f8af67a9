import json

import numpy as np
import pyarrow as pa
import pytest

from made_up_runs import (
    STAND_IN_WEIGHTS,
    UTTERANCE,
    predicted,
    write_cell,
    write_noise_plan,
    write_packed,
    write_split,
    write_utterances,
)
from serflow.errors import StoreError
from serflow.files import write_sealed_json
from serflow.protocols.folds import FitName, FoldRows
from serflow.runs.provenance import Provenance, gather, joined, same_audio
from serflow.stores.parquet import read_metadata, write_table
from serflow.stores.pulses import PulseRow, write_pulses

REAL = {"weights": {"backbone": "bert", "release": "bert_base", "synthetic": False}}
STAND_IN = {"weights": {"backbone": "bert", "release": "stand-in", "synthetic": True}}


def recognised(synthetic):
    return {"transcripts": {"weights": {"backbone": "deepspeech", "synthetic": synthetic}}}


def test_a_feature_of_a_network_tells_of_its_weights(tmp_path):
    assert gather({"mel": write_packed(tmp_path, "a")}).stand_ins == {}
    assert gather({"emb": write_packed(tmp_path, "b", **REAL)}).stand_ins == {}
    assert gather({"emb": write_packed(tmp_path, "c", **STAND_IN)}).stand_ins == {"weights": ("bert",)}


@pytest.mark.parametrize(
    ("encoder", "recogniser", "found"),
    [
        (REAL, recognised(False), ()),
        (REAL, recognised(True), ("deepspeech",)),
        (STAND_IN, recognised(False), ("bert",)),
        (STAND_IN, recognised(True), ("bert", "deepspeech")),
        # nothing was recognised: the corpus's own words
        (STAND_IN, {"transcripts": {}}, ("bert",)),
        (REAL, {"transcripts": {}}, ()),
    ],
)
def test_embeddings_of_transcripts_tell_of_encoder_and_recogniser(tmp_path, encoder, recogniser, found):
    text = write_packed(tmp_path, "text", **encoder, **recogniser)
    assert gather({"text": text}).stand_ins == ({"weights": found} if found else {})


def test_a_noise_plan_tells_of_its_clips(tmp_path):
    real = gather({"plan": write_noise_plan(tmp_path, warnings=["clips: 1,999 of 2,000 published"])})
    assert (real.stand_ins, real.remarks) == ({}, ("noise: clips: 1,999 of 2,000 published",))
    assert (real.partial, real.partial_noise, real.partial_corpora) == (("ESC-50",), True, ())
    whole = gather({"plan": write_noise_plan(tmp_path, profile="h3")})
    assert (whole.partial, whole.partial_noise) == ((), False)
    synthetic = gather({"plan": write_noise_plan(tmp_path, profile="h2", synthetic=True)})
    assert (synthetic.stand_ins, synthetic.remarks) == ({"noise": ("ESC-50",)}, ())


def test_an_utterance_table_tells_of_its_corpus(tmp_path):
    whole = gather({"utterances": write_utterances(tmp_path, "whole", accepted=5531)})
    assert (whole.stand_ins, whole.partial, whole.remarks) == ({}, (), ())
    synthetic = gather({"utterances": write_utterances(tmp_path, "made", synthetic=True)})
    assert (synthetic.stand_ins, synthetic.partial) == ({"corpus": ("made",)}, ())
    warnings = ["utterances: 5,531 of 7,380 published"]
    cut = write_utterances(tmp_path, "cut", accepted=5528, rejected=3, partial=True, warnings=warnings)
    assert gather({"utterances": cut})[:3] == (
        {},
        ("cut",),
        ("utterances: 5,531 of 7,380 published", "3 of 5,531 utterances rejected"),
    )


def test_predictions_of_another_run_hand_on_what_they_were_made_from(tmp_path):
    """A method that is routed by a noise classifier rests on all that this one was trained on."""
    made_from = Provenance(
        {"corpus": ("toy",), "noise": ("ESC-50",)}, ("half",), ("3 rejected",), {"plan": "0" * 64, "noisy": "1" * 64}
    )
    gate = write_cell(tmp_path, {"method": "gate"}, [predicted([("u0", [1.0, 0, 0], 0)])], provenance=made_from)
    found = gather({"gate": gate.predictions})
    assert found[:3] == made_from[:3]
    # its own inputs are behind its own digest
    assert found.sources == {"gate": read_metadata(gate.predictions)["data_sha256"]}


def test_all_inputs_are_gathered(tmp_path):
    inputs = {
        "utterances": write_utterances(tmp_path, synthetic=True, accepted=4, warnings=["few"]),
        "splits": tuple(
            write_split(tmp_path, {name: {"u0": "train"}}, protocol=name) for name in ("dialogue-0", "dialogue-1")
        ),
        "plan": write_noise_plan(tmp_path, synthetic=True),
        "text": write_packed(tmp_path, "text", **STAND_IN),
        "again": write_packed(tmp_path, "again", **STAND_IN),
    }
    found = gather(inputs)
    assert found.stand_ins == {"corpus": ("toy",), "noise": ("ESC-50",), "weights": ("bert",)}
    assert found.remarks == ("few",)
    assert list(found.sources) == [
        "utterances", "splits/0", "splits/1", "plan", "text", "text/array", "again", "again/array",
    ]  # fmt: skip
    assert found.sources["splits/1"] == read_metadata(inputs["splits"][1])["data_sha256"]


def test_a_packed_store_is_known_by_its_frames_and_by_whose_they_are(tmp_path):
    def digest(folder, **frames):
        return gather({"mfb": write_packed(tmp_path / folder, frames=frames)}).sources

    first = digest("one", a=[[1.0, 2.0]], b=[[3.0, 4.0]])
    assert first == digest("two", a=[[1.0, 2.0]], b=[[3.0, 4.0]])
    assert first != digest("other_frames", a=[[1.0, 2.0]], b=[[3.0, 5.0]])
    assert first != digest("other_names", b=[[1.0, 2.0]], a=[[3.0, 4.0]])


def test_what_serflow_did_not_write_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        gather({"utterances": tmp_path / "none.parquet"})


def test_provenances_are_joined_without_repeating_anything():
    one = Provenance({"weights": ("bert",), "corpus": ("a",)}, ("a",), ("few", "cut"), {"x": "1"})
    stand_ins = {"weights": ("wav2vec2", "bert"), "noise": ("ESC-50",)}
    other = Provenance(stand_ins, ("a", "b"), ("cut",), {"y": "2"}, (20.0,))
    found = joined([one, other, other])
    assert list(found.stand_ins.items()) == [
        ("corpus", ("a",)), ("noise", ("ESC-50",)), ("weights", ("bert", "wav2vec2")),
    ]  # fmt: skip
    assert found[1:] == (("a", "b"), ("few", "cut"), {"x": "1", "y": "2"}, (20.0,))
    assert joined([]) == Provenance()


def test_a_provenance_survives_json():
    one = Provenance({"weights": ("bert",)}, ("a",), ("few",), {"x": "1"})
    assert Provenance.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert Provenance.from_json(json.loads(json.dumps(STAND_IN_WEIGHTS.to_json()))) == STAND_IN_WEIGHTS


def weights_record(record_path, **changed):
    record = {"backbone": "wav2vec", "synthetic": True, "files": {"wav2vec.pt": "a" * 64}, "path": "there", **changed}
    write_sealed_json(record_path, {key: value for key, value in record.items() if value is not None})
    return record_path


def test_a_record_of_weights_tells_of_stand_ins_and_is_known_by_its_files(tmp_path):
    real = weights_record(tmp_path / "real.json", synthetic=False)
    made = weights_record(tmp_path / "made.json", files={"a.pt": "1" * 64, "b.pt": "2" * 64})
    assert gather({"weights": real}) == Provenance(sources={"weights/wav2vec.pt": "a" * 64})
    found = gather({"utterances": write_utterances(tmp_path), "weights": (made,)})
    assert found.stand_ins == {"weights": ("wav2vec",)}
    assert list(found.sources.items())[1:] == [("weights/0/a.pt", "1" * 64), ("weights/0/b.pt", "2" * 64)]
    # where it lies is this machine's
    elsewhere = weights_record(tmp_path / "elsewhere.json", synthetic=False, path="elsewhere")
    assert gather({"weights": elsewhere}) == gather({"weights": real})
    assert same_audio({"weights": (made,)}, [], []) == Provenance()


def test_other_json_is_no_record_of_weights(tmp_path):
    other = weights_record(tmp_path / "other.json", files=None)
    with pytest.raises(StoreError, match=r"other\.json: not a record of weights; give one of resources/weights"):
        gather({"weights": other})
    other.write_text(other.read_text().replace("wav2vec", "wav2vek"))
    with pytest.raises(StoreError, match="SHA-256"):
        gather({"weights": other})


def test_runs_on_pulses_say_in_how_many_utterances_there_is_none(tmp_path):
    def shard(corpus, number, n, without):
        path = tmp_path / corpus / f"{number}.parquet"
        rows = [PulseRow(f"u{place}", 9, np.array([] if place < without else [3])) for place in range(n)]
        write_pulses(path, rows, lambda: {"corpus": corpus})
        return path

    some, none = (shard("toy", 0, 5, 1), shard("toy", 1, 2_000, 3)), (shard("other", 0, 4, 0),)
    found = gather({"pulses": some, "others": none})
    assert found.remarks == ("no pitch pulse in 4 of 2,005 utterances of toy",)
    assert list(found.sources) == ["pulses/0", "pulses/1", "others/0"]
    assert gather({"pulses": none}).remarks == ()


def test_other_tables_say_nothing_of_stand_ins(tmp_path):
    path = tmp_path / "other.parquet"
    write_table(path, pa.table({UTTERANCE: ["u0"]}), kind="other")
    found = gather({"other": path})
    assert (found.stand_ins, list(found.sources)) == ({}, ["other"])


def fit(train, test):
    return FoldRows(FitName(0, "all"), *(np.array(rows, dtype=np.int64) for rows in (train, [], test)))


def test_runs_say_how_many_are_tested_whose_very_audio_was_trained_on(tmp_path):
    same = {"u2": "u0", "u3": "u0", "v1": "v0"}
    rows = [{UTTERANCE: f"u{i}", "duplicate_of": same.get(f"u{i}")} for i in range(5)]
    inputs = {
        "utterances": write_utterances(tmp_path, rows=rows),
        "others": (
            write_utterances(tmp_path, "other", rows=[{UTTERANCE: "v0"}, {UTTERANCE: "v1", "duplicate_of": "v0"}]),
        ),
        "plan": write_noise_plan(tmp_path),
    }
    names = ["u0", "u1", "u2", "u3", "u4", "v0", "v1"]
    apart = [fit([0, 1, 2, 3], [4, 5, 6]), fit([], [0])]
    assert same_audio(inputs, names, apart) == Provenance()
    across = [fit([1, 2], [0, 3, 4]), fit([5], [1, 6]), *apart]
    said = "the same audio is in training and test: of up to 2 of 3 test utterances of a fit"
    assert same_audio(inputs, names, across).remarks == (said,)
    assert same_audio(inputs, names, []).remarks == ()


def test_a_provenance_of_another_version_is_told():
    whole = Provenance(raised_db=(20.0,)).to_json()
    assert Provenance.from_json(whole) == Provenance(raised_db=(20.0,))
    for part in whole:
        with pytest.raises(StoreError, match=f"without {part}, as another version of serflow wrote it"):
            Provenance.from_json({name: value for name, value in whole.items() if name != part})
