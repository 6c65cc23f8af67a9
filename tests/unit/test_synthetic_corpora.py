import argparse
import csv
import importlib
import itertools
import json
import re
from collections import Counter

import numpy as np
import pytest
import soundfile

from serflow.config import Config
from serflow.corpora.base import load_corpus
from serflow.errors import ConfigError, CorpusError
from serflow.plugins import plugin_names
from serflow.protocols.splits import split_unit
from serflow.stages.make_synthetic_corpus import main
from serflow.synthetic import mandarin
from serflow.synthetic.catalogue import LAYOUTS
from serflow.synthetic.corpus import Options, Studio, dialogue_size, episodes, in_rounds
from serflow.synthetic.scripts import ALL_ENGLISH, ENGLISH, MANDARIN, TELLING
from serflow.synthetic.speech import generator
from serflow.synthetic.tree import MARKER, describe_tree, stand_in_tree

CONFIG = Config()
CORPORA = sorted(LAYOUTS)
RATES = {"msp_improv": 44100, "cafe": 48000, "ravdess": 48000}
SPEAKERS = {
    "iemocap": 10, "msp_improv": 12, "emodb": 10, "cafe": 12, "ravdess": 24, "crema_d": 16, "mandarin": 60,
}  # fmt: skip
AUDIO = {
    "iemocap": r"Session(\d)/sentences/wav/(Ses0\1[FM]_(?:impro0[1-8]|script0[1-3]_[1-3]))/\2_[FM]\d{3}\.wav",
    "msp_improv": r"Audio/session([1-6])/(S(?:0[1-9]|1\d|20)[AHNS])/([PRST])/"
    r"MSP-IMPROV-\2-[FM]0\1-\3-(?:FM|MF)\d\d\.wav",
    "mosei": r"Raw/Audio/Full/WAV_16000/[\w-]{11}\.wav",
    "emodb": r"wav/(03|08|09|10|11|12|13|14|15|16)([ab]\d\d)([WLEAFTN])([a-f])\.wav",
    "cafe": r"(?:Neutre|(?:Colère|Dégoût|Joie|Peur|Surprise|Tristesse)/(?:Faible|Fort))"
    r"/(0[1-9]|1[0-2])-([CDJNPST])-([12])-([1-6])\.wav",
    "ravdess": r"Actor_(\d\d)/03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-\1\.wav",
    "crema_d": r"AudioWAV/(10\d\d)_(IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI)"
    r"_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX)\.wav",
    "mandarin": r"wav/(S[0-6]\d)/\1-(?:happy|sad|angry|surprise)-\d\d\.wav",
}
# by the name of an utterance: what its partners, or its speaker, said in one go
SCENES = {
    "iemocap": r"(Ses\d\d[FM]_\w+)_[FM]\d{3}",
    "msp_improv": r"MSP-IMPROV-(S\d\d[AHNS])-[FM](\d\d)-[ST]-[FM]{2}\d\d",
    "mosei": r"([\w-]{11})_\d+",
}
IEMOCAP_TURN = re.compile(
    r"^\[(\d+\.\d+) - (\d+\.\d+)\]\t(\w+)\t(\w+)\t\[(\d+\.\d+), (\d+\.\d+), (\d+\.\d+)\]$", re.MULTILINE
)
IEMOCAP_TEXT = re.compile(
    r"^(Ses0[1-5][MF]_(?:impro|script)0[1-9][ab]?(?:_\db?)?_[MF][X\d]{2}\d) \[\d+\.\d+-\d+\.\d+\]:(.*)$", re.MULTILINE
)
MSP_CLIP = re.compile(
    r"^UTD-IMPROV-([A-Z0-9-]+)\.avi; ([A-Z]); A:(\d+\.\d+|NaN); V:(\d+\.\d+|NaN); D:(\d+\.\d+|NaN) ; N:(\d+\.\d+|NaN);$"
)
MSP_RATER = re.compile(
    r"^([A-Za-z0-9-_]+); (Sad|Angry|Happy|Neutral|Other); (.*); "
    r"A:(\d+\.\d+|NaN); V:(\d+\.\d+|NaN); D:(\d+\.\d+|NaN); N:(\d+\.\d+|NaN);$"
)


def make(folder, corpus, **options):
    arguments = argparse.Namespace(
        corpus=corpus, root=folder / corpus, options=options, manifest=folder / f"{corpus}.json"
    )
    main(arguments)
    return arguments.root, json.loads(arguments.manifest.read_text())


def listed(corpus, root):
    """Return the listing of a stand-in by the layout and options that the configuration has for it."""
    options = CONFIG.corpora[corpus].options
    given = {} if options is None else options.model_dump(exclude_none=True)
    return load_corpus(CONFIG.layout(corpus)).list(root, given)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The smallest trees there are: one dialogue a session, one utterance an actor, or one in each emotion."""
    pytest.importorskip("parselmouth", reason="Praat is optional: pip install 'serflow[synthetic]'")
    folder = tmp_path_factory.mktemp("trees")
    return {corpus: make(folder, corpus, utterances=10) for corpus in CORPORA}


def is_writer(name):
    return hasattr(importlib.import_module(f"serflow.synthetic.{name}"), "write")


def audio_of(root):
    return sorted(path for path in root.rglob("*.wav"))


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_file_name_is_the_publishers(trees, corpus):
    root, _ = trees[corpus]
    names = [path.relative_to(root).as_posix() for path in audio_of(root)]
    assert names
    assert [name for name in names if not re.fullmatch(AUDIO[corpus], name)] == []


@pytest.mark.parametrize("corpus", CORPORA)
def test_audio_is_16_bit_mono_at_the_publishers_rate(trees, corpus):
    for path in audio_of(trees[corpus][0]):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (RATES.get(corpus, 16000), 1, "PCM_16")


@pytest.mark.parametrize("corpus", CORPORA)
def test_manifest_counts_are_those_of_the_files(trees, corpus):
    root, manifest = trees[corpus]
    assert manifest["n_files"] == sum(path.is_file() for path in root.rglob("*"))
    if corpus != "mosei":
        assert manifest["n_utterances"] == len(audio_of(root))
    assert manifest["stand_in"] is True
    assert manifest["options"]["utterances"] == 10
    assert manifest["sha256"] == describe_tree(root, corpus, {}, 0)["sha256"]


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_corpus_parser_lists_everything_and_rejects_nothing(trees, corpus):
    root, manifest = trees[corpus]
    listing = listed(corpus, root)
    assert listing.rejected == []
    assert len({utterance.id for utterance in listing.utterances}) == manifest["n_utterances"]
    assert all((root / utterance.path).is_file() for utterance in listing.utterances)


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_utterance_has_speaker_and_gender_where_the_publisher_tells_them(trees, corpus):
    genders = {}
    for utterance in listed(corpus, trees[corpus][0]).utterances:
        genders.setdefault(utterance.speaker, set()).add(utterance.gender)
    assert len(genders) == SPEAKERS.get(corpus, len(genders))
    told = [next(iter(found)) for found in genders.values() if len(found) == 1]
    assert len(told) == len(genders)
    if corpus == "mosei":
        assert set(told) == {None}
    else:
        assert told.count("female") == told.count("male") == len(told) / 2


def test_mandarin_is_balanced_in_every_respect(trees):
    utterances = listed("mandarin", trees["mandarin"][0]).utterances
    assert {u.text for u in utterances} == set(MANDARIN.values())
    assert Counter(Counter((u.speaker, u.emotion) for u in utterances).values()) == {1: 60 * 4}
    # neither the text nor the text beside the sex tells the emotion
    assert Counter(Counter((u.gender, u.emotion, u.sentence) for u in utterances).values()) == {3: 2 * 4 * 10}


def test_mandarin_grows_by_rounds_of_all_emotions():
    assert [mandarin._takes_per_emotion(utterances) for utterances in (40, 96, 200, 480)] == [1, 1, 2, 5]
    said = {mandarin._sentence(7, emotion, take) for emotion in range(4) for take in range(2)}
    assert len(said) == 8


def test_every_writer_stands_in_the_catalogue():
    written = {name for name in plugin_names("serflow.synthetic") if name != "esc50" and is_writer(name)}
    assert written == set(LAYOUTS) == {name for name in CONFIG.corpora if CONFIG.is_synthetic(name)}
    assert {name: CONFIG.layout(name) for name in LAYOUTS} == LAYOUTS


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_folder_says_that_it_is_synthetic(trees, corpus):
    note = (trees[corpus][0] / MARKER).read_text()
    assert "SYNTHETIC STAND-IN" in note
    assert '"utterances": 10' in note


def test_iemocap_labels_and_transcripts_have_a_line_for_each_turn(trees):
    root, _ = trees["iemocap"]
    labels = "".join(path.read_text() for path in sorted(root.glob("Session*/dialog/EmoEvaluation/*.txt")))
    texts = "".join(path.read_text() for path in sorted(root.glob("Session*/dialog/transcriptions/*.txt")))
    turns = {match[3]: match for match in IEMOCAP_TURN.finditer(labels)}
    stems = {path.stem: path for path in audio_of(root)}
    assert turns.keys() == stems.keys() == {match[1] for match in IEMOCAP_TEXT.finditer(texts)}
    assert len(re.findall(r"^\[", labels, re.MULTILINE)) == len(turns)
    for name, match in turns.items():
        assert float(match[2]) - float(match[1]) == pytest.approx(soundfile.info(stems[name]).duration, abs=2e-4)
    assert len(re.findall(r"^C-E\d:\t[A-Z]\w+;\t\(\)$", labels, re.MULTILINE)) == 3 * len(turns)
    assert len(re.findall(r"^A-[EFM]\d:\tval [1-5]; act [1-5]; dom  [1-5];\t\(\)$", labels, re.MULTILINE)) == (
        3 * len(turns)
    )


def test_iemocap_partners_alternate(trees):
    listing = load_corpus("iemocap").list(trees["iemocap"][0], {})
    for before, after in itertools.pairwise(listing.utterances):
        if before.dialogue == after.dialogue:
            assert before.speaker != after.speaker


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_split_by_dialogue_parts_no_scene(trees, corpus):
    listing = listed(corpus, trees[corpus][0])
    unit_of = {u.id: split_unit("dialogue", u.id, u.dialogue, u.speaker) for u in listing.utterances}
    scenes = {}
    for name, unit in unit_of.items():
        if scene := re.fullmatch(SCENES.get(corpus, "(?!)"), name):
            scenes.setdefault(scene.groups(), set()).add(unit)
    assert [scene for scene, units in scenes.items() if len(units) > 1] == []
    assert len(scenes) == len(set.union(set(), *scenes.values()))
    assert bool(scenes) == CONFIG.has_turns(corpus) == (set(unit_of) != set(unit_of.values()))


def test_msp_improv_labels_parse_line_by_line(trees):
    root, manifest = trees["msp_improv"]
    blocks = (root / "Evalution.txt").read_text().strip().split("\n\n")
    assert len(blocks) == manifest["n_utterances"]
    names = set()
    for block in blocks:
        clip, *raters = block.split("\n")
        head = MSP_CLIP.match(clip)
        found = [MSP_RATER.match(line) for line in raters]
        names.add(head[1])
        assert len(raters) >= 5
        assert all(found)
        valences = [float(rater[5]) for rater in {rater[1]: rater for rater in found}.values()]
        assert float(head[4]) == pytest.approx(np.nanmean(valences), abs=1e-6)
    assert names == {path.stem.removeprefix("MSP-IMPROV-") for path in audio_of(root)}


def test_msp_improv_has_missing_ratings_and_duplicate_raters(trees):
    text = (trees["msp_improv"][0] / "Evalution.txt").read_text()
    raters = [line for line in text.split("\n") if MSP_RATER.match(line)]
    assert any("NaN" in line for line in raters)
    assert len(set(raters)) < len(raters)


def test_mosei_transcripts_lie_in_the_video_and_agree_with_the_csd(trees):
    h5py = pytest.importorskip("h5py")
    root, _ = trees["mosei"]
    with h5py.File(root / "CMU_MOSEI_Labels.csd") as file:
        sequence = file["All Labels"]
        names = json.loads(sequence["metadata/dimension names"][0])
        intervals = {video: data["intervals"][()] for video, data in sequence["data"].items()}
        features = {video: data["features"][()] for video, data in sequence["data"].items()}
    assert names[0] == "sentiment"
    for path in audio_of(root):
        lines = (root / "Raw/Transcript/Segmented/Combined" / f"{path.stem}.txt").read_text().splitlines()
        rows = [re.split(r"_{3,}", line, maxsplit=4) for line in lines]
        assert [row[0] for row in rows] == [path.stem] * len(intervals[path.stem])
        times = np.array([[float(row[2]), float(row[3])] for row in rows])
        assert np.array_equal(times, intervals[path.stem])
        assert np.all(np.diff(times.ravel()) > 0)
        assert times[-1, 1] <= soundfile.info(path).duration
        assert set(np.sign(features[path.stem][:, 0])) == {-1, 0, 1}
        thirds = features[path.stem] * 3
        assert np.allclose(thirds, np.round(thirds), atol=1e-5)


def test_mosei_tables_agree_with_the_csd(trees):
    h5py = pytest.importorskip("h5py")
    root, manifest = trees["mosei"]
    with open(root / "CMU_MOSEI_Labels.csv", newline="") as file:
        derived = list(csv.DictReader(file))
    with open(root / "Raw/Labels/crowd_answers.csv", newline="") as file:
        crowd = list(csv.DictReader(file))
    assert ",".join(derived[0]) == ",file,index,start,end,label2a,label2b,label6,label7,split"
    assert len(derived) == manifest["n_utterances"]
    assert len(crowd) == 3 * len(derived)
    with h5py.File(root / "CMU_MOSEI_Labels.csd") as file:
        for row in derived:
            sentiment = file["All Labels/data"][row["file"]]["features"][int(row["index"]), 0]
            answers = [
                int(answer["Answer.sentiment"])
                for answer in crowd
                if (answer["Input.VIDEO_ID"], answer["Input.CLIP"]) == (row["file"], row["index"])
            ]
            assert int(row["label2b"]) == np.sign(sentiment)
            assert int(row["label7"]) == np.sign(sentiment) * np.ceil(abs(sentiment) - 1e-6)
            assert np.mean(answers) == pytest.approx(sentiment, abs=1e-6)


def test_mosei_clips_are_speech_and_the_pauses_are_not(trees):
    root, _ = trees["mosei"]
    listing = load_corpus("mosei").list(root, {})
    samples, rate = soundfile.read(root / listing.utterances[0].path)
    first, second = listing.utterances[:2]
    clip = samples[int(first.start * rate) : int(first.end * rate)]
    pause = samples[int(first.end * rate) : int(second.start * rate)]
    assert 20 * np.log10(clip.std() / pause.std()) > 15


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("corpus", ["iemocap", "msp_improv", "mosei"])
def test_some_words_tell_the_emotion_of_what_is_said_of_ones_own_accord(corpus, share, monkeypatch, tmp_path):
    said, say = [], Studio.say

    def noted(studio, utterance, speaker, emotion, text, intensity=1.0):
        said.append((utterance, "happiness" if emotion == "excitement" else emotion, text))
        return say(studio, utterance, speaker, emotion, text, intensity)

    monkeypatch.setattr(Studio, "say", noted)
    monkeypatch.setattr("serflow.synthetic.corpus.render", lambda all_: (np.ones(1600, np.int16) for _ in all_))
    writer = importlib.import_module(f"serflow.synthetic.{corpus}")
    writer.write(tmp_path / corpus, Options(utterances=400, emotion_in_text=share))
    # a sentence that is read out (T of MSP-Improv) tells nothing
    free = [(emotion, text) for name, emotion, text in said if "-T-" not in name]
    told = [text in TELLING[emotion] for emotion, text in free if emotion in TELLING]
    assert np.mean(told) == pytest.approx(share, abs=0.09)
    assert {text for emotion, text in free if emotion not in TELLING} <= set(ENGLISH)
    own = [text for emotion, text in free if emotion in TELLING and text not in TELLING[emotion]]
    assert {*own, *(text for name, _, text in said if "-T-" in name)} <= set(ENGLISH)


def test_the_recogniser_and_bert_know_every_english_sentence():
    telling = {said for told in TELLING.values() for said in told}
    assert not telling & set(ENGLISH)
    assert telling | set(ENGLISH) <= set(ALL_ENGLISH)
    assert len(set(ALL_ENGLISH)) == len(ALL_ENGLISH)


def test_same_bytes_on_two_runs_and_others_with_another_seed(trees, tmp_path):
    again = make(tmp_path, "mosei", utterances=10)[1]
    assert again == trees["mosei"][1]
    assert make(tmp_path, "mosei", utterances=10, seed=1)[1]["sha256"] != again["sha256"]


def test_a_folder_of_somebody_elses_is_refused_and_kept(tmp_path):
    root = tmp_path / "emodb"
    root.mkdir()
    (root / "notes.txt").write_text("mine")
    with pytest.raises(CorpusError, match=r"emodb: refusing to replace.*STAND-IN\.txt"):
        make(tmp_path, "emodb", utterances=10)
    assert (root / "notes.txt").read_text() == "mine"


def test_an_earlier_stand_in_is_replaced_as_a_whole_and_only_on_success(tmp_path):
    root = tmp_path / "tree"
    with stand_in_tree(root) as folder:
        (folder / MARKER).write_text("old")
        (folder / "old.wav").write_text("")
    with pytest.raises(ZeroDivisionError), stand_in_tree(root) as folder:
        (folder / "new.wav").write_text(str(1 / 0))
    assert sorted(path.name for path in root.iterdir()) == [MARKER, "old.wav"]
    with stand_in_tree(root) as folder:
        (folder / MARKER).write_text("new")
    assert [path.name for path in root.iterdir()] == [MARKER]
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"utterance": 5}, "no option 'utterance'; known: utterances, seed"),
        ({"utterances": 0}, "utterances .*out of range"),
        ({"utterances": 1.5}, "not a whole number"),
        ({"seed": True}, "not a whole number"),
        ({"scatter": -1}, "out of range"),
        ({"scatter": "much"}, "not a number"),
        ([1], "not a mapping"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        Options.parse(options)


def test_unknown_corpus_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no stand-in for corpus 'table'; there is one for cafe"):
        make(tmp_path, "table")


def test_episodes_persist_are_balanced_and_as_long_as_asked():
    courses = episodes(("a", "b", "c"), 40, 7, generator("test"))
    counts = Counter(emotion for course in courses for emotion in course)
    same = sum(x == y for course in courses for x, y in itertools.pairwise(course))
    assert {len(course) for course in courses} == {7}
    assert max(counts.values()) < 1.15 * min(counts.values())
    assert same / (40 * 6) > 0.5
    assert all(set(course) == {"a", "b", "c"} for course in courses)


def test_dialogues_grow_in_number_first_and_then_in_length():
    assert dialogue_size(240, groups=5, turns=6, most=30) == (8, 6)
    assert dialogue_size(1, groups=5, turns=6, most=30) == (1, 6)
    assert dialogue_size(3000, groups=5, turns=6, most=30) == (30, 20)


def test_rounds_take_every_column_before_any_twice():
    assert in_rounds([["a1", "a2"], ["b1"], ["c1", "c2"]], 4, rotation=1) == ["b1", "c1", "a1", "c2"]
