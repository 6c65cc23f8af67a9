"""What counts as a lost utterance, for every layout; a new layout needs a tree here."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from serflow.corpora._tables import read_rejected, write_rejected
from serflow.corpora.base import Listing, Rejected, Utterance, corpus_names, load_corpus

IEMOCAP_LINE = "[6.2901 - 8.2357]\tSes01F_impro01_F00{n}\tneu\t[2.5000, 2.5000, 2.5000]\n"
MSP_BLOCK = "UTD-IMPROV-S01A-F01-S-FM0{n}.avi; N; A:3.000000; V:3.000000; D:NaN ; N:3.200000;\n\n"
MOSEI_LINE = "{n},v{n},0,0.1,3.2,0,-1,0,-2,1\n"
# audio of two utterances; a label file with its heading and a line an utterance, where the layout has one; options
TREES = {
    "cafe": (("Joie/01-J-2-1.wav", "Joie/01-J-2-2.wav"), None, {}),
    "crema_d": (("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1001_IEO_ANG_HI.wav"), None, {}),
    "emodb": (("wav/03a01Fa.wav", "wav/03a01Nc.wav"), None, {}),
    "iemocap": (
        tuple(f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F00{n}.wav" for n in (1, 2)),
        ("Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", "", IEMOCAP_LINE),
        {},
    ),
    "mosei": (
        ("Raw/Audio/Full/WAV_16000/v1.wav", "Raw/Audio/Full/WAV_16000/v2.wav"),
        ("Raw/Labels/CMU_MOSEI_Labels.csv", ",file,index,start,end,label2a,label2b,label6,label7,split\n", MOSEI_LINE),
        {},
    ),
    "msp_improv": (
        tuple(f"Audio/MSP-IMPROV-S01A-F01-S-FM0{n}.wav" for n in (1, 2)),
        ("Evalution.txt", "", MSP_BLOCK),
        {},
    ),
    "ravdess": (("Actor_01/03-01-05-01-01-01-01.wav", "Actor_01/03-01-04-01-01-01-01.wav"), None, {}),
    "table": (
        ("audio/1.wav", "audio/2.wav"),
        ("t.csv", "file,emotion,speaker\n", "{n},anger,s\n"),
        {"table": "t.csv", "audio": "audio/{file}.wav"},
    ),
}
LABELLED = [layout for layout, (_, labels, _) in TREES.items() if labels is not None]


def wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.zeros(160, dtype=np.int16), 16000)


@pytest.fixture
def tree(tmp_path, request):
    """A corpus of two utterances, of which nothing is rejected, and what lists it."""
    files, labels, options = TREES[request.param]
    for file in files:
        wav(tmp_path / file)
    if labels is not None:
        name, heading, line = labels
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(heading + "".join(line.format(n=n) for n in (1, 2)))

    def listed() -> Listing:
        return load_corpus(request.param).list(tmp_path, options)

    whole = listed()
    assert (len(whole.utterances), whole.rejected) == (2, [])
    return tmp_path / files[0], listed


def test_every_layout_is_tried():
    assert sorted(TREES) == corpus_names()


@pytest.mark.parametrize("tree", TREES, indirect=True)
def test_a_copy_and_a_file_of_another_corpus_are_listed_but_not_lost(tree):
    audio, listed = tree
    wav(audio.with_name("elsewhere.wav"))
    (audio.parent / "copy").mkdir()
    shutil.copy(audio, audio.parent / "copy")
    listing = listed()
    assert len(listing.utterances) == 2
    assert [entry.lost for entry in listing.rejected] == [False, False]


@pytest.mark.parametrize("tree", LABELLED, indirect=True)
def test_a_label_without_audio_is_a_lost_utterance_whose_audio_is_absent(tree):
    audio, listed = tree
    audio.unlink()
    listing = listed()
    assert len(listing.utterances) == 1
    assert [(entry.lost, entry.absent) for entry in listing.rejected] == [(True, True)]


def test_of_one_id_what_is_the_same_again_is_not_lost_and_what_differs_is():
    first, again, other = (Utterance("a", "a.wav", "s", "en", emotion=word) for word in ("anger", "anger", "sadness"))
    listing = Listing([first, again, other])
    listing.settle()
    assert listing.utterances == [first]
    assert [entry.lost for entry in listing.rejected] == [False, True]


def test_a_list_of_rejections_is_read_as_it_was_written(tmp_path):
    entries = [Rejected("a", "a.wav", "too short"), Rejected("", 'b, "c".wav', "of another corpus", lost=False)]
    entries.append(Rejected("d", "d.wav", "no such file", absent=True))
    write_rejected(tmp_path / "r.csv", entries)
    assert read_rejected(tmp_path / "r.csv") == entries
