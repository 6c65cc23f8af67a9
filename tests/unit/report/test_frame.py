import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Patch

from serflow.report.frame import Margins, Words, framed
from serflow.report.marks import provenance_marks
from serflow.runs.provenance import Provenance

MARGINS = Margins(left=1.0, right=0.5, top=1.0, bottom=0.6)
MARKS = ["synthetic corpus", "STAND-IN weights"]


def frame(words, shape=(1, 1), inner=(5.0, 3.0), gaps=(0.5, 0.5), **options):
    return framed(words, shape, inner, MARGINS, gaps, **options)


def texts(figure):
    return {text.get_text(): text for text in figure.texts}


def places(figure, axes):
    """Left, right, bottom and top of panels in inches."""
    width, height = figure.get_size_inches()
    box = axes.get_position()
    return [box.x0 * width, box.x1 * width, box.y0 * height, box.y1 * height]


def test_panels_lie_within_the_margins_with_gaps_between_them():
    figure, axes = frame(Words("Title"), (2, 2), width_ratios=(1, 2))
    assert tuple(figure.get_size_inches()) == pytest.approx((6.5, 4.6))
    assert places(figure, axes[0, 0]) == pytest.approx([1.0, 2.5, 2.35, 3.6])
    assert places(figure, axes[1, 1]) == pytest.approx([3.0, 6.0, 0.6, 1.85])


def test_what_is_written_makes_room_for_itself():
    handles = [Patch(label=str(number)) for number in range(5)]
    note = "word " * 60
    bare, _ = frame(Words("Title"))
    figure, axes = frame(Words("Title", handles=handles, note=note))
    lines = max(texts(figure), key=len).count("\n") + 1
    assert lines > 2
    grown = figure.get_size_inches()[1] - bare.get_size_inches()[1]
    # five entries of 1.6 inches need two lines in 5 inches
    assert grown == pytest.approx(2 * 0.2 + 0.16 * lines)
    assert places(figure, axes[0, 0])[3] - places(figure, axes[0, 0])[2] == pytest.approx(3.0)


def test_marks_stand_beside_a_short_title_and_below_a_long_one():
    beside, _ = frame(Words("Short", marks=MARKS))
    below, _ = frame(Words("A title that leaves no room beside it", marks=MARKS, subtitle="More"))
    said = "synthetic corpus · STAND-IN weights"
    mark = texts(beside)[said]
    assert mark.get_ha() == "right"
    assert mark.get_position()[1] > 1 - 0.3 / beside.get_size_inches()[1]
    mark = texts(below)[said]
    assert mark.get_ha() == "left"
    assert mark.get_position()[1] < texts(below)["More"].get_position()[1]
    assert below.get_size_inches()[1] == pytest.approx(beside.get_size_inches()[1] + 0.2)


def test_long_titles_break_after_the_points_between_names():
    figure, _ = frame(Words(" · ".join(["a_name_of_some_length"] * 3)))
    (title,) = texts(figure)
    assert title == "a_name_of_some_length · a_name_of_some_length ·\na_name_of_some_length"


@pytest.mark.parametrize(
    "words", [Words("Short", marks=MARKS), Words("word " * 20, "Sub", MARKS), Words("WWWW " * 10, note="MMMM " * 60)]
)
def test_nothing_in_the_heading_overlaps_or_leaves_the_figure(words):
    figure, axes = frame(words._replace(handles=[Patch(label="one"), Patch(label="two")]))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [thing.get_window_extent(renderer) for thing in [*figure.texts, *figure.legends, axes[0, 0]]]
    assert len(boxes) >= 3
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_marks_name_each_kind_of_stand_in_once():
    found = Provenance({"weights": ("ge2e",), "corpus": ("iemocap", "mosei"), "noise": ()}, partial=("emodb",))
    assert provenance_marks(found) == [*MARKS, "partial"]
    noise = found._replace(partial=("ESC-50",))
    assert provenance_marks(noise) == [*MARKS, "partial noise"]
    assert provenance_marks(noise._replace(partial=("emodb", "ESC-50"))) == [*MARKS, "partial", "partial noise"]
    assert provenance_marks(found._replace(raised_db=(25.0,))) == [*MARKS, "SNR +25 dB", "partial"]
    assert provenance_marks(Provenance()) == []
