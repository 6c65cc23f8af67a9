"""Stage: the page of a study's results. ``python -m serflow.stages.report_study --help``."""

import argparse
from pathlib import Path

from serflow.files import atomic_folder, digested_path, write_sealed_json
from serflow.report.headings import Layout
from serflow.report.page.study import Files, Limits, Study, make_page
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--page``, ``--tables-alone``, ``--overview`` and what is heard into ``--folder``."""
    study = Study(
        name=arguments.study,
        title=arguments.title,
        about=arguments.about,
        layouts={name: Layout.from_json(content) for name, content in arguments.layouts.items()},
        captions=arguments.captions,
        titles=arguments.titles,
        curve=arguments.value,
        quantity=arguments.quantity,
    )
    files = Files(
        tables=arguments.tables,
        beside=arguments.beside,
        figures=arguments.figures,
        card=arguments.card,
        fits=arguments.fits,
        predictions=arguments.predictions,
        conditions=arguments.conditions,
        utterances=arguments.utterances,
        audio=arguments.audio,
        plans=arguments.plans,
        clips=arguments.clips,
        claims=arguments.claims,
        audit=arguments.audit,
    )
    limits = Limits(arguments.listed, arguments.heard, arguments.transcripts)
    with atomic_folder(arguments.folder) as folder:
        page = make_page(study, files, limits, folder)
    for path in arguments.tables_alone:
        _write(path, page.tables[path.stem])
    write_sealed_json(arguments.overview, page.overview)
    _write(arguments.page, page.html)


def _write(path: Path, html: str) -> None:
    with digested_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="key of the study")
    parser.add_argument("--title", required=True, help="what people call its paper")
    parser.add_argument("--about", required=True, help="which paper it is and what it asks, Markdown")
    parser.add_argument("--layouts", type=json_option, required=True, help='{"table": rows and columns} of its scores')
    parser.add_argument("--captions", type=json_option, required=True, help='{"table or figure": "Markdown"}')
    parser.add_argument("--titles", type=json_option, required=True, help='{"corpus": "title"}, in order')
    parser.add_argument("--value", required=True, help="column of the histories, a share, e.g. val_ua")
    parser.add_argument("--quantity", required=True, help="what people call it")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="tables that are shown, in order")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="comparisons with the paper, intervals")
    parser.add_argument("--figures", type=Path, nargs="*", default=[], help="SVG")
    parser.add_argument("--card", type=Path, required=True, help="protocol.md")
    parser.add_argument("--claims", type=Path, default=None, help="claims.md, of a paper that has any")
    parser.add_argument("--fits", type=Path, required=True, help="protocol.csv")
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="of each cell; its history.parquet lies beside it"
    )
    parser.add_argument(
        "--conditions", nargs="+", required=True, help="what each cell hears: clean, or a noise profile"
    )
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--audio", type=Path, nargs="*", default=[], help="shards of prepared audio")
    parser.add_argument("--plans", type=Path, nargs="*", default=[], help="noise plans")
    parser.add_argument("--clips", type=Path, default=None, help="noise clips (clips.parquet)")
    parser.add_argument("--audit", type=Path, default=None, help="audit of the study, Markdown")
    parser.add_argument("--listed", type=int, required=True, help="utterances that a square lists")
    parser.add_argument("--heard", type=int, required=True, help="how many of them are heard; 0 for no audio")
    parser.add_argument("--transcripts", action="store_true", help="say what utterances say")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--page", type=Path, required=True, help="output: HTML")
    parser.add_argument("--tables-alone", type=Path, nargs="*", default=[], help="output: HTML, one a table")
    parser.add_argument("--overview", type=Path, required=True, help="output: JSON of what index.html says of it")
    parser.add_argument("--folder", type=Path, required=True, help="output: folder of recordings; empty without audio")
    run_stage(parser, main)
