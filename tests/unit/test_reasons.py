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
