"""The command ``serflow``: look before a run and at what was made, check, audit, compare and share it; fetch; cite."""

import contextlib
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import serflow
from serflow.errors import SerflowError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Look at what the workflow made (inspect), listen to it (listen), check it for damage (verify); say what is "
    "wrong before a run (doctor), what it costs (forecast), and why it has something to do (why); fetch free corpora "
    "(fetch); say what the sets of a list of folds share (audit), and what to cite (cite); say where two results "
    "diverge (compare), join those of several labs (merge), and pack what may be shared (export).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_NARROWEST = 80


class Projection(StrEnum):
    """How vectors get into a plane."""

    PCA = "pca"
    TSNE = "tsne"


def _console(stderr: bool = False) -> "Console":
    """Return a terminal; what is no terminal gets wide lines."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_NARROWEST)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Print an expected failure as one red line and leave with status 1."""
    from rich.text import Text

    try:
        yield
    except (SerflowError, OSError) as error:
        named = isinstance(error, OSError) and error.filename is not None and error.strerror is not None
        said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and named else str(error)
        _console(stderr=True).print(Text(said, style="red"), soft_wrap=True)
        raise typer.Exit(1) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"serflow {serflow.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Nothing but ``--version`` stands before a command."""


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A feature store, table, run, record: file or folder.")],
    plot: Annotated[Path | None, typer.Option(help="Draw it into this .png or .svg.")] = None,
    utterance: Annotated[str | None, typer.Option(help="One utterance of a feature store, transcripts or run.")] = None,
    projection: Annotated[
        Projection | None, typer.Option(help="How vectors get into the plane (default: pca).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what an artefact holds and how it was made, and draw it.

    serflow inspect results/features/mfb/emodb/clean --plot mfb.png
    """
    with _explained():
        if projection is not None and plot is None:
            raise SerflowError("--projection says how to draw vectors; give --plot FILE.png too")
        from serflow.inspection.describe import describe

        description = describe(path, utterance)
        if as_json:
            typer.echo(json.dumps(description.as_json(), indent=2, ensure_ascii=False))
        else:
            description.print(_console())
        if plot is not None:
            from serflow.inspection.plots import plot as draw

            draw(path, plot, utterance=utterance, projection=projection.value if projection else None)
            _console(stderr=as_json).print(f"figure: {plot}", markup=False, soft_wrap=True)


@app.command()
def listen(
    corpus: Annotated[str, typer.Argument(help="Name of the corpus.")],
    utterance: Annotated[list[str] | None, typer.Option(help="Which utterance; may be repeated.")] = None,
    emotion: Annotated[str | None, typer.Option(help="Choose among utterances of this emotion.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many to choose.")] = 3,
    profile: Annotated[list[str] | None, typer.Option(help="Noise profile; may be repeated (default: h1).")] = None,
    results: Annotated[Path, typer.Option(help="Folder that the workflow wrote.")] = Path("results"),
    out: Annotated[Path | None, typer.Option(help="Folder of the WAVs (default: RESULTS/listen/CORPUS).")] = None,
) -> None:
    """Write clean and noisy WAVs of a few utterances, 24-bit at 16 kHz, and say what is in them.

    serflow listen emodb --emotion anger --n 2 --profile h1 --profile h3
    """
    with _explained():
        from serflow.inspection.description import Table, print_table
        from serflow.inspection.listen import render

        if utterance and emotion:
            raise SerflowError("--utterance and --emotion: give one of them")
        folder = results / "listen" / corpus if out is None else out
        rendered = render(
            results, corpus, folder, utterances=utterance or (), emotion=emotion, n=n, profiles=profile or ("h1",)
        )
        headings = ["file", "emotion", "condition", "clip", "asked dB", "achieved dB", "s"]
        rows = [
            [
                row.file.name,
                row.emotion,
                row.condition,
                row.clip,
                row.requested_snr_db,
                row.achieved_snr_db,
                row.duration_s,
            ]
            for row in rendered
        ]
        print_table(_console(), Table(f"In {folder}", headings, rows))


@app.command()
def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders (default: all).")] = None,
) -> None:
    """Check every artefact against its digest, every store for missing shards, every score against its predictions.

    Leaves with status 1 if anything is damaged.
    """
    with _explained():
        from rich.markup import escape
        from rich.progress import track

        from serflow.inspection.damage import check_all, find
        from serflow.inspection.description import show_bytes

        found = find(paths or [Path("results"), *(path for path in [Path("resources")] if path.is_dir())])
        console = _console(stderr=True)
        quiet = not console.is_terminal
        checked = list(
            track(check_all(found), "checking", total=len(found), console=console, transient=True, disable=quiet)
        )
        bad = [entry for entry in checked if entry.fault is not None]
        for entry in bad:
            console.print(f"[red]{escape(entry.fault or '')}[/red]", soft_wrap=True)
        size = show_bytes(sum(entry.size for entry in checked))
        typer.echo(f"{len(checked) - len(bad)} of {len(checked)} are whole, {size} read")
        if bad:
            raise typer.Exit(1)


@app.command()
def fetch(
    corpora: Annotated[list[str] | None, typer.Argument(help="Their names (default: say what there is).")] = None,
    into: Annotated[Path, typer.Option(help="Folder that gets a folder for each.")] = Path("data"),
) -> None:
    """Download free corpora, check them and unpack them, and say what to write into a configuration.

    serflow fetch emodb ravdess esc50 --into data
    """
    with _explained():
        from serflow.downloads import SOURCES, config_lines, source_of
        from serflow.downloads import fetch as fetch_one
        from serflow.inspection.description import Table, print_table

        sources = {name: source_of(name) for name in corpora or SOURCES}
        rows = [
            [name, source.title, source.licence, source.page, source.size, source.checked_by().partition(":")[0]]
            for name, source in sources.items()
        ]
        headings = ["name", "corpus", "licence", "from", "bytes", "checked by"]
        print_table(_console(stderr=bool(corpora)), Table("Free corpora", headings, rows))
        if not corpora:
            return
        fetched = []
        for name, source in sources.items():
            fetched.append(fetch_one(name, into))
            done = fetched[-1]
            how = "fetched" if done.new else "there already"
            unchecked = "" if source.checked else "; no digest is published to hold it against: compare this one"
            _console(stderr=True).print(
                f"{done.root}: {how}, SHA-256 of the archive {done.sha256}{unchecked}", markup=False, soft_wrap=True
            )
        typer.echo(config_lines(fetched, into))


_Target = Annotated[str, typer.Argument(help="A file, a folder or a rule, as Snakemake takes it.")]
_Configfile = Annotated[
    list[Path] | None, typer.Option(help="Configuration over config.yaml, as Snakemake takes it; may be repeated.")
]
_Setting = Annotated[
    list[str] | None, typer.Option("--config", metavar="KEY=VALUE", help="A key over all files; may be repeated.")
]
_Directory = Annotated[Path, typer.Option(help="Folder that results are made in.")]
_Snakefile = Annotated[Path, typer.Option(help="That of serflow.")]


@app.command()
def forecast(
    target: _Target,
    configfile: _Configfile = None,
    setting: _Setting = None,
    directory: _Directory = Path(),
    snakefile: _Snakefile = Path("Snakefile"),
    whole: Annotated[bool, typer.Option("--all", help="As if nothing of it were there yet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what is left to do for a target and what it costs: jobs, core-hours, GPU-hours, memory, disk. Starts nothing.

    serflow forecast results/table1.csv --configfile mine.yaml
    """
    with _explained():
        from serflow.planning.asked import Asked
        from serflow.planning.forecast import as_json as to_json
        from serflow.planning.forecast import forecast as reckon
        from serflow.planning.told import tell

        asked = Asked(target, directory, snakefile, configfile or (), setting or ())
        plan, (works, costs) = asked.plan(*(["--forceall"] if whole else [])), asked.works_and_costs()
        found = reckon(plan.jobs, works, costs)
        if as_json:
            typer.echo(json.dumps(to_json(found), indent=2))
        else:
            tell(found, target, works.hours.told(), _console())
            for said in plan.not_there():
                _console(stderr=True).print(said, markup=False, soft_wrap=True)


@app.command()
def why(
    target: _Target,
    configfile: _Configfile = None,
    setting: _Setting = None,
    directory: _Directory = Path(),
    snakefile: _Snakefile = Path("Snakefile"),
) -> None:
    """Say what of a target is stale or missing, and because of what. Starts nothing.

    serflow why results/table1.csv
    """
    with _explained():
        from serflow.planning.asked import Asked
        from serflow.planning.stale import reasons

        asked = Asked(target, directory, snakefile, configfile or (), setting or ())
        plan = asked.plan()
        for sentence in [*reasons(plan, directory, target), *plan.not_there()]:
            typer.echo(sentence)


@app.command()
def doctor(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Corpora, studies, networks, esc50 or machine, in detail (default: all, on a page)."),
    ] = None,
    configfile: _Configfile = None,
    setting: _Setting = None,
    audio: Annotated[bool, typer.Option("--audio", help="Read all audio, and not its headers alone.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all details of all.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what is wrong with data, weights and machine and what is missing, before a run, and what to type.

    Leaves with status 1 if something would stop a run.

    serflow doctor --configfile mine.yaml
    """
    with _explained():
        from serflow.config import read_config
        from serflow.doctor.examine import examine
        from serflow.doctor.findings import Mark

        read, documents = read_config(configfile or (), setting or ())
        detailed = everything or bool(names)
        found = examine(read, documents, names or (), decode=audio, fold=not detailed)
        if as_json:
            typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
        else:
            from serflow.doctor.page import print_page

            print_page(_console(), found, details=detailed)
        if found.count(Mark.WRONG):
            raise typer.Exit(1)


@app.command()
def audit(
    folds: Annotated[
        Path, typer.Argument(help="CSV or TSV of utterance, role and fold; speaker, text, ... beside it.")
    ],
    utterances: Annotated[
        Path | None, typer.Option(help="CSV, or utterances.parquet of a corpus, that tells what the list does not.")
    ] = None,
    names: Annotated[str | None, typer.Option(help="Corpus by whose file names speakers are told.")] = None,
    near: Annotated[
        Path | None,
        typer.Option(
            help="Pairs of the same recording, utterance and other: results/audit/near_duplicates/CORPUS.csv."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what training, validation and test of a list of folds share, whoever made it, and what is odd about it.

    Leaves with status 1 if speakers or recordings are in two sets, or the list contradicts what is known.

    serflow audit folds.csv --names iemocap
    """
    with _explained():
        from serflow.audit.fold_lists import audit_list, read_list, read_pairs, read_utterances
        from serflow.audit.naming import naming_of

        found = audit_list(
            read_list(folds),
            read_utterances(utterances) if utterances else None,
            naming_of(names) if names else None,
            read_pairs(near) if near else (),
            folds.name,
        )
        if as_json:
            typer.echo(json.dumps([finding._asdict() for finding in found.findings], indent=2, ensure_ascii=False))
        else:
            from serflow.inspection.description import Table, print_table

            sizes = [[fold.name, *(fold.sizes[role] for role in ("train", "val", "test"))] for fold in found.folds]
            print_table(_console(), Table(folds.name, ["fold", "train", "val", "test"], sizes))
            for finding in found.findings:
                mark = "[red]wrong[/red]" if finding.wrong else "know "
                _console().print(f"{mark} {finding.fold}: ", end="", soft_wrap=True)
                _console().print(finding.said, markup=False, soft_wrap=True)
            if not found.findings:
                typer.echo("nothing is shared of what is known")
        if found.wrong:
            raise typer.Exit(1)


@app.command()
def cite(
    target: Annotated[str, typer.Argument(help="A file or folder of the results, a study, corpus, feature, network.")],
    configfile: _Configfile = None,
) -> None:
    """Print BibTeX of the paper, corpora, noises, networks and tools behind a target.

    serflow cite results/table1.csv > table1.bib
    """
    with _explained():
        from serflow.citations import cite as cite_target
        from serflow.config import read_config

        found = cite_target(target, read_config(configfile or ())[0])
        typer.echo("\n\n".join(found.entries.values()))
        for remark in found.remarks:
            _console(stderr=True).print(remark, markup=False, soft_wrap=True)


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="Folder of results, or what was exported.")],
    other: Annotated[Path, typer.Argument(help="Another.")],
) -> None:
    """Say where two results first diverge: corpora, rejected files, noise, features, splits, options, code, scores.

    serflow compare results ../other/results
    """
    with _explained():
        from serflow.exchange.compare import compare as compare_trees

        for sentence in compare_trees(one, other):
            typer.echo(sentence)


@app.command()
def merge(
    trees: Annotated[list[Path], typer.Argument(help="Folders of results, or what was exported; the first counts.")],
    into: Annotated[Path, typer.Option(help="Folder that gets the tables and a list of cells.")] = Path("merged"),
    configfile: _Configfile = None,
    setting: _Setting = None,
) -> None:
    """Make the tables of several labs' runs, with the origin of each cell.

    serflow merge ours/results theirs --into merged
    """
    with _explained():
        from serflow.config import read_config
        from serflow.exchange.merge import merge as merge_trees

        plans = read_config(configfile or (), setting or ())[0].plans()
        layouts = {
            name: {table: plan.layout(table) for tables in plan.tables for table in tables}
            for name, plan in plans.items()
        }
        *tables, cells = merge_trees(trees, layouts, into)
        for path in (*tables, cells):
            typer.echo(path)
        if not tables:
            raise SerflowError(
                f"no table of this configuration has one of these runs ({cells} lists them); give the configuration "
                "that they were made with: --configfile"
            )


@app.command()
def export(
    into: Annotated[Path, typer.Argument(help="Folder to be made.")],
    study: Annotated[list[str] | None, typer.Option(help="Which study; may be repeated (default: all).")] = None,
    results: Annotated[Path, typer.Option(help="Folder that the workflow wrote.")] = Path("results"),
    snakefile: _Snakefile = Path("Snakefile"),
) -> None:
    """Pack what licences allow as a Workflow Run RO-Crate: fold lists, predictions, scores, tables; no audio, no words.

    serflow export shared --study dlc
    """
    with _explained():
        from serflow.config import check_config
        from serflow.exchange.export import METADATA
        from serflow.exchange.export import export as export_crate
        from serflow.settings.base import unknown

        known = list(check_config({}).plans())
        for name in study or ():
            if name not in known:
                raise SerflowError(unknown(f"--study: {name!r} is no study", name, known))
        there = [name for name in known if (results / "runs" / name).is_dir()]
        files = export_crate(results, into, snakefile, study or there or known)
        typer.echo(f"{into / METADATA}: {len(files)} files; no audio, no words")


def main() -> None:
    """Run the command line; the entry point of ``serflow``."""
    app(prog_name="serflow")


if __name__ == "__main__":
    main()
