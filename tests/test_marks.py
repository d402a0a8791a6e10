"""What can be drawn on a picture: shapes found in gold answers, and brought into fractions by the picture alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.core.marks import Line, Mark, Mask, all_drawn, drawn, marks_in
from saccade.core.picture import Box, Frame, Labelled, Picture, Point

PLAIN = Picture.of(PIL.Image.new("RGB", (200, 100)))
SEEN = PLAIN.seen_at((100, 50))


def unrolled(mask: Mask) -> np.ndarray:
    """The array that the run lengths say."""
    inside = [bool(turn % 2) for turn, count in enumerate(mask.counts) for _ in range(count)]
    return np.array(inside, dtype=bool).reshape(mask.size)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**49 - 1))
def test_run_lengths_say_the_mask_again(height, width, bits):
    mask = np.array([bits >> i & 1 for i in range(height * width)]).reshape(height, width)
    told = Mask.of(mask * 255)
    assert told.size == (height, width) and sum(told.counts) == height * width
    assert (unrolled(told) == mask.astype(bool)).all()
    assert all(told.counts[1:]), "a run of no pixels anywhere but at the beginning"


def test_run_lengths_go_row_by_row_and_begin_outside():
    assert Mask.of(np.array([[0, 1, 1], [1, 0, 0]])) == Mask(size=(2, 3), counts=(1, 3, 2))
    assert Mask.of(np.array([[1, 0]])).counts == (0, 1, 1)
    with pytest.raises(ValueError, match=r"a mask is \(height, width\)"):
        Mask.of(np.zeros((2, 2, 3)))


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (Box(20, 10, 60, 30, Frame.PIXEL), {"box": [0.1, 0.1, 0.3, 0.3]}),
        (Box(20, 10, 60, 30, Frame.MODEL), {"box": [0.2, 0.2, 0.6, 0.6]}),
        (Point(250, 500, Frame.MILLE), {"point": [0.25, 0.5]}),
        (Box(-0.5, 0.1, 1.5, 0.2, Frame.UNIT), {"box": [-0.5, 0.1, 1.5, 0.2]}),  # what lies outside stays there
        (Line((Point(0, 0, Frame.PIXEL), Point(100, 100, Frame.PIXEL))), {"line": [[0, 0], [0.5, 1]]}),
        (Mask((1, 2), (1, 1)), {"mask": {"size": [1, 2], "counts": [1, 1]}}),
    ],
)
def test_shapes_are_told_in_fractions_of_their_picture(shape, told):
    assert drawn(Mark(shape=shape), [SEEN]) == {"picture": 0, **told}
    assert drawn(Mark(shape=shape, picture=1, label="cat", verb="click"), [PLAIN, SEEN]) == {
        "picture": 1, "label": "cat", "verb": "click", **told,
    }  # fmt: skip


@pytest.mark.parametrize(
    "mark",
    [
        Mark(shape=Point(1, 1, Frame.MODEL), picture=1),  # no model has seen this one
        Mark(shape=Point(1, 1, Frame.UNIT), picture=2),
        Mark(shape=Point(1, 1, Frame.UNIT), picture=-1),
        Mark(shape=Point(math.inf, 1, Frame.UNIT)),
        Mark(shape=Box(0, 0, math.nan, 1, Frame.PIXEL)),
        Mark(shape=Box(0, 0, 10**400, 1, Frame.PIXEL)),
        Mark(shape=Line((Point(0, 0, Frame.UNIT), Point(0, -math.inf, Frame.UNIT)))),
    ],
)
def test_what_cannot_be_brought_there_is_left_out(mark):
    good = Mark(shape=Point(0.5, 0.5, Frame.UNIT), label="good")
    assert drawn(mark, [SEEN, PLAIN]) is None
    assert [told["label"] for told in all_drawn([mark, good, mark], [SEEN, PLAIN])] == ["good"]


@dataclass(frozen=True)
class Action:
    """A gold answer of a kind that nobody knows beforehand."""

    name: str
    place: Any = None


BOX, POINT = Box(0, 0, 1, 1, Frame.UNIT), Point(0.5, 0.5, Frame.UNIT)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("Box(0, 0, 1, 1)", []),
        (None, []),
        ([0.1, 0.2, 0.3, 0.4], []),  # numbers without a frame
        (BOX, [("", BOX)]),
        ((Labelled("cat", BOX), Labelled("dog", BOX)), [("cat", BOX), ("dog", BOX)]),
        (Action("click", POINT), [("click", POINT)]),
        (Action("press_back"), []),
        ({"label": "scratch", "boxes": [BOX, POINT], "score": 3}, [("scratch", BOX), ("scratch", POINT)]),
        ({"name": "a", "parts": [{"label": "b", "box": BOX}, {"box": POINT}]}, [("b", BOX), ("a", POINT)]),
        ({"name": 7, "box": BOX}, [("", BOX)]),
        (np.array([[True, False]]), [("", Mask((1, 2), (0, 1, 1)))]),
        (np.array([[0.5, 0.5]]), []),
        ([Mark(shape=BOX, label="own", picture=3)], [("own", BOX)]),
        (SEEN, []),
    ],
)
def test_shapes_are_found_wherever_a_gold_answer_holds_them(target, found):
    assert [(mark.label, mark.shape) for mark in marks_in(target)] == found


def test_a_gold_answer_that_holds_itself_ends():
    target: list = [BOX]
    target.append(target)
    assert 0 < len(list(marks_in(target))) < 20
