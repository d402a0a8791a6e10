"""Mask figures against their definitions, COCO's formats against pycocotools, and the empty cases."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as library
from sklearn.metrics import f1_score, roc_auc_score

from saccade.core.picture import Box, Frame
from saccade.rewards.geometry.coco_masks import MasksError, decode, encode
from saccade.rewards.geometry.masks import (
    box_around,
    box_mask,
    ciou_over_set,
    compare,
    f1_over_set,
    giou_over_set,
    macro_f1,
    pixel_auc,
    resized,
)

EMPTY, FULL = np.zeros((4, 6)), np.ones((4, 6))


def some_mask(seed: int, height: int = 13, width: int = 17, share: float = 0.4) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)) < share


# one picture


def test_the_four_figures_of_one_picture():
    overlap = compare(np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]]))
    assert (overlap.n_both, overlap.n_said_only, overlap.n_true_only) == (2, 1, 1)
    assert (overlap.iou, overlap.f1, overlap.precision, overlap.recall) == (0.5, 2 / 3, 2 / 3, 2 / 3)


@pytest.mark.parametrize(
    ("said", "truth", "value"), [(EMPTY, EMPTY, 1.0), (FULL, EMPTY, 0.0), (EMPTY, FULL, 0.0), (FULL, FULL, 1.0)]
)
def test_empty_and_full(said, truth, value):
    overlap = compare(said, truth)
    assert (overlap.iou, overlap.f1, overlap.precision, overlap.recall) == (value,) * 4


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_f1_is_twice_iou_over_one_more(a, b):
    overlap = compare(some_mask(a), some_mask(b))
    assert overlap.f1 == pytest.approx(2 * overlap.iou / (1 + overlap.iou))


def test_grey_truth_counts_from_1_on_and_probabilities_from_a_half():
    truth = np.array([[0, 1, 128, 255]], dtype=np.uint8)
    assert compare(np.array([[0.5, 0.51, 0.9, 0.2]]), truth, threshold=0.5).n_both == 2
    assert compare(truth, truth).iou == 1.0


def test_a_prediction_of_another_size_takes_the_nearest_pixel():
    small = np.array([[1, 0], [0, 1]])
    assert resized(small, (4, 4)).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert resized(np.arange(6).reshape(1, 6), (1, 3)).tolist() == [[1, 3, 5]]
    assert compare(small, np.kron(small, np.ones((3, 5)))).iou == 1.0


@pytest.mark.parametrize(("have", "to"), [((7, 5), (14, 11)), ((9, 9), (4, 5)), ((3, 8), (3, 5))])
def test_nearest_is_pillows(have, to):
    import PIL.Image

    mask = np.random.default_rng(0).integers(0, 255, have).astype(np.uint8)
    theirs = PIL.Image.fromarray(mask).resize(to[::-1], PIL.Image.Resampling.NEAREST)
    assert np.array_equal(resized(mask, to), np.asarray(theirs))


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 3)), np.zeros(4)])
def test_masks_have_height_and_width(bad):
    with pytest.raises(ValueError, match="height, width"):
        compare(bad, EMPTY)


# sets


def test_over_a_set_large_objects_weigh_in_ciou_only():
    large, small = compare(FULL, FULL), compare(np.array([[1, 1]]), np.array([[1, 0]]))
    assert giou_over_set([large, small]) == 0.75
    assert ciou_over_set([large, small]) == 25 / 26
    assert f1_over_set([large, small]) == pytest.approx((1 + 2 / 3) / 2)
    assert giou_over_set([large, small], smooth=1e-5) == pytest.approx((24 / 24.00001 + 1 / 2.00001) / 2)


def test_empty_unions_count_one_and_empty_sets_are_refused():
    nothing = compare(EMPTY, EMPTY)
    assert giou_over_set([nothing, compare(FULL, EMPTY)], smooth=1e-5) == 0.5
    assert ciou_over_set([nothing]) == 1.0
    for figure in (giou_over_set, ciou_over_set, f1_over_set):
        with pytest.raises(ValueError, match="at least one"):
            figure([])


def test_pixel_auc_is_sklearns_ties_included():
    for seed in range(20):
        truth = some_mask(seed)
        score = np.round(np.random.default_rng(seed + 99).random(truth.shape) * 4) / 4 + 0.2 * truth
        assert pixel_auc(score, truth) == pytest.approx(roc_auc_score(truth.ravel(), score.ravel()), abs=1e-12)
    assert pixel_auc(FULL, FULL) is None and pixel_auc(FULL, EMPTY) is None


def test_macro_f1_counts_an_absent_class_as_zero_and_nonsense_as_wrong():
    truth, said = ["a", "a", "b", "b"], ["a", "b", "b", "?"]
    assert macro_f1(said, truth, classes=("a", "b")) == pytest.approx((2 / 3 + 1 / 2) / 2)
    theirs = f1_score(truth, said, labels=["a", "b", "c"], average="macro", zero_division=0)
    assert macro_f1(said, truth, classes=("a", "b", "c")) == pytest.approx(theirs)
    with pytest.raises(ValueError):
        macro_f1(["a"], truth, classes=("a",))


# boxes


def test_the_box_around_a_mask_takes_all_components_and_whole_pixels():
    mask = np.zeros((5, 8))
    mask[2, 3] = 7
    assert box_around(mask) == Box(3, 2, 4, 3, Frame.PIXEL)
    mask[4, 6] = 1
    assert box_around(mask, frame=Frame.MODEL) == Box(3, 2, 7, 5, Frame.MODEL)
    assert box_around(EMPTY) is None


@given(st.integers(0, 7), st.integers(0, 7), st.integers(1, 8), st.integers(1, 8))
def test_a_box_of_whole_pixels_survives_the_mask(x, y, width, height):
    box = Box(x, y, min(8, x + width), min(8, y + height), Frame.PIXEL)
    assert box_around(box_mask(box, (8, 8))) == box


# COCO's formats


def test_uncompressed_counts_run_down_the_columns():
    mask = decode({"size": [3, 2], "counts": [2, 3, 1]}, size=(2, 3))
    assert mask.dtype == bool
    assert mask.astype(int).tolist() == [[0, 1], [0, 1], [1, 0]]


def test_a_square_polygon_has_its_area_and_several_are_one_mask():
    assert decode([[10, 10, 20, 10, 20, 20, 10, 20]], size=(30, 40)).sum() == 100
    assert decode([[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 6, 2, 6, 6, 2, 6]], size=(8, 8)).sum() == 28
    assert decode([], size=(3, 2)).tolist() == [[False] * 3] * 2


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_masks_survive_all_three_formats(seed, height, width, share):
    mask = some_mask(seed, height, width, share)
    packed = encode(mask)
    assert isinstance(packed["counts"], str) and packed["size"] == [height, width]
    assert np.array_equal(decode(packed, size=(width, height)), mask)
    assert np.array_equal(decode(packed | {"counts": packed["counts"].encode()}, size=(width, height)), mask)
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat.astype(int))) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    counts = [0, *runs] if flat[0] else runs
    assert np.array_equal(decode({"size": [height, width], "counts": counts}, size=(width, height)), mask)
    assert library.area({"size": [height, width], "counts": packed["counts"].encode()}) == mask.sum()


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ({"size": [3, 2], "counts": [2, 3, 2]}, "add up"),
        ({"size": [3, 2], "counts": [7, -1]}, "add up"),
        ({"size": [2, 3], "counts": [2, 3, 1]}, r"size \[3, 2\]"),
        ({"counts": [6]}, "size"),
        ({"size": [3, 2]}, "counts"),
        ({"size": [3, 2], "counts": "99999999"}, "add up"),
        ({"size": [3, 2], "counts": "oooooooooooooooooooooo"}, "cut off"),
        ({"size": [3, 2], "counts": "2 3"}, "character"),
        ([[1, 2, 3, 4]], "three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "three points"),
        ([[1, 2, float("nan"), 4, 5, 6]], "three points"),
    ],
)
def test_bad_segmentations_are_refused_with_the_reason(segmentation, why):
    with pytest.raises(ValueError, match=why):
        decode(segmentation, size=(2, 3))


def test_without_pycocotools_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    for call in (lambda: encode(EMPTY), lambda: decode([], size=(2, 2))):
        with pytest.raises(MasksError, match=r"^masks in COCO's formats need pycocotools: pip install 'saccade\[masks\]'$"):
            call()
