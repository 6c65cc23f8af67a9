"""Tables, names and label files as people, spreadsheets and file systems make them; nothing is lost quietly."""

import json
import os
import socket
from pathlib import Path

import pytest
import yaml

from serflow.corpora._values import number, seconds, whole_number
from serflow.corpora.base import AUDIO_SUFFIXES, Listing, Rejected, Utterance, load_corpus
from serflow.errors import CorpusError
from serflow.label_files import read_lines, read_rows, split_lines
from serflow.stages.prepare_audio import SerflowError  # noqa: F401


def touch(root: Path, *names: str) -> Path:
    """Make files of these names; what is in them is the audio door's affair."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"audio")
    return root


def table(root: Path, *rows: str, header: str = "file,emotion,speaker", name: str = "t.csv", end: str = "\n") -> Path:
    root.joinpath(name).write_bytes((end.join([header, *rows]) + end).encode())
    return root


def read(root: Path, audio: str = "w/{file}", **options) -> Listing:
    return load_corpus("table").list(root, {"table": "t.csv", "audio": audio, **options})


def ids(listing: Listing) -> list[str]:
    return [utterance.id for utterance in listing.utterances]


# --- names that differ from those on the disk


@pytest.mark.parametrize(
    ("named", "on_disk"),
    [
        ("a1.wav", "a1.WAV"),
        ("a1.wav", "A1.WAV"),
        ("a1", "A1.Wav"),
        ("A1.WAV", "a1.wav"),
        ("a1.mp3", "a1.wav"),
        ("a1.mp4", "a1.flac"),
        ("spk1.happy.01", "spk1.happy.01.wav"),
        ("spk1.happy.01.mp3", "spk1.happy.01.FLAC"),
        ("./a1.wav", "a1.wav"),
        ("sub/../a1.wav", "a1.wav"),
        ("sub//a1.wav", "sub/a1.wav"),
        ("sub\\a1.wav", "sub/a1.wav"),
        (".\\Sub\\a1", "sub/a1.wav"),
        ("a1.wav ", "a1.wav"),
        ("a1\u00a0b.wav", "a1 b.wav"),
        ("a1  b.wav", "a1 b.wav"),
        ("a1%20b.wav", "a1 b.wav"),
        ("caf%C3%A9.wav", "caf\u00e9.wav"),
        ("caf\u00e9.wav", "cafe\u0301.wav"),
        ("cafe\u0301.WAV", "caf\u00e9.wav"),
        ("a\u20131.wav", "a-1.wav"),
        ("a:1.wav", "a_1.wav"),
        ("7", "007.wav"),
        ("7.0", "007.wav"),
        *((f"a1{suffix}", "a1.wav") for suffix in AUDIO_SUFFIXES),
        *(("a1.wav", f"a1{suffix}") for suffix in AUDIO_SUFFIXES),
        *(("a1", f"a1{suffix.upper()}") for suffix in AUDIO_SUFFIXES),
    ],
)
def test_a_name_that_differs_as_file_systems_and_spreadsheets_make_it_is_found(tmp_path, named, on_disk):
    table(touch(tmp_path, f"w/{on_disk}", "w/other.wav"), f"{named},anger,s1", "other.wav,anger,s1")
    listing = read(tmp_path)
    assert [utterance.path for utterance in listing.utterances] == [f"w/{on_disk}", "w/other.wav"]
    assert listing.rejected == []


@pytest.mark.parametrize(
    ("named", "on_disk"),
    [
        ("a1", ("a1.wav", "a1.flac")),
        ("a1.mp3", ("a1.wav", "a1.flac")),
        ("a1.wav", ("A1.wav", "a1.WAV")),
        ("a1.wav", ("A1.WAV", "a1.flac")),
        ("a1.wav", ("A1.wav", "A1.WAV")),
        ("caf\u00e9.wav", ("CAF\u00c9.wav", "cafe\u0301.wav")),
        ("7", ("07.wav", "007.wav")),
    ],
)
def test_a_name_that_two_files_fit_is_refused_with_both(tmp_path, named, on_disk):
    table(touch(tmp_path, *(f"w/{name}" for name in on_disk), "w/other.wav"), f"{named},anger,s1", "other,anger,s1")
    listing = read(tmp_path)
    assert ids(listing) == ["other"]
    (why,) = [entry.reason for entry in listing.rejected if "both fit" in entry.reason]
    assert all(f"w/{name}" in why for name in on_disk)


@pytest.mark.parametrize("named", ["a1.wav", "A1.wav"])
def test_the_very_name_is_preferred_to_one_that_only_resembles_it(tmp_path, named):
    table(touch(tmp_path, "w/a1.wav", "w/A1.wav"), f"{named},anger,s1")
    assert [utterance.path for utterance in read(tmp_path).utterances] == [f"w/{named}"]


@pytest.mark.parametrize("prefix", ["{root}/", "file://{root}/", "{root}/./", "{root}/x/../", "{real}/", "{upper}/"])
def test_absolute_paths_below_root_are_relative_ones(tmp_path, prefix):
    real, root = tmp_path / "real", tmp_path / "link"
    touch(real, "w/a1.wav")
    root.symlink_to(real)
    table(real, prefix.format(root=root, real=real, upper=str(root).upper()) + "w/a1.wav,anger,s1")
    assert [utterance.path for utterance in read(root, "{file}").utterances] == ["w/a1.wav"]


def test_names_are_those_of_the_options_too(tmp_path):
    table(touch(tmp_path, "W\u00e4v/a1.wav"), "a1,anger,s1", name="Labels.CSV")
    options = {"table": ".\\labels.csv", "audio": "wa\u0308v\\{file}.wav"}
    assert ids(load_corpus("table").list(tmp_path, options)) == ["a1"]


# --- what must not be reached


@pytest.mark.parametrize(
    "named",
    ["../secret.wav", "/etc/hostname", "w/../../secret.wav", "..\\secret.wav", "file:///etc/hostname", "C:\\x.wav"],
)
def test_paths_of_a_table_stay_below_root(tmp_path, named):
    touch(tmp_path, "secret.wav", "root/w/a1.wav")
    table(tmp_path / "root", f"{named},anger,s1", "w/a1.wav,anger,s1")
    listing = read(tmp_path / "root", "{file}")
    assert ids(listing) == ["a1"]
    (entry,) = listing.rejected
    assert "relative to root" in entry.reason


@pytest.mark.parametrize("link", ["w/out.wav", "out"])
def test_a_link_that_leads_out_of_root_is_refused_with_its_end(tmp_path, link):
    touch(tmp_path, "elsewhere/out.wav", "root/w/a1.wav")
    (tmp_path / "root" / link).symlink_to(tmp_path / "elsewhere" / ("out.wav" if link.endswith("wav") else ""))
    named = link if link.endswith("wav") else f"{link}/out.wav"
    listing = read(table(tmp_path / "root", f"{named},anger,s1", "w/a1.wav,anger,s1"), "{file}")
    assert ids(listing) == ["a1"]
    assert f"leads out of root by a link, to {tmp_path / 'elsewhere' / 'out.wav'}" in listing.rejected[0].reason


def test_links_within_root_are_followed(tmp_path):
    touch(tmp_path, "store/x1.wav")
    (tmp_path / "w").mkdir()
    (tmp_path / "w/a1.wav").symlink_to("../store/x1.wav")
    assert ids(read(table(tmp_path, "a1,anger,s1"))) == ["a1"]


@pytest.mark.parametrize("name", ["../t.csv", "/t.csv", "link.csv"])
def test_the_table_lies_below_root(tmp_path, name):
    touch(tmp_path, "root/w/a1.wav")
    table(tmp_path, "a1,anger,s1")
    (tmp_path / "root/link.csv").symlink_to(tmp_path / "t.csv")
    with pytest.raises(CorpusError, match=r"options\.table.*(outside|out of) root"):
        read(tmp_path / "root", table=name)


HOSTILE_IDS = [
    "a/b",
    "../a",
    "/tmp/a",
    "a\\b",
    ".",
    "..",
    ".a",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x1bb",
    "\udcff",
    "x" * 201,
    "",
]


@pytest.mark.parametrize("name", HOSTILE_IDS)
def test_an_id_that_cannot_be_a_file_name_is_rejected_for_all_layouts_in_one_place(name):
    listing = Listing([Utterance(name, "a.wav", "s", "en"), Utterance("good", "b.wav", "s", "en")])
    listing.settle()
    assert ids(listing) == ["good"]
    (entry,) = listing.rejected
    assert "cannot be a file name" in entry.reason
    assert json.loads(json.dumps(entry.reason)).isprintable()


@pytest.mark.parametrize(
    "name", ["--qXJuDtHPw_1", "a b", "\u00e9t\u00e9", "\u5f20\u4e09", "spk1.happy.01", "a'b", "x" * 200]
)
def test_an_id_that_is_a_file_name_is_taken(name):
    listing = Listing([Utterance(name, "a.wav", "s", "en")])
    listing.settle()
    assert ids(listing) == [name]


@pytest.mark.parametrize("path", ["/etc/hostname", "../a.wav", "a\rb.wav", "\udcff.wav"])
def test_a_path_that_is_none_of_the_corpus_is_rejected(path):
    listing = Listing([Utterance("a", path, "s", "en")])
    listing.settle()
    assert listing.utterances == []
    assert listing.rejected[0].path.isprintable()


def test_mosei_cannot_name_a_file_outside(tmp_path):
    touch(tmp_path, "Raw/Audio/Full/WAV_16000/v.wav")
    rows = ["0,v,/../../x,0.1,3.2,0,-1,0,-2,1", "1,/etc/v,0,0.1,3.2,0,-1,0,-2,1", "2,v,1,0.1,3.2,0,-1,0,-2,1"]
    header = ",file,index,start,end,label2a,label2b,label6,label7,split"
    table(tmp_path, *rows, header=header, name="CMU_MOSEI_Labels.csv")
    listing = load_corpus("mosei").list(tmp_path, {})
    assert ids(listing) == ["v_1"]
    assert {entry.utterance for entry in listing.rejected} == {"v_/../../x", "/etc/v_0"}


# --- names of utterances


def test_ids_are_stems_unless_two_files_have_the_same(tmp_path):
    touch(tmp_path, "w/DC/a01.wav", "w/JE/a01.wav", "w/JE/a02.wav")
    rows = ("DC/a01,anger,s1", "JE/a02,anger,s2")
    assert ids(read(table(tmp_path, *rows))) == ["a01", "a02"]
    assert ids(read(table(tmp_path, *rows, "JE/a01,anger,s2"))) == ["w_DC_a01", "w_JE_a02", "w_JE_a01"]


@pytest.mark.parametrize("name", ["utterance", "id"])
def test_a_column_names_utterances(tmp_path, name):
    touch(tmp_path, "w/DC/a01.wav", "w/JE/a01.wav")
    rows = ("DC/a01,anger,s1,x1", "JE/a01,anger,s2,x2")
    table(tmp_path, *rows, header=f"file,emotion,speaker,{name}")
    assert ids(read(tmp_path)) == ["x1", "x2"]
    table(tmp_path, *rows, header="file,emotion,speaker,clip")
    columns = {"emotion": "emotion", "speaker": "speaker", name: "clip"}
    assert ids(read(tmp_path, columns=columns)) == ["x1", "x2"]
    with pytest.raises(CorpusError, match="both utterance and id"):
        read(tmp_path, columns={**columns, "id": "clip", "utterance": "clip"})


def test_a_column_id_that_names_no_utterances_is_taken_only_where_the_options_say_so(tmp_path):
    touch(tmp_path, "w/a1.wav", "w/a2.wav")
    table(tmp_path, "a1,anger,s1,s1", "a2,anger,s1,s1", header="file,emotion,speaker,id")
    listing = read(tmp_path)
    assert ids(listing) == ["a1", "a2"]
    assert "the column id names no utterances, since it repeats values" in listing.notes[0]
    listing = read(tmp_path, columns={"emotion": "emotion", "speaker": "speaker", "id": "id"})
    assert ids(listing) == ["s1"]
    assert "duplicate id" in listing.rejected[0].reason


def test_segments_of_a_file_are_named_by_their_times(tmp_path):
    touch(tmp_path, "w/v.wav", "w/u.wav")
    rows = ("v,anger,s1,0,1.5", "v,anger,s1,1.5,NaT", "u,anger,s1,0,", "v,sadness,s1,1.5,")
    listing = read(table(tmp_path, *rows, header="file,emotion,speaker,start,end"))
    assert ids(listing) == ["v_0_1500", "v_1500_end", "u"]
    assert [(entry.utterance, entry.path) for entry in listing.rejected] == [("v_1500_end", "w/v.wav")]
    assert ids(read(table(tmp_path, *rows[:1], header="file,emotion,speaker,start,end"))) == ["v"]


# --- optional columns


def test_an_odd_value_in_an_optional_column_is_absent_and_said_once(tmp_path):
    names = [f"a{i}" for i in range(5)]
    touch(tmp_path, *(f"w/{name}.wav" for name in names))
    odd = ["k,1e300,x", "K,3.5,9999999999999", "?,1,1", "f,abc,-0.5", "f,\0,nan"]
    rows = [f"{name},anger,s1,{rest}" for name, rest in zip(names, odd, strict=True)]
    listing = read(table(tmp_path, *rows, header="file,emotion,speaker,gender,turn,valence"))
    assert ids(listing) == names
    assert listing.rejected == []
    assert [u.gender for u in listing.utterances] == [None, None, None, "female", "female"]
    assert [u.turn for u in listing.utterances] == [None, None, 1, None, None]
    assert [u.valence for u in listing.utterances] == [None, None, 1.0, -0.5, None]
    said = {note.partition(": ")[2].split()[0]: note for note in listing.notes}
    assert len(listing.notes) == 3
    assert "gender is absent in 2 rows where it is 'k', none of f, female, m, male (1)" in said["gender"]
    assert "turn is absent in 4 rows" in said["turn"]
    assert "valence is absent in 2 rows" in said["valence"]


@pytest.mark.parametrize("nothing", ["", "NA", "nan", "N/A", "null", "-"])
def test_what_stands_for_nothing_is_absent_and_not_odd(tmp_path, nothing):
    touch(tmp_path, "w/a1.wav")
    header = "file,emotion,speaker,gender,turn,valence,start,end"
    listing = read(table(tmp_path, f"a1,anger,NA{f',{nothing}' * 5}", header=header))
    (u,) = listing.utterances
    assert (u.speaker, u.gender, u.turn, u.valence, u.start, u.end) == ("NA", None, None, None, None, None)
    assert listing.notes == []


def test_an_odd_rating_that_is_the_only_label_rejects_the_row_and_says_it(tmp_path):
    touch(tmp_path, "w/a1.wav", "w/a2.wav")
    listing = read(table(tmp_path, "a1,x,s1", "a2,3,s1", header="file,valence,speaker"))
    assert ids(listing) == ["a2"]
    assert listing.rejected[0].reason == "t.csv:2: no label (valence is 'x', not a number)"


@pytest.mark.parametrize(("delimiter", "found"), [(";", 3.5), ("\t", 3.5), (",", None)])
def test_a_decimal_comma_is_one_where_commas_do_not_delimit(tmp_path, delimiter, found):
    touch(tmp_path, "w/a1.wav")
    table(
        tmp_path,
        delimiter.join(["a1", "anger", "s1", '"3,5"']),
        header=delimiter.join(["file", "emotion", "speaker", "valence"]),
    )
    assert [u.valence for u in read(tmp_path).utterances] == [found]


def test_spreadsheets_drop_empty_cells_at_the_end_of_rows(tmp_path):
    touch(tmp_path, "w/a1.wav", "w/a2.wav")
    header = "file,emotion,speaker,gender,text"
    listing = read(table(tmp_path, "a1,anger,s1", "a2,anger,s1,f,hello", header=header))
    assert ids(listing) == ["a1", "a2"]
    assert listing.notes == [
        f"{tmp_path / 't.csv'}: 1 row with fewer cells than the header; those at the end are absent"
    ]
    (tmp_path / "t.csv").write_text(f"{header}\na1,anger,s1,f,hi\na2,anger,s")
    listing = read(tmp_path)
    assert ids(listing) == ["a1"]
    assert "may have been cut off" in listing.rejected[0].reason


# --- emotion words


def test_words_without_a_mapping_are_said_with_their_counts_and_the_line_to_paste(tmp_path):
    words = ["wut", "Wut", "no", "01", "angre", "\u5feb\u4e50", "a: b", "null", "anger"]
    touch(tmp_path, *(f"w/a{i}.wav" for i in range(len(words))))
    rows = [f"a{i},{word},s1" for i, word in enumerate(words)]
    listing = read(table(tmp_path, *rows))
    (note,) = listing.notes
    assert "7 rows left out for emotion words that are none of ours" in note
    assert "'wut' (2)" in note
    pasted = yaml.safe_load(note.split("`")[1])
    assert pasted == {
        "emotions": {
            "wut": "other",
            "no": "other",
            "01": "other",
            "angre": "anger",
            "\u5feb\u4e50": "other",
            "a: b": "other",
        }
    }
    listing = read(tmp_path, **pasted)
    assert len(listing.utterances) == len(words) - 1
    assert [entry.reason for entry in listing.rejected] == ["t.csv:9: no label"]


@pytest.mark.parametrize("emotion", ["joy", "Happy", "happiness", " HAPPINESS "])
def test_what_the_table_may_say_the_mapping_may_say(tmp_path, emotion):
    touch(tmp_path, "w/a1.wav")
    assert read(table(tmp_path, "a1,Gio\u0301,s1"), emotions={"gi\u00f3": emotion}).utterances[0].emotion == "happiness"
    with pytest.raises(CorpusError, match="the same word stands for happiness, too"):
        read(tmp_path, emotions={"gi\u00f3": emotion, "GI\u00d3": "anger"})


# --- times


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5), ("0 days 00:00:01.5", 1.5), ("0 days", 0.0),
        ("1 day 00:00:01", 86401.0), ("00:00:01.500000", 1.5),
        ("0:01.5", 1.5), ("01:02:03", 3723.0), ("00:00:01,500", 1.5), ("1500ms", 1.5), ("1.5 s", 1.5),
        ("P0DT0H0M1.5S", 1.5), ("PT1M", 60.0), ("0 days +00:00:01", 1.0), ("1e1", 10.0), ("\u22121.5", -1.5),
    ],
)  # fmt: skip
def test_times_are_read_as_people_write_them(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "x", "1 h", "P", "PT", "days", ":", "1:2:3:4", "1e300", "9" * 400, "nan", "inf", "1_0"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="not a time"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e300", "9" * 400, "1_0", "0x1", "1,5", "\u0663"])
def test_what_is_no_number_is_refused(text):
    for reader in (number, whole_number):
        with pytest.raises(ValueError, match="not a number"):
            reader(text)
    with pytest.raises(ValueError, match="whole"):
        whole_number("1.5")


# --- tables as they are saved


def rows_of(path: Path, content: str | bytes) -> list[tuple[int, list[str]]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(line, cells) for line, cells in read_rows(path).rows]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}", '"sep={}"'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiter_line_end_and_encoding_are_told(tmp_path, suffix, end, delimiter, first, encoding):
    lines = [
        *([first.format(delimiter)] if first else []),
        delimiter.join("abc"),
        delimiter.join(["1", '"x y"', "\u00e9\u2028"]),
    ]
    found = rows_of(tmp_path / f"t{suffix}", (end.join(lines) + end).encode(encoding))
    assert [cells for _, cells in found] == [["1", "x y", "\u00e9"]]


def test_nameless_columns_and_empty_rows_of_spreadsheets_are_passed_over(tmp_path):
    touch(tmp_path, "w/a1.wav", "w/a2.wav")
    listing = read(
        table(tmp_path, "0,a1,anger,s1,,", ",,,,,", "", "1,a2,anger,s2,,", header=",file,emotion,speaker,,", end="\r\n")
    )
    assert ids(listing) == ["a1", "a2"]
    assert (listing.rejected, listing.notes) == ([], [])


@pytest.mark.parametrize("header", ["File.Name,Emotion,Speaker.ID", "FILE.NAME , emotion,\u200bspeaker.id"])
def test_columns_are_found_by_any_name(tmp_path, header):
    touch(tmp_path, "w/a1.wav")
    columns = {"emotion": "emotion", "speaker": "speaker.id"}
    assert ids(read(table(tmp_path, "a1,anger,s1", header=header), "w/{file.name}.wav", columns=columns)) == ["a1"]


TSV = "a\tb\tc\n"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('1\t2\t"no, he said\n4\t5\t6\n', [["1", "2", '"no, he said'], ["4", "5", "6"]]),
        ('1\t2\t"no\n4\t5\tyes"\n', [["1", "2", '"no'], ["4", "5", 'yes"']]),
        ('1\t2\t"no\n4\t5\t"yes"\n', [["1", "2", '"no'], ["4", "5", "yes"]]),
        ('1\t2\t"he said ""no"""\n', [["1", "2", 'he said "no"']]),
        ('1\t"x\ty"\t3\n', [["1", "x\ty", "3"]]),
        ('1\t"x\ny"\t3\n', [["1", "x\ny", "3"]]),
        ('1\t5" disk\t3\n', [["1", '5" disk', "3"]]),
        ('"\t"\t3\n', [['"', '"', "3"]]),
    ],
)
def test_a_quotation_mark_in_a_tsv_swallows_no_row(tmp_path, content, found):
    assert [cells for _, cells in rows_of(tmp_path / "t.tsv", TSV + content)] == found


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('1,2,"no, he said\n4,5,6\n', "t.csv:2: a cell opens a double quote that is never closed"),
        ('1,2,"no\n4,5,6\n7,8,yes"\n', "t.csv:2: a double quote is opened here and closed in line 4"),
        ('1,2,"no\n4,5,yes"\n', "t.csv:2: a double quote is opened here and closed in line 3"),
    ],
)
def test_a_quote_in_a_csv_that_swallows_rows_is_refused_with_its_line(tmp_path, content, fault):
    with pytest.raises(CorpusError, match=fault):
        rows_of(tmp_path / "t.csv", "a,b,c\n" + content)


def test_quoted_cells_of_a_csv_may_hold_line_ends_and_delimiters(tmp_path):
    found = rows_of(tmp_path / "t.csv", 'a,b,c\n"well,\nyes",2,3\n4,"5, 6",7\n')
    assert found == [(2, ["well,\nyes", "2", "3"]), (4, ["4", "5, 6", "7"])]


def test_a_name_of_the_row_that_the_header_leaves_out_is_passed_over(tmp_path):
    touch(tmp_path, "w/a1.wav", "w/a2.wav")
    table(tmp_path, '"1","a1","anger","s1"', '"2","a2","anger","s2"', header='"file","emotion","speaker"')
    assert ids(read(tmp_path)) == ["a1", "a2"]


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "workbook"),
        (b"\xd0\xcf\x11\xe0", "workbook"),
        (b"\x1f\x8b", "compressed"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
    ],
)
def test_what_is_no_text_is_told(tmp_path, start, what):
    with pytest.raises(CorpusError, match=rf"t\.csv: .*{what}"):
        rows_of(tmp_path / "t.csv", start + b"file,emotion,speaker\n")


def test_very_long_cells_are_read(tmp_path):
    touch(tmp_path, "w/a1.wav")
    listing = read(table(tmp_path, f'a1,anger,s1,"{"word " * 100_000}"', header="file,emotion,speaker,text"))
    assert len(listing.utterances[0].text) == 499_999


@pytest.mark.parametrize(
    "content", [b"\0" * 100, b"f\0i\0l\0e\0,\0", b"\xff\xfe\0", b"", b"\n\n", b"\xef\xbb\xbf", b"a,b"]
)
def test_what_is_no_table_is_refused_with_its_name(tmp_path, content):
    with pytest.raises(CorpusError, match=r"t\.csv"):
        rows_of(tmp_path / "t.csv", content)


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_only_line_ends_of_files_end_lines(tmp_path, character):
    assert split_lines(f"a{character}b\nc") == [f"a{character}b", "c"]
    (tmp_path / "t.txt").write_text(f"a{character}b\r\nc\r\n", newline="")
    assert read_lines(tmp_path / "t.txt") == [f"a{character}b", "c"]


def test_windows_1252_is_told_line_by_line(tmp_path):
    (tmp_path / "t.txt").write_bytes("\u00e9\n".encode() + b"Well \x85 no\n")
    assert read_lines(tmp_path / "t.txt") == ["\u00e9", "Well \u2026 no"]


# --- what is no file


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bind(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


NO_FILES = {
    "named pipe": fifo,
    "socket": bind,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link that leads nowhere": lambda path: path.symlink_to("nowhere"),
    "link in a circle": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_audio_that_is_no_file_is_listed_once_with_its_reason(tmp_path, kind):
    touch(tmp_path, "w/a1.wav")
    NO_FILES[kind](tmp_path / "w/a2.wav")
    table(tmp_path, "a1.wav,anger,s1", "a2.wav,anger,s1")
    listing = read(tmp_path)
    assert ids(listing) == ["a1"]
    (entry,) = listing.rejected
    assert entry.path == "w/a2.wav"
    assert kind in entry.reason
    touch(tmp_path, "e/03a01Fa.wav")
    NO_FILES[kind](tmp_path / "e/03a01Wa.wav")
    (entry,) = load_corpus("emodb").list(tmp_path / "e", {}).rejected
    assert (entry.path, kind in entry.reason) == ("03a01Wa.wav", True)


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX systems only")
def test_names_that_no_table_can_hold_are_listed_printably(tmp_path):
    touch(tmp_path, "w/a1.wav", "w/a\rb.wav", "w/a\nb.wav", "w/\udcff.wav")
    listing = read(table(tmp_path, "a1,anger,s1"))
    assert ids(listing) == ["a1"]
    assert len(listing.rejected) == 3
    assert all(entry.path.isprintable() and entry.reason.isprintable() for entry in listing.rejected)


def test_a_rejection_is_printable_whatever_it_is_made_of():
    entry = Rejected("a\rb", "\udcff", "x" * 5000)
    assert (entry.utterance, entry.path, len(entry.reason)) == ("a\\x0db", "\\udcff", 1003)
