"""Pages as Chromium shows them: drawn, without a complaint, and answering to their address."""

import json
import re
import shutil
import subprocess

import matplotlib.image
import numpy as np
import pytest

from made_up_page import PAGES, Elements, build

SIZES = {"wide": "1600,2400", "narrow": "400,2400"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    return build(tmp_path_factory.mktemp("page"))[0]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory):
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on PATH")
    profile = tmp_path_factory.mktemp("profile")

    def run(address, *options):
        """Return what Chromium prints, and the addresses outside this machine that the page asks for."""
        log = profile / "net.json"
        command = [
            found, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
            "--hide-scrollbars", "--virtual-time-budget=4000", "--enable-logging=stderr", f"--log-net-log={log}",
            "--host-resolver-rules=MAP * ~NOTFOUND", *options, address,
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        # what a page says, or what is said of it, stands in such lines
        assert re.findall(r".*CONSOLE.*", done.stderr) == []
        return done.stdout, requests_of(log)

    return run


def requests_of(log):
    """Return what pages ask the network for; the browser's own questions have no origin."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return [one["url"] for one in asked if one["initiator"] != "not an origin" and not one["url"].startswith("file:")]


def test_a_request_and_a_complaint_would_be_seen(chromium, tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<img src="http://nowhere.invalid/a.png" alt="">')
    assert chromium(page.as_uri(), "--dump-dom")[1] == ["http://nowhere.invalid/a.png"]
    page.write_text("<script>nobody()</script>")
    with pytest.raises(AssertionError, match="nobody is not defined"):
        chromium(page.as_uri(), "--dump-dom")


def dom(chromium, path, state=""):
    printed, _ = chromium(path.as_uri() + (f"#{state}" if state else ""), "--dump-dom")
    return printed


def root_of(html):
    return re.search(r"<html[^>]*>", html)[0]


def pressed(html):
    return {
        (one.attributes["data-set"], one.attributes["data-value"])
        for one in Elements(html).of("button")
        if "data-set" in one.attributes and one.attributes["aria-pressed"] == "true"
    }


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_without_a_complaint_or_a_request(chromium, place, tmp_path, name, size):
    picture = tmp_path / "page.png"
    _, requests = chromium((place / name).as_uri(), f"--window-size={size}", f"--screenshot={picture}")
    drawn = np.rint(255 * matplotlib.image.imread(picture)[..., :3]) @ [65536, 256, 1]
    assert len(np.unique(drawn)) > 50
    # more than the page's own colour stands in its lines
    assert (drawn != drawn[0, 0]).any(axis=1).sum() > 150
    assert requests == []


def test_a_page_starts_with_both_side_by_side(chromium, place):
    html = dom(chromium, place / "made_up.html")
    assert pressed(html) == {("show", "both"), ("measure", "all"), ("condition", "all"), ("intervals", "off")}


@pytest.mark.parametrize(
    ("state", "columns"),
    [("", 4), ("measure=ua", 2), ("condition=noisy", 2), ("measure=wa&condition=clean&show=difference", 1)],
)
def test_switches_are_told_by_the_address(chromium, place, state, columns):
    html = dom(chromium, place / "made_up.html", state)
    for setting in filter(None, state.split("&")):
        name, value = setting.split("=")
        assert f'data-{name}="{value}"' in root_of(html)
        assert (name, value) in pressed(html)
    groups = [one for one in Elements(html).of("th") if "data-columns" in one.attributes]
    # the columns that are left stand under their names
    assert [one.attributes["colspan"] for one in groups] == [str(columns)] * 2


def test_an_address_that_makes_no_sense_does_no_harm(chromium, place):
    html = dom(chromium, place / "made_up.html", "show=<script>&measure=wer&cell=9999&square=x")
    assert pressed(html) >= {("show", "both"), ("measure", "all")}
    assert "made_up" in html


def test_a_square_shows_its_utterances_with_their_sound(chromium, place):
    html = dom(chromium, place / "made_up.html", "cell=1&square=0,0")
    found = Elements(html)
    (button,) = (one for one in found.of("button") if one.attributes.get("data-square") == "0,0")
    assert button.attributes["aria-pressed"] == "true"
    assert len(found.of("li")) >= 3
    players = [one.attributes["src"] for one in found.of("audio")]
    assert players
    assert {src.rsplit("-", 1)[1] for src in players} == {"clean.flac", "h1.flac"}
    assert all((place / src).is_file() for src in players)
    shown = [one.attributes["src"] for one in found.of("img") if not one.attributes["src"].startswith("data:")]
    assert [src.removesuffix(".png") for src in shown] == [src.removesuffix(".flac") for src in players]
    said = next(one.text for one in found.found if one.attributes.get("id") == "square")
    assert re.search(r"3 of \d+ are listed; \d+ more are in predictions.parquet", said)


def test_a_synthetic_cell_says_so_above_its_matrix(chromium, place):
    heads = []
    for cell in (0, 2):
        found = Elements(dom(chromium, place / "made_up.html", f"cell={cell}&square=0,0"))
        heads.append(next(one.text for one in found.found if one.attributes.get("id") == "matrix-name"))
    assert ["synthetic corpus" in head for head in heads] == ["Far" in head for head in heads]
    assert any("Far" in head for head in heads)
