"""Boxes, matching, thresholds and gold boxes: literal numbers, edge cases, and agreement with the scalar IoU."""

from __future__ import annotations

import itertools

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.core.picture import Box, Frame, Labelled, Picture, Point
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import Message, Sample
from saccade.rewards.geometry.boxes import (
    clipped,
    corners,
    giou,
    holds,
    iou,
    is_proper,
    l1,
    one_frame,
    pairwise_giou,
    pairwise_iou,
)
from saccade.rewards.geometry.matching import Counts, Staged, found, greedy, hungarian
from saccade.rewards.geometry.objects import brought, gold_box, gold_objects


def box(x1, y1, x2, y2, frame=Frame.PIXEL) -> Box:
    return Box(x1, y1, x2, y2, frame)


def rollout(*pictures: Picture) -> Rollout:
    sample = Sample(id="row/1", messages=(Message("user", ("?",)),), target=None)
    return Rollout(sample=sample, text="", token_T=(), logp_T=(), is_sampled_T=(), stop=Stop.EOS, pictures=pictures)


coordinate = st.integers(-20, 20) | st.floats(-20, 20)
any_box = st.builds(box, coordinate, coordinate, coordinate, coordinate)


# overlap


@pytest.mark.parametrize(
    ("a", "b", "wanted_iou", "wanted_giou"),
    [
        (box(0, 0, 2, 2), box(0, 0, 2, 2), 1.0, 1.0),
        (box(0, 0, 2, 2), box(1, 0, 3, 2), 1 / 3, 1 / 3),  # the enclosing box is the union
        (box(0, 0, 2, 2), box(2, 0, 4, 2), 0.0, 0.0),  # touching
        (box(0, 0, 1, 1), box(2, 0, 3, 1), 0.0, -1 / 3),
        (box(0, 0, 1, 1), box(9, 9, 10, 10), 0.0, -0.98),
        (box(0, 0, 2, 2), box(1, 1, 1, 1), 0.0, 0.0),  # a point inside
        (box(3, 3, 3, 3), box(3, 3, 3, 3), 0.0, 0.0),  # no union, no enclosing area
        (box(2, 2, 0, 0), box(0, 0, 2, 2), 0.0, 0.0),  # corners swapped: no area
        (box(0, 0, 4, 4), box(1, 1, 3, 3), 0.25, 0.25),
        (box(0, 0, 2, 1), box(1, 0, 2, 2), 1 / 3, 1 / 3 - 1 / 4),
    ],
)
def test_overlap_of_two_boxes(a, b, wanted_iou, wanted_giou):
    assert pairwise_iou([a], [b])[0, 0] == pytest.approx(wanted_iou, abs=1e-15)
    assert pairwise_giou([a], [b])[0, 0] == pytest.approx(wanted_giou, abs=1e-15)


@given(st.lists(any_box, max_size=5), st.lists(any_box, max_size=5))
def test_every_pair_agrees_with_the_scalar_iou_and_giou_keeps_its_bounds(a, b):
    found_iou, found_giou = pairwise_iou(a, b), pairwise_giou(a, b)
    assert found_iou.shape == found_giou.shape == (len(a), len(b))
    assert found_iou.dtype == np.float64
    for i, j in itertools.product(range(len(a)), range(len(b))):
        assert found_iou[i, j] == pytest.approx(a[i].iou(b[j]), abs=1e-12)
        assert -1 - 1e-12 <= found_giou[i, j] <= found_iou[i, j] + 1e-12
    assert np.allclose(found_giou, pairwise_giou(b, a).T)


def test_iou_does_not_depend_on_the_frame_but_refuses_two():
    picture = Picture.of(PIL.Image.new("RGB", (300, 100))).seen_at((84, 56))
    a, b = box(3, 5, 120, 66), box(40, 2, 150, 50)
    for frame in Frame:
        moved = [picture.convert(each, to=frame) for each in (a, b)]
        assert pairwise_iou(*([each] for each in moved))[0, 0] == pytest.approx(a.iou(b), abs=1e-12)
    with pytest.raises(TypeError, match="model, pixel"):
        pairwise_iou([a], [picture.convert(b, to=Frame.MODEL)])
    with pytest.raises(TypeError, match="convert"):
        corners([a, picture.convert(b, to=Frame.MODEL)])
    assert one_frame([]) is None and corners([]).shape == (0, 4)


def test_l1_counts_all_four_coordinates():
    assert l1(corners([box(0, 0, 10, 10), box(1, 1, 1, 1)]), corners([box(1, 2, 13, 6)])).tolist() == [[10.0], [18.0]]


def test_arrays_may_be_empty_on_either_side():
    none, one = np.zeros((0, 4)), np.array([[0.0, 0, 1, 1]])
    for function in (iou, giou, l1):
        assert function(none, one).shape == (0, 1)
        assert function(one, none).shape == (1, 0)


@pytest.mark.parametrize(
    ("x", "y", "inside", "strictly"),
    [(1, 1, True, True), (0, 1, True, False), (2, 2, True, False), (2.001, 1, False, False), (1, -0.1, False, False)],
)
def test_points_on_the_edge(x, y, inside, strictly):
    point = Point(x, y, Frame.PIXEL)
    assert holds(box(0, 0, 2, 2), point) is inside
    assert holds(box(0, 0, 2, 2), point, strict=True) is strictly


def test_a_point_of_another_frame_is_refused():
    with pytest.raises(TypeError, match="frame"):
        holds(box(0, 0, 2, 2), Point(1, 1, Frame.MILLE))


def test_clipping():
    assert clipped(box(-5, 3, 20, 8), width=10, height=5) == box(0, 3, 10, 5)
    assert not is_proper(clipped(box(-5, 3, -1, 8), width=10, height=5))
    assert not is_proper(box(2, 0, 1, 5)) and not is_proper(box(0, 0, 0, 5)) and is_proper(box(0, 0, 0.1, 5))


# matching


def test_greedy_takes_the_best_pair_first_where_the_best_total_would_not():
    score = np.array([[0.9, 0.6], [0.8, 0.1]])
    assert greedy(score, at_least=0.5) == [(0, 0)]
    assert greedy(score) == [(0, 0), (1, 1)]
    assert hungarian(-score) == [(0, 1), (1, 0)]


def test_equal_scores_go_to_the_first_row_then_the_first_column():
    assert greedy(np.full((2, 3), 0.7)) == [(0, 0), (1, 1)]


@given(st.integers(1, 5), st.integers(1, 5), st.randoms(use_true_random=False))
def test_hungarian_is_the_cheapest_of_all_pairings(n, m, random):
    cost = np.array([[random.randint(0, 9) for _ in range(m)] for _ in range(n)], float)
    rows, columns = (range(n), range(m)) if n <= m else (range(m), range(n))
    table = cost if n <= m else cost.T
    pairings = itertools.permutations(columns, len(rows))
    cheapest = min(sum(table[i, j] for i, j in zip(rows, order, strict=True)) for order in pairings)
    pairs = hungarian(cost)
    assert len(pairs) == min(n, m) == len({i for i, _ in pairs}) == len({j for _, j in pairs})
    assert sum(cost[i, j] for i, j in pairs) == cheapest


def test_matching_nothing():
    assert greedy(np.zeros((0, 3)), at_least=0.5) == [] == hungarian(np.zeros((3, 0)))


def test_counts():
    counts = Counts(n_right=2, n_said=4, n_gold=3)
    assert (counts.precision, counts.recall, counts.f1) == (0.5, 2 / 3, 4 / 7)
    micro = counts + Counts(n_right=1, n_said=1, n_gold=5)
    assert (micro.precision, micro.recall) == (3 / 5, 3 / 8)


@pytest.mark.parametrize(
    ("n_said", "n_gold", "precision", "recall", "f1"), [(0, 0, 1, 1, 1), (0, 2, 0, 0, 0), (2, 0, 0, 0, 0)]
)
def test_counts_of_empty_sides(n_said, n_gold, precision, recall, f1):
    counts = Counts(n_right=0, n_said=n_said, n_gold=n_gold)
    assert (counts.precision, counts.recall, counts.f1) == (precision, recall, f1)


def test_found_respects_labels_and_uses_each_gold_once():
    gold = [Labelled("cat", box(0, 0, 10, 10)), Labelled("dog", box(20, 0, 30, 10))]
    said = [Labelled("cat", box(0, 0, 10, 9)), Labelled("cat", box(0, 0, 10, 10)), Labelled("cat", box(20, 0, 30, 10))]
    assert found(said, gold) == Counts(n_right=1, n_said=3, n_gold=2)
    assert found(said, gold, by_label=False) == Counts(n_right=2, n_said=3, n_gold=2)
    assert found(said, gold, iou=0.95) == Counts(n_right=1, n_said=3, n_gold=2)
    assert found([], gold).recall == 0.0 and found(said, []).precision == 0.0
    assert found([Labelled("cat", box(50, 50, 60, 60))], gold, iou=0.0).n_right == 0


def test_a_match_at_exactly_the_threshold_counts():
    assert found([Labelled("a", box(0, 0, 1, 1))], [Labelled("a", box(0, 0, 2, 1))], iou=0.5).n_right == 1


# thresholds that move


def test_thresholds_step_at_their_starts():
    threshold = Staged(values=(0.5, 0.75), starts=(0.0, 0.5))
    assert [threshold(progress) for progress in (0.0, 0.499, 0.5, 1.0)] == [0.5, 0.5, 0.75, 0.75]
    assert Staged(values=(0.3,))(1.0) == 0.3


@pytest.mark.parametrize(
    "bad", [{"values": (1, 2)}, {"values": (1, 2), "starts": (0.0, 0.0)}, {"values": (1,), "starts": (0.1,)}]
)
def test_thresholds_that_cannot_be(bad):
    with pytest.raises(ValueError, match="start"):
        Staged(**bad)


# gold boxes and frames


def test_gold_comes_as_a_box_an_object_or_many():
    cat = Labelled("cat", box(0, 0, 2, 2))
    assert gold_objects(box(0, 0, 2, 2)).value == (Labelled("", box(0, 0, 2, 2)),)
    assert gold_objects(cat).value == gold_objects([cat]).value == gold_objects((cat,)).value == (cat,)
    assert gold_objects([]).value == ()
    assert gold_box([cat]).value == cat.box


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (None, "NoneType"),
        ("[1, 2, 3, 4]", "str"),
        ([(1, 2, 3, 4)], "tuple"),
        (box(2, 0, 1, 5), "no area"),
        ([box(0, 0, 1, 1), box(0, 0, 1, 1, Frame.MILLE)], "frames"),
    ],
)
def test_gold_that_cannot_be_read_says_why(target, why):
    reading = gold_objects(target)
    assert reading.value is None and why in reading.why


def test_one_gold_box_is_one():
    assert "2 boxes" in gold_box([box(0, 0, 1, 1), box(0, 0, 2, 2)]).why
    assert gold_box("x").value is None


def test_brought_goes_through_the_picture_that_the_model_saw():
    picture = Picture.of(PIL.Image.new("RGB", (200, 100))).seen_at((100, 50))
    other = Picture.of(PIL.Image.new("RGB", (10, 10))).seen_at((100, 100))
    seen = rollout(picture, other)
    model = box(20, 10, 60, 30, Frame.MODEL)
    assert brought(model, seen, to=Frame.PIXEL) == box(40, 20, 120, 60)
    assert brought(Labelled("a", model), seen, to=Frame.PIXEL) == Labelled("a", box(40, 20, 120, 60))
    assert brought(Point(50, 50, Frame.MODEL), seen, to=Frame.MILLE, picture=1) == Point(500, 500, Frame.MILLE)
    assert brought(model, rollout(), to=Frame.MODEL) is model
    with pytest.raises(ValueError, match="row/1.*model to the pixel.*has 0"):
        brought(model, rollout(), to=Frame.PIXEL)
