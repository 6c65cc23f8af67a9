"""Pictures of artefacts: spectrograms, vectors in a plane, labels of a corpus, noise levels, training curves."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from serflow.errors import StoreError
from serflow.files import atomic_path
from serflow.inspection.examples import choose, emotion_rank, read_labels
from serflow.inspection.kinds import FEATURE_KINDS, RUN, kind_of
from serflow.inspection.paths import require_path, utterance_table
from serflow.inspection.run_plots import draw_confusion, draw_history, draw_utterance
from serflow.report.frame import Margins, Words, framed
from serflow.report.marks import PARTIAL, PARTIAL_NOISE, STAND_INS
from serflow.report.scatter import TITLES, Projection, add_legend, draw_points, looks_of, project
from serflow.report.style import COLOURS, FAINT, INK, figure_style, save_svg
from serflow.stores.features import FeatureStore
from serflow.stores.frames import FloatArray
from serflow.stores.parquet import check, count_rows, read_table
from serflow.stores.vectors import VECTORS_KIND

_N_PANELS = 9
_MAX_POINTS = 5000
_MAX_SPEAKERS = 30
_LINES_BELOW = 4
"""Frames of fewer columns are drawn as lines, not as an image."""
_DPI = 150
_MARGINS = Margins(left=0.85, right=0.4, top=1.15, bottom=0.65)
_INDENT = 0.5


def plot(path: Path, file: Path, *, utterance: str | None = None, projection: Projection | None = None) -> None:
    """Draw an artefact into ``file``, PNG or SVG by its suffix; the same artefact gives the same SVG.

    Parameters
    ----------
    path
        A feature store, an utterance table, a noise plan, or a run.
    file
        Where the figure goes.
    utterance
        Draw this utterance of a store of frames alone, large; of a run, what its network says of it over time.
    projection
        How vectors get into the plane: ``pca`` (default) or ``tsne``.

    Raises
    ------
    StoreError
        If there is no picture of such an artefact, or it is damaged.
    """
    if file.suffix not in (".png", ".svg"):
        raise StoreError(f"--plot {file}: a figure is .png or .svg")
    kind = kind_of(require_path(path))
    if kind not in FEATURE_KINDS and projection:
        raise StoreError(f"{path}: holds {kind}; --projection goes with a store of features")
    if kind not in (*FEATURE_KINDS, RUN) and utterance is not None:
        raise StoreError(f"{path}: holds {kind}; --plot --utterance goes with a store of features or a run")
    if kind not in FEATURE_KINDS and kind not in _DRAWERS:
        raise StoreError(f"{path}: no picture for {kind}; there are some for features, {', '.join(_DRAWERS)}")
    with figure_style():
        if kind in FEATURE_KINDS:
            figure = _draw_features(FeatureStore.open(path), utterance, projection)
        elif utterance is not None:
            figure = draw_utterance(path, utterance)
        else:
            figure = _DRAWERS[kind](path)
        if file.suffix == ".svg":
            with atomic_path(file) as temporary:
                save_svg(figure, temporary)
        else:
            with atomic_path(file) as temporary:
                figure.savefig(temporary, format="png", dpi=_DPI, facecolor="white", metadata={"Software": "serflow"})


def _store_marks(metadata: Mapping[str, Any]) -> list[str]:
    return [STAND_INS[what] for what in metadata.get("stand_ins", ())]


def _store_title(store: FeatureStore) -> str:
    return " · ".join(str(store.metadata.get(key) or "?") for key in ("feature", "corpus", "condition"))


# Frames


def _draw_features(store: FeatureStore, utterance: str | None, projection: Projection | None) -> Figure:
    if not store.n_utterances:
        raise StoreError(f"{store.path}: holds no utterance to draw")
    if store.kind == VECTORS_KIND:
        if utterance is not None:
            raise StoreError(f"{store.path}: holds vectors; --plot --utterance draws frames over time")
        return _draw_vectors(store, projection or "pca")
    if projection is not None:
        raise StoreError(f"{store.path}: holds frames; --projection is for vectors")
    table = utterance_table(store.path, store.metadata.get("corpus"))
    names = store.utterances()
    labels = read_labels(table) if table is not None else []
    headings = {e.utterance: f"{e.utterance} · {e.emotion or 'no label'}" for e in labels}
    if utterance is not None:
        return _draw_frames(store, {headings.get(utterance, utterance): store.read(utterance)})
    chosen = [entry.utterance for entry in choose(labels, _N_PANELS, set(names))]
    if not chosen:
        steps = np.linspace(0, len(names) - 1, min(_N_PANELS, len(names))).astype(int)
        chosen = [names[step] for step in steps]
    return _draw_frames(store, {headings.get(name, name): store.read(name).copy() for name in chosen})


def _draw_frames(store: FeatureStore, panels: Mapping[str, FloatArray]) -> Figure:
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    large = len(panels) == 1
    metadata = store.metadata
    bits = f", mantissa {metadata['mantissa_bits']} bits" if metadata.get("mantissa_bits") else ""
    columns_text = "one column" if store.dim == 1 else f"{store.dim} columns"
    rate = f"every {1000 * store.hop_s:g} ms" if store.hop_s else "a token"
    subtitle = f"{columns_text} {rate}, {metadata.get('units')}{bits}"
    as_lines = store.dim < _LINES_BELOW
    margins = _MARGINS._replace(right=0.45 if as_lines else 1.25)
    width = 9.5 if large else max(3.3 * columns + 1.2, 6.6)
    figure, axes = framed(
        Words(_store_title(store), subtitle, _store_marks(metadata), indent=_INDENT),
        (rows, columns),
        (width - margins.left - margins.right, 2.8 if large else 1.9 * rows + 0.3),
        margins,
        sharey=True,
        sharex=True,
    )
    longest = max(len(frames) for frames in panels.values()) * (store.hop_s or 1)
    colours, map_name = _colour_scale(list(panels.values()), str(metadata.get("units")))
    image = None
    for axis, (heading, frames) in zip(axes.flat, panels.items(), strict=False):
        axis.set_title(heading, fontsize=8.5, pad=4)
        if as_lines:
            _draw_lines(axis, frames, store.hop_s or 1)
        else:
            image = axis.imshow(
                frames.T, origin="lower", aspect="auto", interpolation="nearest", cmap=map_name, norm=colours,
                extent=(0, len(frames) * (store.hop_s or 1), 0, store.dim), rasterized=True,
            )  # fmt: skip
            axis.set_facecolor("#f4f4f4")
            axis.grid(False)
        axis.set_xlim(0, longest)
        axis.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(str(metadata.get("units")) if as_lines else _row_label(metadata), color=FAINT)
    for position in range(columns):
        lowest = axes[(len(panels) - 1 - position) // columns, position]
        lowest.set_xlabel("time (s)" if store.hop_s else "token", color=FAINT)
        lowest.tick_params(labelbottom=True)
    if image is not None:
        width, height = figure.get_size_inches()
        bar = figure.add_axes((1 - 1.0 / width, 0.65 / height, 0.14 / width, 1 - 1.8 / height))
        figure.colorbar(image, cax=bar, extend="both")
        bar.set_ylabel(str(metadata.get("units")), color=FAINT)
        bar.grid(False)
    return figure


def _draw_lines(axis: Axes, frames: FloatArray, hop_s: float) -> None:
    times = np.arange(len(frames)) * hop_s
    for column, values in enumerate(frames.T):
        axis.plot(times, values, color=COLOURS[column], linewidth=1.1, drawstyle="steps-post")


def _row_label(metadata: Mapping[str, Any]) -> str:
    parameters = metadata.get("parameters") or {}
    for key, label in (("n_mfcc", "coefficient"), ("n_mels", "mel band")):
        if parameters.get(key):
            return label if metadata["dim"] == parameters[key] else "column"
    return "column"


def _colour_scale(arrays: Sequence[FloatArray], units: str) -> tuple[Normalize, str]:
    """Return one scale for all panels: 1st to 99th percentile, symmetric about 0 for values of either sign."""
    sample = np.concatenate([frames.ravel()[:: max(1, frames.size // 50_000)] for frames in arrays])
    low, high = (float(x) for x in np.percentile(sample, [1, 99]))
    if high <= low:
        low, high = low - 1, high + 1
    logarithmic = units.lower().startswith(("ln", "log", "db"))
    if not logarithmic and low < 0 < high and min(-low, high) > 0.25 * max(-low, high):
        reach = max(-low, high)
        return Normalize(-reach, reach), "RdBu_r"
    return Normalize(low, high), "magma"


# Vectors


def _draw_vectors(store: FeatureStore, projection: Projection) -> Figure:
    names, values = store.vectors()
    table = utterance_table(store.path, store.metadata.get("corpus"))
    emotions = {} if table is None else {entry.utterance: entry.emotion for entry in read_labels(table)}
    keep = np.unique(np.linspace(0, len(names) - 1, min(len(names), _MAX_POINTS)).astype(int))
    plane = project(values[keep], projection)
    if plane.fault is not None:
        raise StoreError(f"{store.path}: {plane.fault}; --projection pca draws any")
    labels = [emotions.get(names[row]) for row in keep]
    figure, ((histogram, axes),) = framed(
        Words(
            _store_title(store),
            f"{len(names):,} utterances, {store.dim} values each, {store.metadata.get('units')}",
            _store_marks(store.metadata),
            note=f"{plane.words}{f', of {len(names):,}' if len(keep) < len(names) else ''}.",
            indent=_INDENT,
        ),
        (1, 2),
        (7.55, 3.4),
        _MARGINS._replace(right=2.0),
        (0.95, 0.0),
        width_ratios=(1, 1.55),
    )
    low, high = np.percentile(values, [0.1, 99.9])
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    histogram.hist(np.clip(values.ravel(), low, high), bins=60, color=COLOURS[0], alpha=0.85)
    histogram.set_title("Values")
    histogram.set_xlabel(str(store.metadata.get("units")), color=FAINT)
    histogram.set_ylabel("count", color=FAINT)
    looks = looks_of(labels)
    draw_points(axes, plane.points, labels, looks)
    axes.set_title(TITLES[projection])
    axes.set_xlabel(plane.axes[0], color=FAINT)
    axes.set_ylabel(plane.axes[1], color=FAINT)
    add_legend(axes, looks, Counter(labels))
    return figure


# Tables


def _draw_utterances(path: Path) -> Figure:
    metadata = check(_only(path))
    table = read_table(_only(path), columns=["emotion", "speaker", "gender", "duration_s"]).to_pydict()
    emotions = sorted(set(table["emotion"]), key=emotion_rank)
    n = len(table["emotion"])
    if not n:
        raise StoreError(f"{path}: holds no utterance to draw")
    hours = sum(table["duration_s"]) / 3600
    subtitle = f"{n:,} utterances, {hours:.2f} h, {len(set(table['speaker']))} speakers"
    marks = [STAND_INS["corpus"]] * bool(metadata.get("synthetic")) + [PARTIAL] * bool(metadata.get("partial"))
    figure, ((bars, lengths, speakers),) = framed(
        Words(str(metadata.get("title")), subtitle, marks, indent=_INDENT),
        (1, 3),
        (10.55, 0.1 + 0.36 * max(6, len(emotions))),
        _MARGINS._replace(left=1.15, right=0.5),
        (0.35, 0.0),
        width_ratios=(1, 0.8, 1.3),
        sharey=True,
    )
    places = np.arange(len(emotions))
    genders = sorted({g for g in table["gender"] if g}) or [None]
    counts = Counter(zip(table["emotion"], table["gender"], strict=True))
    left = np.zeros(len(emotions))
    groups = genders if None in genders or None not in table["gender"] else [*genders, None]
    for position, gender in enumerate(groups):
        width = np.array([counts[emotion, gender] for emotion in emotions], dtype=float)
        bars.barh(places, width, left=left, height=0.7, color=_shade(position), label=gender or "not given")
        left += width
    for place, total in zip(places, left, strict=True):
        bars.annotate(
            f"{total:,.0f}", (total, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
        )
    bars.set_yticks(places, [emotion or "(no label)" for emotion in emotions])
    bars.set_title("Utterances")
    bars.margins(x=0.14)
    if len(groups) > 1:
        bars.legend(loc="upper left", bbox_to_anchor=(0.0, -0.05), ncols=3, fontsize=8, handlelength=1)
    by_emotion = [[d for d, e in zip(table["duration_s"], table["emotion"], strict=True) if e == x] for x in emotions]
    lengths.boxplot(
        by_emotion, positions=places, orientation="horizontal", widths=0.55, showfliers=False, whis=(5, 95),
        manage_ticks=False, patch_artist=True, boxprops={"facecolor": "#cfe3f1", "edgecolor": COLOURS[0]},
        medianprops={"color": COLOURS[0], "linewidth": 1.6}, whiskerprops={"color": COLOURS[0]},
        capprops={"color": COLOURS[0]},
    )  # fmt: skip
    lengths.set_title("Duration (s), 5-95 %")
    _draw_speakers(speakers, emotions, list(zip(table["speaker"], table["emotion"], strict=True)))
    bars.set_ylim(len(emotions) - 0.5, -0.5)
    for axis in (bars, lengths):
        axis.grid(True, axis="x")
        axis.grid(False, axis="y")
    return figure


def _draw_speakers(axis: Axes, emotions: list[Any], pairs: list[tuple[str, Any]]) -> None:
    """Draw how many utterances of each emotion a speaker has, the most talkative speakers."""
    all_speakers = Counter(speaker for speaker, _ in pairs)
    names = [name for name, _ in sorted(all_speakers.items(), key=lambda item: (-item[1], item[0]))][:_MAX_SPEAKERS]
    counts = Counter(pairs)
    grid = np.array([[counts[name, emotion] for name in sorted(names)] for emotion in emotions])
    axis.imshow(grid, aspect="auto", cmap="Blues", vmin=0, vmax=max(1, grid.max()), interpolation="nearest")
    axis.grid(False)
    if grid.size <= 160:
        for (row, column), count in np.ndenumerate(grid):
            dark = count > 0.6 * grid.max()
            axis.text(column, row, f"{count}", ha="center", va="center", fontsize=7, color="white" if dark else INK)
    axis.set_xticks(range(len(names)), sorted(names), rotation=90 if max(map(len, names)) > 3 else 0, fontsize=7)
    more = f" (the {_MAX_SPEAKERS} with most of {len(all_speakers):,})" if len(all_speakers) > _MAX_SPEAKERS else ""
    axis.set_title(f"By speaker{more}")


def _shade(position: int) -> str:
    return (COLOURS[0], COLOURS[4], "#b5b5b5")[position] if position < 3 else COLOURS[position % len(COLOURS)]


def _draw_plan(path: Path) -> Figure:
    metadata = check(_only(path))
    rows = read_table(_only(path)).to_pylist()
    if not rows:
        raise StoreError(f"{path}: holds no utterance to draw")
    marks = [STAND_INS["noise"]] * bool(metadata.get("synthetic_clips"))
    marks += [PARTIAL_NOISE] * bool(metadata.get("clip_warnings"))
    subtitle = f"{len(rows):,} utterances, mixing: {metadata.get('mixing')}; dashed: the levels asked for"
    conditions = sorted({row["condition"] for row in rows})
    title = f"Noise of {metadata.get('corpus')}, profile {metadata.get('profile')}"
    achieved = np.array([row["achieved_snr_db"] for row in rows])
    off = achieved - np.array([row["snr_db"] for row in rows])
    groups = [np.array([row["condition"] == condition for row in rows]) for condition in conditions]
    asked = {condition: sorted({r["snr_db"] for r in rows if r["condition"] == condition}) for condition in conditions}
    labels = [
        f"{condition}: {mine.sum():,} at {', '.join(f'{level:g}' for level in asked[condition])} dB"
        for condition, mine in zip(conditions, groups, strict=True)
    ]
    figure, ((levels, errors),) = framed(
        Words(
            title,
            subtitle,
            marks,
            [Patch(color=COLOURS[i], label=label) for i, label in enumerate(labels)],
            indent=_INDENT,
        ),
        (1, 2),
        (8.35, 2.2),
        _MARGINS,
        (0.8, 0.0),
        legend_entry=2.6,
        legend_handle=1.0,
    )
    for axis, values, heading in ((levels, achieved, "Achieved SNR"), (errors, off, "Achieved - requested")):
        reach = max(1.0, float(np.ptp(values)))
        low, high = (float(values.min() + values.max()) / 2 + sign * 0.55 * reach for sign in (-1, 1))
        axis.hist(
            [values[mine] for mine in groups], bins=np.linspace(low, high, 48), stacked=True,
            color=[COLOURS[position] for position in range(len(conditions))],
        )  # fmt: skip
        axis.set_title(heading)
        axis.set_xlabel("dB", color=FAINT)
        axis.set_ylabel("utterances", color=FAINT)
        axis.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    for level in sorted({level for found in asked.values() for level in found}):
        levels.axvline(level, color=INK, linestyle=(0, (4, 2)), linewidth=1.2)
    return figure


def _only(path: Path) -> Path:
    """Return the one Parquet file of a folder, or the file itself."""
    if path.is_file():
        return path
    files = [file for file in sorted(path.glob("*.parquet")) if not file.name.startswith(".")]
    wanted = [file for file in files if count_rows(file) and file.stem == "utterances"]
    if len(files) != 1 and not wanted:
        raise StoreError(f"{path}: holds {len(files)} tables; give one of {', '.join(file.name for file in files)}")
    return wanted[0] if wanted else files[0]


_DRAWERS: dict[str, Callable[[Path], Figure]] = {
    "utterances": _draw_utterances,
    "noise_plan": _draw_plan,
    RUN: draw_history,
    "history": draw_history,
    "predictions": draw_confusion,
}
