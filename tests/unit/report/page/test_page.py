"""The page of a study: nothing is left out, no data are taken for markup, and it needs nothing from elsewhere."""

import base64
import hashlib
import json
import re
import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from made_up_page import HOSTILE, LIMITS, PAGES, TITLES, Elements, build, write_study
from made_up_runs import fit, write_cell
from serflow.files import digested_path
from serflow.inspection.damage import check_all, find
from serflow.report.page.render import data, markdown
from serflow.report.page.study import _curve, make_page, stamp_of
from serflow.runs import artefacts
from serflow.runs.provenance import Provenance
from serflow.training.metrics import tally

ADDRESSES = ("href", "src", "srcset", "action", "poster", "data", "formaction")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory):
    return build(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def place(built):
    return built[0]


@pytest.fixture(params=PAGES)
def page(request, place):
    return place / request.param


def elements(path: Path) -> Elements:
    return Elements(path.read_text(encoding="utf-8"))


def listing_of(path: Path):
    (found,) = (one for one in elements(path).of("script") if one.attributes.get("id") == "listing")
    return json.loads(found.text)


def test_every_table_and_figure_is_on_the_page(built):
    place, files = built
    found = elements(place / "made_up.html").found
    assert [one.attributes["data-table"] for one in found if "data-table" in one.attributes] == [
        path.stem for path in files.tables
    ]
    assert [one.attributes["data-figure"] for one in found if "data-figure" in one.attributes] == [
        path.stem for path in files.figures
    ]
    pictures = [one.attributes["src"] for one in found if one.tag == "img"]
    prefix = "data:image/svg+xml;base64,"
    assert [base64.b64decode(one.removeprefix(prefix)) for one in pictures] == [
        path.read_bytes() for path in files.figures
    ]


def test_the_stamp_is_on_every_view(page):
    found = elements(page)
    stamps = [one for one in found.of("strong") if one.attributes.get("class") == "stamp"]
    assert {one.text for one in stamps} == {"synthetic corpus"}
    heads = [
        one for one in found.of("h2", "h3") if "details" not in one.above and one.attributes.get("id") != "matrix-name"
    ]
    stamped = [one for one in heads if "synthetic corpus" in one.text]
    # that of a study in the overview stands above its banner
    unstamped = {one.text for one in heads} - {one.text for one in stamped}
    assert unstamped <= ({"Made-up <study>"} if page.name == "index.html" else set())
    assert any(one.attributes.get("class") == "banner marked" for one in found.found)
    said = next(one.text for one in found.found if one.attributes.get("class") == "banner marked")
    assert f"Synthetic speech stands in for {TITLES['far']}:" in said


def test_every_cell_of_runs_says_what_it_is_made_of(place):
    cells = listing_of(place / "made_up.html")["cells"]
    assert {(cell["at"][0], tuple(cell["stamp"])) for cell in cells} == {("near", ()), ("far", ("synthetic corpus",))}


def test_nothing_of_the_data_becomes_markup(page):
    html = page.read_text(encoding="utf-8")
    found = elements(page)
    scripts = found.of("script")
    assert len(scripts) == (2 if page.name == "made_up.html" else 1)
    assert all("alert(1)" not in one.text or one.attributes.get("type") == "application/json" for one in scripts)
    assert [one for one in found.of("img") if not one.attributes["src"].startswith("data:")] == []
    assert [name for one in found.found for name in one.attributes if name.startswith("on")] == []
    assert found.of("iframe", "object", "embed", "form", "base", "link") == []
    body = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "<script>1" not in body
    assert "<script>alert" not in body
    assert "onerror=alert(1)>" not in re.sub(r'<script type="application/json".*?</script>', "", body, flags=re.DOTALL)


def test_the_words_of_the_data_are_as_they_were(place):
    listing = listing_of(place / "made_up.html")
    assert {facts[3] for facts in listing["utterances"]} == {HOSTILE}
    assert {facts[1] for facts in listing["utterances"]} == set(TITLES.values())
    found = elements(place / "made_up.html")
    assert any(one.text == HOSTILE for one in found.of("td"))
    assert HOSTILE.split("<script>")[0] in "".join(one.text for one in found.of("section"))


def test_a_page_asks_for_nothing_from_elsewhere(page):
    found = elements(page)
    addresses = [one.attributes[name] for one in found.found for name in ADDRESSES if name in one.attributes]
    assert [address for address in addresses if re.match(r"(\w+:)?//|https?:|javascript:|/", address)] == []
    (style,) = found.of("style")
    assert not re.search(r"@import|url\(", style.text)
    policy = next(one.attributes["content"] for one in found.of("meta") if "http-equiv" in one.attributes)
    script = found.of("script")[-1].text
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_links_lead_somewhere(page):
    found = elements(page)
    ids = [one.attributes["id"] for one in found.found if "id" in one.attributes]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    for link in found.of("a"):
        target, _, anchor = link.attributes["href"].partition("#")
        assert (page.parent / target).is_file() if target else anchor in ids


def test_tables_can_be_read_aloud(page):
    found = elements(page)
    tables = [one for one in found.of("table") if "class" in one.attributes]
    assert len(found.of("caption")) == len(tables) > 0
    assert [one.text for one in found.of("th") if "scope" not in one.attributes] == []
    assert found.of("html")[0].attributes["lang"] == "en"
    assert found.declared
    assert {one.attributes["aria-pressed"] for one in found.of("button") if "data-set" in one.attributes} <= {
        "true",
        "false",
    }
    assert all(one.attributes["alt"] for one in found.of("img"))


def test_recordings_are_beside_the_page(place):
    listing = listing_of(place / "made_up.html")
    assert listing["folder"] == "made_up_audio"
    recorded = {facts[0]: facts[4] for facts in listing["utterances"] if facts[4]}
    assert recorded
    stems = {stem for sounds in recorded.values() for stem, _ in sounds.values()}
    for stem in stems:
        assert (place / listing["folder"] / f"{stem}.flac").is_file()
        assert (place / listing["folder"] / f"{stem}.png").is_file()
    files = list((place / "made_up_audio").rglob("*.flac"))
    assert len(files) == len(stems)
    assert {condition for sounds in recorded.values() for condition in sounds} == {"clean", "h1"}


def test_a_square_says_how_many_there_are_and_lists_some(place):
    cells = listing_of(place / "made_up.html")["cells"]
    for cell in cells:
        for square, listed in cell["listed"].items():
            row, column = map(int, square.split(","))
            assert len(listed) == min(LIMITS.listed, cell["counts"][row][column])
    assert any(cell["counts"][0][0] > LIMITS.listed for cell in cells)
    assert cells[0]["curve"] == [30.0, 40.0, 50.0]


def test_what_is_not_trained_by_periods_has_no_curve(tmp_path):
    targets = np.eye(2)[[0, 1, 1]]
    tested = artefacts.Tested("test", ["a", "b", "c"], targets, targets)
    for place, history in enumerate(([], [{"period": 0, "updates": 1, "loss": 1.0}])):
        result = fit(
            tallies={"prediction": tally(targets, targets.argmax(1))},
            tested=[tested],
            classes=("x", "y"),
            history=history,
        )
        files = write_cell(tmp_path / str(place), {"corpus": "near"}, [result], classes=("x", "y"))
        assert _curve(files.history, "val_ua") == []


def test_claims_are_on_the_page_of_a_paper_that_has_any(place, tmp_path):
    page = (place / "made_up.html").read_text()
    assert 'href="#claims"' in page
    assert "<strong>holds</strong> (synthetic)" in page
    study, files = write_study(tmp_path)
    without = make_page(study, files._replace(claims=None), LIMITS, tmp_path / "audio").html
    assert "#claims" not in without
    assert 'id="protocol"' in without


def test_audio_and_words_are_left_out_when_asked(tmp_path):
    place, _ = build(tmp_path, LIMITS._replace(heard=0, transcripts=False))
    html = (place / "made_up.html").read_text(encoding="utf-8")
    listing = listing_of(place / "made_up.html")
    assert all(facts[3] is None and facts[4] == {} for facts in listing["utterances"])
    assert "heard <" not in html
    assert "No audio" in html
    assert not any(path.is_file() for path in place.glob("made_up_audio/**/*"))
    assert [
        words for cell in listing["cells"] for found in cell["listed"].values() for one in found for words in one[4]
    ] == []


def test_the_audit_stands_below_the_card_where_there_is_one(place, tmp_path):
    assert 'id="audit"' not in (place / "made_up.html").read_text(encoding="utf-8")
    study, files = write_study(tmp_path)
    with digested_path(tmp_path / "audit.md") as path:
        path.write_text("# Audit\n\n| sets | speakers |\n| --- | --- |\n| train, test | 2 of 2 |\n", encoding="utf-8")
    page = make_page(study, files._replace(audit=tmp_path / "audit.md"), LIMITS, tmp_path / "heard")
    assert "2 of 2" in page.html.split('id="audit"')[1]


def test_the_same_results_give_the_same_bytes(place, tmp_path):
    again, _ = build(tmp_path)
    for path in place.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(place)).read_bytes(), path.name


def test_pages_are_small(page):
    assert page.stat().st_size < 300_000


def test_verify_knows_all_of_it(place):
    checked = list(check_all(find([place.parent / "report"])))
    assert [one.fault for one in checked if one.fault] == []
    looked_at = {one.path.name for one in checked}
    assert {"made_up.html", "index.html", "made_up.json", "table1.html"} <= looked_at
    assert any(name.endswith(".flac") for name in looked_at)


def test_damage_to_a_recording_is_found(built, tmp_path):
    place, _ = build(tmp_path)
    flac = next(place.rglob("*.flac"))
    flac.write_bytes(flac.read_bytes()[:-3] + b"abc")
    assert [one.path for one in check_all(find([place])) if one.fault] == [flac]


def test_json_cannot_leave_its_element():
    said = data({"x": "</script><!--<script>\u2028&"})
    assert not re.search("[<>&\u2028]", said)
    assert json.loads(said) == {"x": "</script><!--<script>\u2028&"}


def test_markdown_shows_html_as_it_is_written():
    assert markdown("# A\n\n<script>x</script> *b*") == "<h3>A</h3>\n<p>&lt;script&gt;x&lt;/script&gt; <em>b</em></p>\n"
    assert 'href="javascript' not in markdown("[a](javascript:alert(1))")


def test_stamps():
    everything = Provenance(
        {"corpus": ("far",), "noise": ("ESC-50",), "weights": ("bert", "ge2e")}, ("near",), raised_db=(20.0,)
    )
    stamp = stamp_of(everything, TITLES)
    assert stamp["marks"] == ["synthetic corpus", "synthetic noise", "STAND-IN weights", "SNR +20 dB", "partial"]
    assert stamp_of(Provenance(partial=("ESC-50",)), TITLES) == {
        "marks": ["partial noise"], "said": ["Fewer utterances or clips than published: ESC-50."]
    }  # fmt: skip
    assert [TITLES["far"] in stamp["said"][0], "ESC-50" in stamp["said"][1], "bert, ge2e" in stamp["said"][2]] == [
        True
    ] * 3
    assert TITLES["near"] in stamp["said"][4]
    assert stamp_of(Provenance(), TITLES) == {"marks": [], "said": ["Made from the publishers' data."]}


def test_a_wheel_holds_what_pages_are_made_with(repository):
    package = repository / "src" / "serflow"
    patterns = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"][
        "serflow"
    ]
    files = [
        path.relative_to(package).as_posix()
        for path in (package / "report" / "page").rglob("*")
        if path.suffix in {".css", ".js", ".html"}
    ]
    assert len(files) == 7
    assert [file for file in files if not any(fnmatch(file, pattern) for pattern in patterns)] == []
