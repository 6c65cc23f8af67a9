"""Configuration files as people write them: no word is made another, nothing is lost, every fault has its line."""

import json
import re
from pathlib import Path

import pytest

from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.settings.base import CLEAN, Section, Word
from serflow.settings.written import Written, merged, place, read, read_argument

# YAML 1.1 makes a number, a truth, a date or nothing of most of these
WORDS = (
    "01", "08", "09", "010", "0x10", "0b1", "1_000", "1:30", "1e3", "1.0", ".5", "1.", "+1", "-1", "yes", "no", "NO",
    "No", "on", "off", "y", "n", "true", "True", "2026-01-01", "2026-01-01 10:00:00", "=", "<", ".inf", ".nan", "-x",
)  # fmt: skip
REPOSITORY = Path(__file__).resolve().parents[2]
OPTIONS = {"table": "t.csv", "audio": "w/{file}", "columns": {"emotion": "emotion", "speaker": "speaker"}}


def written(tmp_path: Path, text: str | bytes, name: str = "mine.yaml") -> Written:
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(file)


def config_of(tmp_path: Path, text: str) -> Config:
    """Return the configuration with what is written in place of the defaults."""
    documents = [read(REPOSITORY / "config.yaml"), written(tmp_path, text)]
    return check_config(merged(documents), documents)


def refused(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as error:
        written(tmp_path, text)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_where_a_text_is_wanted_is_what_is_written(tmp_path: Path, word: str) -> None:
    text = (
        f"corpora:\n  mine:\n    layout: table\n    root: {word}\n    title: {word}\n    options:\n"
        f"      table: {word}\n      audio: w/{{file}}\n      columns: {{speaker: {word}, emotion: {word}}}\n"
        f"      emotions: {{{word}: anger}}\n"
    )
    mine = config_of(tmp_path, text).corpora["mine"]
    assert (mine.root, mine.title) == (word, word)
    assert mine.options is not None
    assert mine.options.model_dump(exclude_none=True) == {
        "table": word, "audio": "w/{file}", "columns": {"speaker": word, "emotion": word}, "emotions": {word: "anger"},
    }  # fmt: skip


def test_all_of_the_codes_01_to_09_are_keys(tmp_path: Path) -> None:
    codes = [f"0{digit}" for digit in range(1, 10)]
    content = written(tmp_path, f"{{{', '.join(f'{code}: word' for code in codes)}}}").content
    assert list(content) == codes


def test_norwegian_is_a_language(tmp_path: Path) -> None:
    config = config_of(tmp_path, "corpora: {emodb: {language: no}}")
    assert config.language("emodb") == "no"


@pytest.mark.parametrize("nothing", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_null_wherever_null_may_be(tmp_path: Path, nothing: str) -> None:
    config = config_of(tmp_path, f"corpora: {{emodb: {{root: {nothing} }}}}")
    assert config.corpora["emodb"].root is None


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("noise: {seed: 010}", "noise.seed", 10),
        ("audio: {min_duration_s: 1e-1}", "audio.min_duration_s", 0.1),
        ("synthetic: {utterances: 1_000}", "synthetic.utterances", 1000),
        ("dlc: {model: {pool: 2}}", "dlc.model.pool", 2),
        ("dlc: {seeds: [3, 04]}", "dlc.seeds", [3, 4]),
        ("dlc: {training: {class_weights: off}}", "dlc.training.class_weights", False),
        ("features: {mfb: {floor: 1e-7}}", "features.mfb.floor", 1e-7),
        ("features: {mfb: {n_mels: 080}}", "features.mfb.n_mels", 80),
        ("features: {mfcc: {cmvn: False}}", "features.mfcc.cmvn", False),
        ("features: {mfb: {a: [1, no]}}", "features.mfb.a", [1, "no"]),
        ("features: {mfb: {fmin: '1'}}", "features.mfb.fmin", "1"),
    ],
)  # fmt: skip
def test_numbers_and_truths_are_read_by_the_type_of_their_key(
    tmp_path: Path, text: str, key: str, value: object
) -> None:
    found: object = config_of(tmp_path, text)
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_a_word_that_cannot_be_a_number_is_shown_as_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml:2: noise\.seed: .* \(it is 1:30\)"):
        config_of(tmp_path, "noise:\n  seed: 1:30\n")


@pytest.mark.parametrize(
    "text",
    [
        "noise:\n  mixing: authors_gain\nnoise:\n  seed: 3\n",
        "noise: {seed: 1}\nx: 1\n'noise': {}\n",
        '{"noise": {},\n"x": 1,\n"noise": {}}',
    ],
)
def test_a_section_that_stands_twice_is_refused_with_both_lines(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text) == (
        "mine.yaml:3: noise stands twice in one section, in lines 1 and 3; make one of the two"
    )


def test_a_key_that_stands_twice_deep_down_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "corpora:\n  emodb:\n    root: a\n    root: b\n").startswith(
        "mine.yaml:4: root stands twice"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\tb: 1\n", "mine.yaml:2: not YAML: .*; indent with blanks"),
        ("a: 1\nb: c: d\n", "mine.yaml:2: not YAML: .*; put a text with a colon"),
        ("a:1\nb: 2\n", "mine.yaml:2: not YAML: "),
        ("a: [1\nb: 2\n", r"mine.yaml:2: not YAML: .*\(begun in line 1\); close every bracket"),
        ("x: {a: 1\n", "mine.yaml:2: not YAML: .*; close every bracket"),
        ("a: 'x\n", "mine.yaml:2: not YAML: .*; close the quote"),
        ("a: @x\n", "mine.yaml:1: not YAML: .*; put the value in quotes"),
        ("a: %x\n", "mine.yaml:1: not YAML: .*; put the value in quotes"),
        ("a: *x\n", r"mine.yaml:1: not YAML: .*; put a text that begins with \* in quotes"),
        ('a: "C:\\data"\n', "mine.yaml:1: not YAML: .*; in double quotes write a backslash twice"),
        ("  a: 1\n b: 2\n", "mine.yaml:2: not YAML: .*; keys of a section begin in the same column"),
        ("a:\n  b: 1\n c: 2\n", "mine.yaml:3: not YAML: .*; keys of a section begin in the same column"),
        ("a: 1\n---\nb: 2\n", "mine.yaml:2: not YAML: .*; take the line `---` out"),
        ("a: 1\nb: \x01\n", "mine.yaml:2: a control character"),
        (b"a: 1\nb: \xe9\n", "mine.yaml:2: not UTF-8 text"),
        ("a: b\n".encode("utf-16"), "mine.yaml:1: not UTF-8 text"),
        ("- a\n", "mine.yaml: no keys at its top"),
        ("# nothing\n", "mine.yaml: no keys at its top"),
        ("a: !!python/object:os.system x\n", "mine.yaml:1: the tag !!python/object:os.system is not read"),
        ("a: !include b.yaml\n", "mine.yaml:1: the tag !include is not read"),
        ("? [a]\n: b\n", "mine.yaml:1: a key has to be a word"),
        ("~: b\n", "mine.yaml:1: a key has to be a word"),
        ("a: 1\n<<: b\n", "mine.yaml:2: << takes an alias"),
        ("a: &a\n  - *a\n", r"mine.yaml:1: an alias \(\*\) stands within what it stands for"),
        ("a: &a {b: *a}\n", r"mine.yaml:1: an alias \(\*\) stands within what it stands for"),
        ("a: &a\n  <<: *a\n", r"mine.yaml:1: an alias \(\*\) stands within what it stands for"),
        ("a: " + "[" * 5000, "mine.yaml: brackets within brackets"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_refused_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert re.match(said, refused(tmp_path, text))


@pytest.mark.parametrize(
    "level",
    [
        "[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]",
        "{{a: {0}, b: {0}, c: {0}, d: {0}}}",
        "{{<<: [{0}, {0}, {0}, {0}]}}",
    ],
    ids=["lists", "sections", "merged"],
)
def test_an_alias_bomb_is_refused_at_once(tmp_path: Path, level: str) -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {level.format(f'*a{n - 1}')}" for n in range(1, 40)]
    assert "values where aliases (*) are followed; use fewer" in refused(tmp_path, "\n".join(lines))


def test_aliases_and_merges_of_a_common_size_are_read(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {y: 4, <<: [*a, {z: 5}]}\n"
    document = written(tmp_path, text)
    assert document.content["c"] == {"x": "1", "y": "3"}
    assert document.content["d"] == {"x": "1", "y": "4", "z": "5"}
    assert document.line(["d", "z"]) == "mine.yaml:4: "
    assert document.line(["c", "x"]) == "mine.yaml:1: "


def test_json_is_read_as_well(tmp_path: Path) -> None:
    content = {"corpora": {"mine": {"layout": "table", "root": "/x\ty", "options": OPTIONS}}, "noise": {"seed": 3}}
    document = written(tmp_path, json.dumps(content, indent="\t"), "mine.json")
    assert document.content["corpora"] == content["corpora"]
    assert document.line(["noise", "seed"]) == "mine.json:17: "


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    assert written(tmp_path, b"\xef\xbb\xbfdata_root: /x\n").content == {"data_root": "/x"}


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("argument", "content"),
    [
        ("data_root=/a b/c=d", {"data_root": "/a b/c=d"}),
        ("data_root=/a #b: c", {"data_root": "/a #b: c"}),
        ("data_root=01", {"data_root": "01"}),
        ("data_root=", {"data_root": None}),
        ("corpora={emodb: {root: null, title: 01}}", {"corpora": {"emodb": {"root": None, "title": "01"}}}),
        ("dlc={'seeds': [0, 1]}", {"dlc": {"seeds": ["0", "1"]}}),
    ],
)
def test_the_command_line_is_read_like_the_files(argument: str, content: dict) -> None:
    assert read_argument(argument).content == content


def test_faults_on_the_command_line_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--config corpora:1: not YAML: "):
        read_argument("corpora={emodb: [}")
    given = read_argument("noise={seeds: 1}")
    with pytest.raises(ConfigError, match=r"--config noise: unknown key noise\.seeds"):
        check_config(given.content, [given])


def test_sections_are_joined_and_all_else_is_taken_from_the_last(tmp_path: Path) -> None:
    below = written(tmp_path, "a: {x: 1, y: [1, 2], z: {q: 1}}\nb: 1\n", "below.yaml")
    above = written(tmp_path, "a: {y: [3], z: {r: 2}}\nb: {s: 1}\nc:\n", "above.yaml")
    given = read_argument("a={x: 9}")
    documents = [below, above, given]
    assert merged(documents) == {
        "a": {"x": "9", "y": ["3"], "z": {"q": "1", "r": "2"}}, "b": {"s": "1"}, "c": None,
    }  # fmt: skip
    assert place(documents[:2], ["a", "y", 0]) == "above.yaml:1: "
    assert place(documents[:2], ["a", "x"]) == "below.yaml:1: "
    # what stands nowhere is told by its section in the last that has it
    assert place(documents[:2], ["a", "z", "s"]) == "above.yaml:1: "
    assert place(documents[:2], ["d"]) == ""


class _Keys(Section):
    key: str = CLEAN


def test_a_word_leaves_the_section_as_a_plain_text() -> None:
    assert type(_Keys(key=Word("x")).key) is str
