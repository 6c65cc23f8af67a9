import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

from serflow.report.scatter import Panel, add_legend, draw_scatter, looks_of, project, scatter_table
from serflow.report.style import EMOTION_STYLES, figure_style, look_at, save_svg

N = 40
EMOTIONS = [["anger", "sadness"][i % 2] for i in range(N)]
SPEAKERS = [f"s{i % 5}" for i in range(N)]
NAMES = [f"u{i}" for i in range(N)]


def vectors(n=N, dim=6, seed=0):
    """Two clusters, ten apart in the first dimension."""
    generator = np.random.default_rng(seed)
    found = generator.standard_normal((n, dim)).astype(np.float32)
    found[::2, 0] += 10
    return found


def panel(plane, by="emotion", **more):
    return Panel(f"By {by}", plane, by, {"emotion": EMOTIONS, "speaker": SPEAKERS}[by], NAMES)._replace(**more)


def draw(panels, **more):
    with figure_style():
        return draw_scatter(panels, title="Embeddings", **more)


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.texts]


def legend(axes):
    return None if axes.get_legend() is None else [text.get_text() for text in axes.get_legend().get_texts()]


def test_principal_components_are_the_directions_of_most_variance():
    plane = project(vectors(), "pca")
    centred = vectors().astype(float) - vectors().mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(plane.points) == pytest.approx(np.abs(centred @ directions[:2].T), abs=1e-5)
    shares = 100 * values**2 / (values**2).sum()
    assert plane.axes == (f"PC 1 ({shares[0]:.0f} % of variance)", f"PC 2 ({shares[1]:.0f} %)")
    assert plane.words == "Principal components of 40 vectors of 6 values"


def test_principal_components_have_a_sign_of_their_own():
    generator = np.random.default_rng(1)
    base = generator.standard_normal((N, 6)) * [9, 5, 1, 1, 1, 1]
    points = project(base, "pca").points
    # the axes are the first two dimensions; each points where its dimension grows
    assert np.corrcoef(points[:, 0], base[:, 0])[0, 1] > 0.9
    assert np.corrcoef(points[:, 1], base[:, 1])[0, 1] > 0.9


def test_tsne_keeps_clusters_apart():
    points = project(vectors(), "tsne").points
    middle = {e: points[np.array(EMOTIONS) == e].mean(axis=0) for e in set(EMOTIONS)}
    own = [np.linalg.norm(point - middle[e]) for point, e in zip(points, EMOTIONS, strict=True)]
    other = [np.linalg.norm(point - middle[{"anger": "sadness", "sadness": "anger"}[e]])
             for point, e in zip(points, EMOTIONS, strict=True)]  # fmt: skip
    assert np.all(np.array(own) < np.array(other))


@pytest.mark.parametrize(("n", "perplexity"), [(4, "1"), (40, "13"), (200, "30")])
def test_perplexity_is_capped_by_the_number_of_vectors(n, perplexity):
    plane = project(vectors(n), "tsne")
    assert plane.words == f"t-SNE of {n} vectors of 6 values, perplexity {perplexity}"
    assert np.isfinite(plane.points).all()


def test_another_process_gets_the_same_points_and_imports_scikit_learn_for_tsne_alone():
    code = f"""if True:
        import sys
        import numpy as np
        from serflow.report.scatter import project
        generator = np.random.default_rng(0)
        found = generator.standard_normal(({N}, 6)).astype(np.float32)
        found[::2, 0] += 10
        print(project(found, "pca").points.tobytes().hex(), "sklearn" in sys.modules)
        print(project(found, "tsne").points.tobytes().hex(), "sklearn" in sys.modules)"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = [project(vectors(), projection).points.tobytes().hex() for projection in ("pca", "tsne")]
    assert printed.split() == [ours[0], "False", ours[1], "True"]


def test_tsne_starts_from_the_components_whatever_the_state_of_the_generator():
    np.random.seed(0)  # noqa: NPY002
    first = project(vectors(), "tsne").points
    np.random.seed(1)  # noqa: NPY002
    assert np.array_equal(project(vectors(), "tsne").points, first)


def test_vectors_of_one_value_lie_on_a_line():
    for projection in ("pca", "tsne"):
        points = project(vectors(dim=1), projection).points
        assert np.ptp(points[:, 0]) > 1
        assert np.all(points[:, 1] == 0)


@pytest.mark.parametrize(
    ("given", "projection", "fault"),
    [
        (np.zeros((0, 3)), "pca", "no vectors"),
        (np.eye(3), "tsne", "t-SNE needs 4 vectors, there are 3"),
        (np.ones((5, 3)), "tsne", "t-SNE needs vectors that differ, all 5 are alike"),
        (np.array([[1.0, np.nan], [1, 2]]), "pca", "1 of 2 vectors hold NaN or infinite values"),
    ],
)
def test_what_cannot_be_projected_is_a_sentence(given, projection, fault):
    plane = project(given, projection)
    assert plane.fault == fault
    assert plane.points.shape == (len(given), 2)
    assert np.isnan(plane.points).all()


def test_the_sentence_stands_in_the_panel_and_the_others_are_drawn():
    few = panel(project(np.eye(3), "tsne"), heading="few", groups=["anger", "fear", "fear"], names=NAMES[:3])
    figure = draw([panel(project(vectors(), "tsne")), few])
    first, second = figure.axes
    assert len(first.collections) == 2
    assert legend(second) == ["anger", "sadness"]
    assert not second.collections
    assert [text.get_text().replace("\n", " ") for text in second.texts] == ["t-SNE needs 4 vectors, there are 3"]
    table = scatter_table([few])
    assert len(table) == 3
    assert table["x"].isna().all()


def test_panels_of_one_plane_show_the_same_points():
    plane = project(vectors(), "tsne")
    figure = draw([panel(plane), panel(plane, "speaker")])
    shown = [np.vstack([group.get_offsets() for group in axes.collections]) for axes in figure.axes]
    assert np.array_equal(np.sort(shown[0], axis=0), np.sort(shown[1], axis=0))
    assert [axes.get_xlim() for axes in figure.axes[:1]] == [axes.get_xlim() for axes in figure.axes[1:]]
    assert [legend(axes) for axes in figure.axes] == [["anger", "sadness"], ["s0", "s1", "s2", "s3", "s4"]]


def test_a_few_groups_can_be_shown_in_the_limits_of_all():
    plane = project(vectors(), "pca")
    figure = draw([panel(plane), panel(plane, only=["sadness"]), panel(plane, "speaker", only=["s1", "s3"])])
    every, corner, some = figure.axes
    assert sum(len(group.get_offsets()) for group in some.collections) == 16
    assert legend(some) == ["s1", "s3"]
    for axes in (corner, some):
        assert axes.get_xlim() == every.get_xlim()
        assert axes.get_ylim() == every.get_ylim()
    assert set(scatter_table([panel(plane, "speaker", only=["s1", "s3"])])["group"]) == {"s1", "s3"}


def test_panels_coloured_by_the_same_have_one_legend_and_the_same_colours():
    planes = [project(vectors(seed=seed), "pca") for seed in range(3)]
    figure = draw([panel(planes[0]), panel(planes[1], groups=["sadness"] * N), panel(planes[2])])
    assert [legend(axes) for axes in figure.axes] == [None, None, ["anger", "sadness"]]
    colours = [
        {to_hex(group.get_facecolor()[0]) for group in axes.collections if len(group.get_offsets())}
        for axes in figure.axes
    ]
    anger, sadness = (EMOTION_STYLES[emotion]["color"].lower() for emotion in ("anger", "sadness"))
    assert colours == [{anger, sadness}, {sadness}, {anger, sadness}]


def test_the_figure_says_what_it_shows():
    plane = project(vectors(), "tsne")
    said = texts(draw([panel(plane)], subtitle="EmoDB", note="Run 0.", marks=["x"]))
    assert said == ["Embeddings", "EmoDB", "x", "Run 0. t-SNE of 40 vectors of 6 values, perplexity 13."]
    two = draw([panel(plane), panel(project(vectors(20), "pca"), heading="b", groups=EMOTIONS[:20], names=NAMES[:20])])
    assert texts(two)[-1] == (
        "By emotion: t-SNE of 40 vectors of 6 values, perplexity 13. b: Principal components of 20 vectors of 6 values."
    )


def test_the_table_has_what_the_figure_shows():
    plane = project(vectors(), "pca")
    table = scatter_table([panel(plane), panel(plane, "speaker", groups=[*SPEAKERS[:-1], None])])
    assert list(table.columns) == ["panel", "name", "by", "group", "x", "y"]
    assert len(table) == 2 * N
    assert table.iloc[1][["panel", "name", "by", "group"]].tolist() == ["By emotion", "u1", "emotion", "sadness"]
    assert table[["x", "y"]].to_numpy()[N:] == pytest.approx(plane.points)


def test_looks_are_of_emotions_where_all_groups_are_such():
    looks = looks_of(["sadness", "anger", None])
    assert list(looks) == ["anger", "sadness", None]
    assert looks["anger"] == EMOTION_STYLES["anger"]
    assert looks_of(["sadness", "furious"]) == {"furious": look_at(0).points, "sadness": look_at(1).points}
    assert list(looks_of(["s10", "s9", "s1"])) == ["s1", "s9", "s10"]
    assert len({str(look_at(position).points) for position in range(36)}) == 36


def test_legends_of_very_many_groups_are_cut_and_say_so():
    figure = draw([panel(project(vectors(), "pca"), groups=[f"s{i}" for i in range(N)])])
    found = legend(figure.axes[0])
    assert len(found) == 14
    assert found[-2:] == ["s12", "and 27 more"]
    with figure_style():
        add_legend(figure.axes[0], looks_of(["anger", None]), {"anger": 3, None: 1})
    assert legend(figure.axes[0]) == ["anger (3)", "no label (1)"]


def test_same_vectors_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        with figure_style():
            save_svg(draw([panel(project(vectors(), "tsne"))]), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
