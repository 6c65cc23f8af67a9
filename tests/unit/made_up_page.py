"""A made-up study with all that its page is made of, written by the real writers; names and words in it are hostile."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from made_up_runs import SYNTHETIC, fit, write_cell, write_utterances
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.files import digested_path, write_csv, write_sealed_json
from serflow.noise.mixing import ClipBank, write_plan
from serflow.noise.plan import Draw, plan_utterance
from serflow.report.comparison import beside_paper
from serflow.report.headings import Heading, Layout
from serflow.report.intervals import table_intervals
from serflow.report.page.render import render
from serflow.report.page.study import Files, Limits, Study, make_page
from serflow.report.tables import Printed, fill, in_shape
from serflow.runs.artefacts import Tested
from serflow.runs.scores import read_runs
from serflow.stages.prepare_clips import CLIPS_SCHEMA
from serflow.stores.parquet import write_batches
from serflow.training.metrics import tally

CLASSES = ("anger", "joy <i>")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> 你好 é"
TITLES = {"near": "Near & <b>dear</b>", "far": "Far 远"}
RATE = 16_000
N = 24
CONDITIONS = ("clean", "h1")
LIMITS = Limits(listed=3, heard=1, transcripts=True)
METHODS = {"alone": "Alone", "adversary": "Adversary"}


def layout() -> Layout:
    """Two methods in each of two groups of rows; UA and WA, clean and noisy, on a real and on a synthetic corpus."""
    rows = [
        Heading((group, title), {"group": name, "method": method}, (group, "Alone") if method != "alone" else None)
        for group, name in (("First", "one"), ("Second", "two"))
        for method, title in METHODS.items()
    ]
    columns = [
        Heading((title, f"{condition} {measure.upper()}"), {"corpus": corpus, "profile": condition, "measure": measure})
        for corpus, title in TITLES.items()
        for measure in ("ua", "wa")
        for condition in CONDITIONS
    ]
    return Layout(("Group", "Method"), rows, columns, quoted=(("First", "Others"),))


def published() -> dict[tuple[tuple[str, ...], str], Printed]:
    """Return what a made-up paper prints: of every cell 50, of the row that it quotes 61.5."""
    found = {
        (row.name, " ".join(column.name)): Printed(50.0, 1.5) for row in layout().rows for column in layout().columns
    }
    return {**found, **{(("First", "Others"), " ".join(column.name)): Printed(61.5) for column in layout().columns}}


def names(corpus: str) -> list[str]:
    """Return the utterances of a corpus; the first is hostile."""
    return [f"{corpus}<\"&'>0", *(f"{corpus}_{i}" for i in range(1, N))]


def posteriors(cell: Mapping[str, str]) -> Any:
    """Return what a cell predicts, ``(N, classes)``."""
    shares = np.random.default_rng(sum(map(ord, "".join(cell.values())))).uniform(0.05, 0.95, N)
    return np.stack([shares, 1 - shares], 1)


def write_cells(folder: Path) -> list[Path]:
    """Write the predictions, histories and metrics of all cells; return the predictions."""
    targets = np.eye(2)[np.arange(N) % 2]
    paths = []
    for group in ("one", "two"):
        for method in METHODS:
            for corpus in TITLES:
                for profile in CONDITIONS:
                    cell = {"corpus": corpus, "group": group, "method": method, "profile": profile}
                    said = posteriors(cell)
                    more = {"heard": [f"heard {HOSTILE}"] * N} if method == "adversary" else {}
                    tested = [
                        Tested("test", names(corpus), targets, said, more),
                        Tested("val", ["v0"], targets[:1], said[:1]),
                    ]
                    counted = tally(targets, said.argmax(1))
                    result = fit(
                        0,
                        tallies={"prediction": counted},
                        tested=tested,
                        classes=CLASSES,
                        history=[{"period": i, "updates": i, "val_ua": 0.3 + 0.1 * i} for i in range(3)],
                        n_test=N,
                    )
                    provenance = SYNTHETIC._replace(stand_ins={"corpus": (corpus,)}) if corpus == "far" else None
                    files = write_cell(folder, cell, [result], study="made_up", classes=CLASSES, provenance=provenance)
                    paths.append(files.predictions)
    return paths


def write_sound(folder: Path) -> tuple[list[Path], list[Path], Path]:
    """Write prepared audio, noise plans of h1 and clips; return them."""
    generator = np.random.default_rng(0)
    clip = generator.integers(-2000, 2000, 2 * RATE).astype(np.int16)
    row = {"clip": "1-1-A-1", "fold": 1, "target": 0, "category": "x", "group": "human", "n_samples": len(clip),
           "pcm16": clip.astype("<i2").tobytes(), "trimmed_start_s": 0.0, "trimmed_end_s": 0.0}  # fmt: skip
    clips = folder / "noise" / "clips.parquet"
    table = pa.Table.from_pylist([row], schema=CLIPS_SCHEMA)
    write_batches(clips, CLIPS_SCHEMA, [table], kind="clips", metadata={"synthetic": False, "warnings": []})
    bank = ClipBank.read(clips)
    audio, plans = [], []
    for corpus in TITLES:
        speech = [
            PreparedUtterance(
                name, generator.integers(-3000, 3000, RATE // 4 + 16 * i).astype(np.int16), RATE, 1, "PCM_16", 0
            )
            for i, name in enumerate(names(corpus))
        ]
        for shard, part in enumerate((speech[: N // 2], speech[N // 2 :])):
            audio.append(folder / "audio" / corpus / f"{shard:04d}.parquet")
            write_prepared(audio[-1], part, {"corpus": corpus})
        plan = [
            plan_utterance(item, Draw("human", "1-1-A-1", i), bank["1-1-A-1"], -5.0) for i, item in enumerate(speech)
        ]
        plans.append(folder / "noise" / corpus / "h1.parquet")
        metadata = {"corpus": corpus, "profile": "h1", "synthetic_clips": False, "clip_warnings": []}
        write_plan(plans[-1], plan, metadata)
    return audio, plans, clips


def write_study(folder: Path) -> tuple[Study, Files]:
    """Write all files of the study as they lie in a folder of results."""
    results = folder / "results"
    predictions = write_cells(results)
    utterances = [
        write_utterances(
            results,
            corpus,
            [
                {"utterance": name, "speaker": f"<s{i % 6}>", "text": HOSTILE, "shard": f"{i // (N // 2):04d}"}
                for i, name in enumerate(names(corpus))
            ],
            synthetic=corpus == "far",
        )
        for corpus in TITLES
    ]
    own = results / "made_up"
    table = fill(layout(), read_runs(path.with_name("metrics.json") for path in predictions))
    write_csv(own / "table1.csv", *in_shape(table, published()))
    write_csv(own / "table1_vs_paper.csv", *beside_paper(table, published()))
    intervals = table_intervals(layout(), predictions, utterances, "speaker", 50)
    write_csv(own / "table1_intervals.csv", *intervals)
    write_csv(own / "networks.csv", ["Layer", "Near"], [["TDNN", "128-5-2"], ["LSTM", HOSTILE]])
    write_csv(
        own / "networks_vs_paper.csv",
        ["layer", "column", "ours", "paper", "same"],
        [["TDNN", "Near", "128-5-2", "128-5-2", True], ["LSTM", "Near", HOSTILE, "64", False]],
    )
    write_csv(own / "gates.csv", ["gate", "value"], [[HOSTILE, 0.5]])
    heading = ["corpus", "run", "fold", "n_classes", "n_train", "n_val", "n_test", "test_speakers"]
    write_csv(own / "protocol.csv", heading, [[corpus, 0, "none", 2, 1700, 100, N, 6] for corpus in TITLES])
    with digested_path(own / "protocol.md") as path:
        path.write_text(f"# Protocol\n\n| a | b |\n| --- | --- |\n| {HOSTILE} | 2 |\n", encoding="utf-8")
    with digested_path(own / "claims.md") as path:
        path.write_text(f"# Claims\n\n## one\n\n**holds** (synthetic): {HOSTILE}\n", encoding="utf-8")
    for name in ("figure4", "curves"):
        with digested_path(own / f"{name}.svg") as path:
            path.write_text(
                '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="120"><rect width="200" height="90"/></svg>'
            )
    audio, plans, clips = write_sound(results)
    study = Study(
        name="made_up",
        title="Made-up <study>",
        about="*Made-up* paper, <script>1</script>",
        layouts={"table1": layout()},
        captions={"table1": "Table *I*, ``x``", "figure4": "Figure <b>4</b>"},
        titles=TITLES,
        curve="val_ua",
        quantity="validation UA (%)",
    )
    files = Files(
        tables=[own / f"{name}.csv" for name in ("table1", "networks", "gates")],
        beside=[own / f"{name}.csv" for name in ("table1_vs_paper", "table1_intervals", "networks_vs_paper")],
        figures=[own / "figure4.svg", own / "curves.svg"],
        card=own / "protocol.md",
        fits=own / "protocol.csv",
        predictions=predictions,
        conditions=[path.parent.name for path in predictions],
        utterances=utterances,
        audio=audio,
        plans=plans,
        clips=clips,
        claims=own / "claims.md",
    )
    return study, files


# The pages of it


PAGES = ("made_up.html", "index.html", *(f"made_up_tables/{name}.html" for name in ("table1", "networks", "gates")))


def build(folder: Path, limits: Limits = LIMITS) -> tuple[Path, Files]:
    """Write the study and its pages; return the folder of these, and what they are made of."""
    study, files = write_study(folder)
    if not limits.heard:
        files = files._replace(audio=[], plans=[], clips=None)
    place = folder / "results" / "report"
    page = make_page(study, files, limits, place / "made_up_audio")
    write_sealed_json(place / "made_up.json", page.overview)
    index = render("index.html", {"studies": [dict(page.overview)], "listing": None})
    alone = {f"made_up_tables/{name}.html": html for name, html in page.tables.items()}
    for name, html in {"made_up.html": page.html, "index.html": index, **alone}.items():
        with digested_path(place / name) as path:
            path.write_text(html, encoding="utf-8")
    return place, files


class Elements(HTMLParser):
    """All elements of a page in order, with their text; every one must be closed where it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[SimpleNamespace] = []
        self.open: list[SimpleNamespace] = []
        self.declared = False
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = SimpleNamespace(tag=tag, attributes=dict(attrs), text="", above=[one.tag for one in self.open])
        self.found.append(element)
        if tag not in {"meta", "img", "br", "hr", "link", "input"}:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, text: str) -> None:
        for element in self.open:
            element.text += text

    def handle_decl(self, declaration: str) -> None:
        self.declared = declaration == "DOCTYPE html"

    def of(self, *tags: str) -> list[SimpleNamespace]:
        """Return the elements of some tags."""
        return [element for element in self.found if element.tag in tags]
