"""What claims may say, and which cells they are about."""

import re
from pathlib import Path

import pytest

from serflow.claims.card import printed
from serflow.claims.ledger import Assertion, Claims, claims_path, numbers, read_claims
from serflow.claims.verdicts import Verdict, judge
from serflow.config import check_config
from serflow.errors import ConfigError
from serflow.report.headings import Heading, Layout
from serflow.report.tables import read_published
from serflow.settings.base import checked

PLANS = check_config({}).plans()
# what the text says and its own table does not
UNPRINTED = {
    ("multigating", "a_gate_a_language_helps", "MMoE - OMoE, German WA"): "94.43 both",
    ("multigating", "a_gate_a_language_helps", "MMoE - OMoE, French WA"): "84.15 and 84.17",
    ("multigating", "auxiliary_loss_helps", "with aux loss - w/o aux loss, German WA"): "95.36 both",
}
FAR = re.compile(r"\b(by far|heavily|large|much|noticeably|strongly|substantially)\b")
LAYOUT = Layout(
    ("System",),
    [Heading(("A",), {}), Heading(("B",), {})],
    [
        Heading(("EmoDB", "Val"), {}, reasons=("not the paper's corpus",), printed=("EmoDB", "Val")),
        Heading(("EmoDB", "Test"), {}, reasons=("not the paper's corpus",), printed=("EmoDB", "Test")),
        Heading(("Mine", "Test"), {}, printed=("IEMOCAP", "Test")),
        Heading(("Mine", "Val"), {}, printed=("IEMOCAP", "Val")),
        Heading(("Mine", "Test UAR"), {}, printed=("IEMOCAP", "Test UAR")),
    ],
)


def assertion(**said: object) -> Assertion:
    return checked(Assertion, {"table": "t", "rows": ["A", "B"], "columns": ["* Test"], "is": "above", **said}, "a")


def signs(found: list) -> list[tuple[int, str, str]]:
    return [(term.sign, term.row.name[0], " ".join(term.column.name)) for number in found for term in number.terms]


@pytest.mark.parametrize("study", PLANS)
def test_every_paper_has_claims_over_tables_that_there_are(study: str) -> None:
    plan, claims = PLANS[study], read_claims(claims_path(study))
    assert 6 <= len(claims.claims) <= 20
    names = [name for tables in plan.tables for name in tables]
    found = [
        number
        for claim in claims.claims.values()
        for part in claim.asserts
        for number in numbers(part, plan.layout(part.table) if part.table in names else None)
    ]
    assert [number for number in found if number.needs or not number.terms] == []
    assert len({claim.sentence for claim in claims.claims.values()}) == len(claims.claims)


@pytest.mark.parametrize("study", PLANS)
def test_the_papers_own_numbers_say_what_its_text_says(study: str) -> None:
    """A sign or a row that is wrong in the claims does not pass here."""
    contradicted, told = set(), 0
    for name, claim in read_claims(claims_path(study)).claims.items():
        for part in claim.asserts:
            layout = PLANS[study].layout(part.table)
            published = read_published(study, layout.printed or part.table, len(layout.corner))
            for number in numbers(part, layout):
                value = round(printed(number, published), 2)
                told += value == value
                if value == value and judge(part, value, value) is not Verdict.HOLDS:
                    contradicted.add((study, name, number.name))
    assert contradicted == {key for key in UNPRINTED if key[0] == study}
    assert told >= 10


@pytest.mark.parametrize("study", PLANS)
def test_what_is_said_to_be_much_is_a_point_at_least(study: str) -> None:
    """Less than a point is what claims call alike."""
    for name, claim in read_claims(claims_path(study)).claims.items():
        if FAR.search(claim.sentence):
            assert all(part.margin >= 1 for part in claim.asserts), name


def test_a_number_is_one_row_less_another() -> None:
    assert signs(numbers(assertion(columns=["IEMOCAP Test"]), LAYOUT)) == [
        (1, "A", "Mine Test"),
        (-1, "B", "Mine Test"),
    ]


def test_a_number_of_two_columns_is_a_difference_of_differences() -> None:
    (number,) = numbers(assertion(columns=[["IEMOCAP Val", "IEMOCAP Test"]]), LAYOUT)
    expected = [(1, "A", "Mine Val"), (-1, "A", "Mine Test"), (-1, "B", "Mine Val"), (1, "B", "Mine Test")]
    assert signs([number]) == expected
    assert number.name == "A - B, Mine Val - Mine Test"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"is": "above"}, "above 0"),
        ({"is": "above", "margin": 2}, "above 2"),
        ({"is": "below", "margin": 2}, "below -2"),
        ({"is": "not above", "margin": 2}, "not above 2"),
        ({"is": "not below", "margin": 2}, "not below -2"),
        ({"is": "alike", "margin": 2}, "from -2 to 2"),
        ({"is": "about", "value": 87, "margin": 2.5}, "from 84.5 to 89.5"),
    ],
)
def test_what_must_be_so_is_said_as_it_is_judged(said: dict, words: str) -> None:
    """A number just within what is said holds, one beyond it does not."""
    one = assertion(**said)
    assert one.said() == words
    *_, end = map(float, re.findall(r"-?\d+(?:\.\d+)?", words))
    beyond = end - 0.1 if words.startswith(("above", "not below")) else end + 0.1
    within = 2 * end - beyond
    assert (judge(one, within, within), judge(one, beyond, beyond)) == (Verdict.HOLDS, Verdict.DOES_NOT_HOLD)


def test_rows_have_the_papers_names() -> None:
    rows = [Heading(("Mine",), {}, printed=("A",)), Heading(("B",), {})]
    (number,) = numbers(assertion(), LAYOUT._replace(rows=rows))
    assert signs([number]) == [(1, "Mine", "Mine Test"), (-1, "B", "Mine Test")]


def test_a_cell_alone_is_held_against_what_the_paper_prints() -> None:
    (number,) = numbers(assertion(rows=["A"], columns=["IEMOCAP Test"], value=60, margin=1, **{"is": "about"}), LAYOUT)
    assert signs([number]) == [(1, "A", "Mine Test")]


def test_of_columns_of_one_name_the_first_is_meant() -> None:
    twice = [Heading(("Mine", fold), {}, printed=("IEMOCAP", "Test")) for fold in ("one", "other")]
    (number,) = numbers(assertion(columns=["IEMOCAP Test"]), LAYOUT._replace(columns=twice))
    assert {term.column.name for term in number.terms} == {("Mine", "one")}


def test_a_star_stands_for_a_corpus_that_has_all_of_the_columns() -> None:
    columns = [*LAYOUT.columns, Heading(("Other", "Val"), {})]
    (number,) = numbers(assertion(columns=[["* Val", "* Test"]]), LAYOUT._replace(columns=columns))
    assert number.name == "A - B, Mine Val - Mine Test"


def test_a_longer_name_is_another_column() -> None:
    backwards = LAYOUT._replace(columns=LAYOUT.columns[::-1])
    (number,) = numbers(assertion(columns=["IEMOCAP Test"]), backwards)
    assert {term.column.name for term in number.terms} == {("Mine", "Test")}


def test_tables_are_named_once() -> None:
    said = [{"table": name, "rows": ["A", "B"], "columns": ["c"], "is": "above"} for name in ("t", "u", "t")]
    one = checked(Claims, {"claims": {"one": {"sentence": "s", "section": "1", "asserts": said}}}, "claims.yaml")
    assert one.tables() == ["t", "u"]


def test_a_star_is_the_papers_corpus_where_it_is_there_and_any_other_where_not() -> None:
    assert [number.name for number in numbers(assertion(), LAYOUT)] == ["A - B, Mine Test"]
    elsewhere = LAYOUT._replace(columns=LAYOUT.columns[:2])
    pair = assertion(rows=["A"], columns=[["* Val", "* Test"]])
    assert [number.name for number in numbers(pair, elsewhere)] == ["A, EmoDB Val - EmoDB Test"]
    both = LAYOUT._replace(columns=[column._replace(reasons=()) for column in LAYOUT.columns])
    found = [number.name for number in numbers(pair, both)]
    assert found == ["A, EmoDB Val - EmoDB Test", "A, Mine Val - Mine Test"]


@pytest.mark.parametrize(
    ("said", "layout", "needs"),
    [
        ({}, None, "table t"),
        ({"rows": ["A", "C"]}, LAYOUT, "row C in t"),
        ({"rows": ["C", "D"]}, LAYOUT, "row C in t"),
        ({"columns": ["UA"]}, LAYOUT, "column UA in t"),
        # a name is a name, and no pattern
        ({"columns": ["IEMOCAP T.st"]}, LAYOUT, "column IEMOCAP T.st in t"),
        ({"columns": [["* Val", "* Dev"]]}, LAYOUT, "column * Val and * Dev in t"),
    ],
)
def test_what_the_configuration_does_not_hold_is_needed(said: dict, layout: Layout | None, needs: str) -> None:
    (number,) = numbers(assertion(**said), layout)
    assert (number.needs, number.terms) == (needs, ())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"is": "about"}, "value: stands with `is: about`"),
        ({"value": 3.0}, "value: stands with `is: about`"),
        ({"is": "alike"}, "margin: `is: alike` needs one, in points"),
        ({"is": "about", "value": 3.0}, "margin: `is: about` needs one, in points"),
        ({"rows": ["A"]}, "rows: one row in one column is no difference"),
        ({"rows": ["A"], "columns": [["* Val", "* Test"], "* Test"]}, "rows: one row in one column is no difference"),
        ({"is": "better"}, "is: Input should be"),
        ({"margin": -1}, "margin: Input should be greater than or equal to 0"),
        ({"row": "A"}, "unknown key a.row (did you mean 'rows'?)"),
    ],
)
def test_what_says_nothing_is_refused(said: dict, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        assertion(**said)
    assert words in str(raised.value)


def test_a_claim_asserts_something_or_says_what_it_needs() -> None:
    for said in ({}, {"needs": "x", "asserts": [{"table": "t", "rows": ["A", "B"], "columns": ["c"], "is": "above"}]}):
        with pytest.raises(ConfigError, match="give what must be so, or `needs`"):
            checked(Claims, {"claims": {"one": {"sentence": "s", "section": "1", **said}}}, "claims.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"claims.yaml: no such file"):
        read_claims(tmp_path / "claims.yaml")
