import pytest

from serflow.reasons import by_reason


def test_reasons_that_differ_in_a_name_or_number_are_one():
    told = [
        "too short: 0.0500 s, at least 0.1 s are needed",
        "too short: 0.0125 s, at least 0.1 s are needed",
        "t.csv:7: emotion 'wut' is none of ours; map it in options, e.g. `emotions: {wut: happiness}`",
        "a b/t.csv:12: emotion 'żal' is none of ours; map it in options, e.g. `emotions: {żal: happiness}`",
        "same name as Actor_01/a.wav, which is used",
        "same name as b.wav, which is used",
        "t.csv:9: no speaker",
    ]
    assert by_reason(told) == (
        "2 too short, 2 emotion … is none of ours, 2 same name as …, which is used, 1 no speaker"
    )


def test_many_reasons_are_cut_short_but_all_are_counted():
    assert by_reason(word * 2 for word in "abcdefg") == "1 aa, 1 bb, 1 cc, 1 dd, 1 ee, 2 for other reasons"
    assert by_reason([]) == ""


@pytest.mark.parametrize(
    "reason",
    [
        "a link to /data/private/a b/c.wav, which is not there",
        "'it\\'s private' lies outside root, which is /data/private corpus/x; name it relative to root",
        '"it\'s private" lies outside root, which is ~/private; name it relative to root',
        "private/a.wav leads out of root by a link, to /private/a.wav; copy the file below root",
        "/data/private/labels.txt: cannot be read: closed; make the file readable",
        "t.csv:9: emotion 'private' is none of ours; map it in options",
        "t.csv:9: emotion 'words: private (and; so: on)' is none of ours; map it in options",
    ],
)
def test_whose_a_reason_is_is_not_said_of_one_either(reason):
    """What is counted stands in tables and leaves the house; who it was stands in rejected.csv."""
    for several in ([reason], [reason] * 3):
        said = by_reason(several)
        assert "private" not in said
        assert "data" not in said
        assert said.startswith(f"{len(several)} ")
    assert by_reason(["9.5 s, not 3.0 s"]) == "1 9.5 s, not 3.0 s"
