"""COCO mAP against pycocotools, over whole data sets and for single answers, and what is built on it."""

from __future__ import annotations

import contextlib
import copy
import io
import random

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from saccade.core.picture import Box, Frame, Labelled
from saccade.rewards.geometry.coco import (
    STATS,
    CocoMetrics,
    Objects,
    coco_metrics,
    from_coco,
    from_labelled,
    mean_over_sets,
)
from saccade.rewards.geometry.nms import nms
from saccade.rewards.geometry.precision import average_precision, levels_per_hit
from saccade.rewards.geometry.sample_map import sample_map

EXACT = 1e-12


def theirs(annotations, results):
    """pycocotools' evaluation object after all its steps, its printing silenced."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(annotations)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def agree(annotations, results) -> CocoMetrics:
    """Our metrics, which are asserted to be theirs: the twelve figures and AP by class."""
    ours, peer = coco_metrics(*from_coco(annotations, results)), theirs(annotations, results)
    assert np.abs(np.array(ours.stats) - peer.stats).max() <= EXACT, list(zip(STATS, ours.stats, peer.stats, strict=True))
    for k, category in enumerate(peer.params.catIds):
        precision = peer.eval["precision"][:, :, k, 0, 2]
        wanted = precision[precision > -1].mean() if (precision > -1).any() else -1.0
        assert ours.by_class.get(int(category), -1.0) == pytest.approx(wanted, abs=EXACT)
    return ours


def data_set(
    rng, *, pictures=8, classes=4, most_gold=8, most_said=20, scores=None, crowds=0.1, sizes=(30, 90, 300), whole=True
):
    """A random data set: near hits, doubles, wrong classes, strays; `scores`: how many distinct ones, None for all."""
    annotations = {
        "images": [{"id": int(i)} for i in rng.permutation(pictures)],
        "categories": [{"id": k} for k in range(1, classes + 1)],
        "annotations": [],
    }
    results = []
    for i in range(pictures):
        here = []
        for _ in range(rng.integers(0, most_gold + 1)):
            box = [float(v) for v in (*rng.integers(0, 200, 2), *rng.integers(1, rng.choice(sizes), 2))]
            area = box[2] * box[3] * float(rng.choice([1, 0.7]))
            here.append({"category_id": int(rng.integers(1, classes + 1)), "bbox": box, "area": area})
            here[-1] |= {"id": len(annotations["annotations"]) + 1, "image_id": i, "iscrowd": int(rng.random() < crowds)}
            annotations["annotations"].append(here[-1])
        for _ in range(rng.integers(0, most_said + 1)):
            category, box = int(rng.integers(1, classes + 1)), [float(v) for v in rng.integers(1, 200, 4)]
            if here and rng.random() < 0.8:
                near = here[rng.integers(len(here))]
                noise = rng.integers(-2, 3, 4) if whole else rng.normal(0, 2, 4)
                box = [float(v) for v in np.add(near["bbox"], noise * (1 if rng.random() < 0.7 else 5))]
                category = near["category_id"] if rng.random() < 0.9 else category
            score = float(rng.random()) if scores is None else float(rng.integers(scores))
            results.append({"image_id": i, "category_id": category, "bbox": box, "score": score})
    return annotations, results


# whole data sets


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scores": 3},
        {"scores": 1, "whole": False},
        {"crowds": 0.6, "scores": 4},
        {"crowds": 1.0},
        {"pictures": 1, "classes": 1, "most_said": 3},
        {"pictures": 30, "classes": 30, "most_gold": 3},
        {"pictures": 3, "classes": 2, "most_said": 250, "most_gold": 30},
        {"sizes": (12,), "scores": 2},
        {"sizes": (400,), "whole": False},
        {"most_gold": 1, "most_said": 1, "pictures": 20},
    ],
    ids=str,
)
def test_all_twelve_figures_are_pycocotools(options, seed):
    rng = np.random.default_rng(seed)
    annotations, results = data_set(rng, **options)
    if not results:
        results = [{"image_id": 0, "category_id": 1, "bbox": [0.0, 0.0, 5.0, 5.0], "score": 0.5}]
    agree(annotations, results)


def one_picture(gold, said, *, iscrowd=0, area=None):
    annotations = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    for n, box in enumerate(gold, start=1):
        size = box[2] * box[3] if area is None else area
        row = {"id": n, "image_id": 1, "category_id": 1, "bbox": box, "area": size, "iscrowd": iscrowd}
        annotations["annotations"].append(row)
    return annotations, [{"image_id": 1, "category_id": 1, "bbox": box, "score": score} for box, score in said]


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ([[0, 0, 10, 10]], [([0, 0, 10, 5], 1)]),  # IoU exactly 0.5
        ([[0, 0, 20, 10]], [([0, 0, 20, 7.5], 1)]),  # exactly 0.75
        ([[0, 0, 10, 10], [0, 0, 10, 10]], [([0, 0, 10, 10], 1), ([0, 0, 10, 9], 1)]),  # two golds alike
        ([[0, 0, 10, 10], [5, 0, 10, 10]], [([2, 0, 10, 10], 1), ([0, 0, 10, 10], 0.5)]),  # who takes what
        ([[0, 0, 10, 10], [4, 0, 10, 10]], [([2, 0, 10, 10], 1), ([4, 0, 10, 10], 0.5)]),  # of equals the last gold is taken
        ([[4, 0, 10, 10], [0, 0, 10, 10]], [([2, 0, 10, 10], 1), ([4, 0, 10, 10], 0.5)]),
        ([[0, 0, 32, 32]], [([0, 0, 32, 32], 1)]),  # 32 x 32 is small and medium
        ([[0, 0, 10, 10]], [([50, 50, 32, 32], 1), ([0, 0, 10, 10], 0.5)]),  # a stray one counts in both
        ([[0, 0, 40, 40]], [([50, 50, 32, 32], 1), ([0, 0, 40, 40], 0.5)]),
        ([[0, 0, 96, 96]], [([0, 0, 96, 96], 1)]),
        ([[0, 0, 10, 10]], [([0, 0, 10, -10], 1), ([0, 0, 10, 10], 0.5)]),  # a negative area is ignored
        ([[0, 0, 10, 10]], [([0, 0, -10, -10], 1), ([0, 0, 10, 10], 0.5)]),  # two make a positive one
        ([[0, 0, 10, 10]], [([5, 5, 0, 0], 1)]),
        ([[0, 0, 10, 10]], [([10, 0, 10, 10], 1)]),  # touching
        ([[0, 0, 1, 1]], [([0, 0, 2e5, 2e5], 1), ([0, 0, 1, 1], 0.5)]),  # larger than all areas
    ],
)
def test_edges_of_the_protocol(gold, said):
    agree(*one_picture(gold, said))
    agree(*one_picture(gold, said, iscrowd=1))
    agree(*one_picture(gold, said, area=5000))


def test_figures_that_can_be_checked_by_hand():
    right_wrong_right = [([0, 0, 10, 10], 0.9), ([80, 0, 10, 10], 0.8), ([50, 0, 10, 10], 0.7)]
    annotations, results = one_picture([[0, 0, 10, 10], [50, 0, 10, 10]], right_wrong_right)
    ours = agree(annotations, results)
    assert ours.ap == pytest.approx((51 + 50 * 2 / 3) / 101, abs=EXACT)
    assert (ours.ap_small, ours.ap_medium, ours.ap_large) == (ours.ap, -1, -1)
    assert (ours.ar1, ours.ar10, ours.ar100, ours.ar_large) == (0.5, 1.0, 1.0, -1)


def test_nothing_said_and_nothing_there():
    annotations, _ = one_picture([[0, 0, 10, 10]], [])
    nothing = coco_metrics(*from_coco(annotations, []))  # pycocotools' loadRes([]) raises IndexError
    assert nothing.stats == (0, 0, 0, 0, -1, -1, 0, 0, 0, 0, -1, -1)
    annotations["annotations"] = []
    assert coco_metrics(*from_coco(annotations, [])).stats == (-1,) * 12
    stray = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 1}]
    assert agree(annotations, stray).stats == (-1,) * 12


def test_results_of_unknown_pictures_are_refused_and_unknown_categories_left_out():
    annotations, results = one_picture([[0, 0, 10, 10]], [([0, 0, 10, 10], 1)])
    agree(annotations, [*results, results[0] | {"category_id": 7, "score": 2}])
    with pytest.raises(ValueError, match=r"do not have: \[5\]"):
        from_coco(annotations, [results[0] | {"image_id": 5}])


def test_an_annotation_with_id_0_can_be_found():
    annotations, results = one_picture([[0, 0, 10, 10]], [([0, 0, 10, 10], 1)])
    annotations["annotations"][0]["id"] = 0
    assert theirs(annotations, results).stats[0] == 0.0
    assert coco_metrics(*from_coco(annotations, results)).ap == 1.0


def test_the_order_of_the_file_does_not_matter_where_scores_differ():
    rng = np.random.default_rng(5)
    annotations, results = data_set(rng, pictures=20)
    first = coco_metrics(*from_coco(annotations, results))
    rng.shuffle(results)
    assert coco_metrics(*from_coco(annotations, results)) == first


def test_labelled_boxes_give_the_same_as_dictionaries():
    rng = np.random.default_rng(7)
    annotations, results = data_set(rng, crowds=0.0, pictures=6)
    for thing in annotations["annotations"]:
        thing["area"] = thing["bbox"][2] * thing["bbox"][3]

    def lists(rows):
        pictures = [[] for _ in range(6)]
        for row in rows:
            x, y, w, h = row["bbox"]
            pictures[row["image_id"]].append(Labelled(str(row["category_id"]), Box(x, y, x + w, y + h, Frame.PIXEL)))
        return pictures

    scores = [[row["score"] for row in results if row["image_id"] == k] for k in range(6)]
    gold, said, labels = from_labelled(lists(annotations["annotations"]), lists(results), scores=scores)
    assert np.allclose(coco_metrics(gold, said).stats, theirs(annotations, results).stats, atol=EXACT)
    assert labels == tuple(sorted(labels)) and len(labels) == 4


def test_bad_objects_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        Objects(picture_N=[1, 2], class_N=[1], box_N4=[[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="finite"):
        Objects(picture_N=[1], class_N=[1], box_N4=[[0, 0, np.inf, 1]])
    with pytest.raises(ValueError, match="one list of gold"):
        from_labelled([[]], [])
    with pytest.raises(TypeError, match="frames"):
        from_labelled([[Labelled("a", Box(0, 0, 1, 1, Frame.PIXEL))]], [[Labelled("a", Box(0, 0, 1, 1, Frame.MODEL))]])


def test_other_limits_and_levels():
    annotations, results = one_picture([[0, 0, 10, 10], [50, 0, 10, 10]], [([0, 0, 10, 10], 0.9), ([50, 0, 10, 6], 0.8)])
    gold, said = from_coco(annotations, results)
    at_half = coco_metrics(gold, said, iou_levels=(0.5,))
    assert (at_half.ap, at_half.ap50, at_half.ap75) == (1.0, 1.0, -1.0)
    assert coco_metrics(gold, said, max_detections=(1, 1, 1)).ar100 == 0.5
    with pytest.raises(ValueError, match="three numbers"):
        coco_metrics(gold, said, max_detections=(100,))


def test_a_mean_over_data_sets_is_unweighted():
    perfect = coco_metrics(*from_coco(*one_picture([[0, 0, 10, 10]] * 9, [([0, 0, 10, 10], 1)] * 9)))
    nothing = coco_metrics(*from_coco(*one_picture([[0, 0, 10, 10]], [([50, 0, 10, 10], 1)])))
    assert mean_over_sets([perfect, nothing]) == 0.5
    with pytest.raises(ValueError, match="at least one"):
        mean_over_sets([])


# one row


@pytest.mark.parametrize("n_gold", [1, 2, 3, 7, 49, 50, 100, 101, 1000])
def test_the_recall_levels_are_all_given_out_once(n_gold):
    assert sum(levels_per_hit(n_gold)) == 101 and len(levels_per_hit(n_gold)) == n_gold


def test_average_precision_by_hand():
    assert average_precision([], 3) == 0.0
    assert average_precision([1, 2, 3], 3) == pytest.approx(1.0, abs=EXACT)
    assert average_precision([2], 1) == pytest.approx(0.5, abs=EXACT)
    assert average_precision([1, 3], 2) == pytest.approx((51 + 50 * 2 / 3) / 101, abs=EXACT)
    assert average_precision([3, 4], 2) == pytest.approx(0.5, abs=EXACT)  # the envelope lifts 1/3 to 2/4


# one answer


def per_sample(said, gold):
    """mAP and AP50 as VLM-R1 asks pycocotools: one picture, the gold's labels, all scores 1; None where nothing is left."""
    number = {label: n for n, label in enumerate(dict.fromkeys(thing.label for thing in gold), start=1)}

    def xywh(box):
        return [box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1]

    annotations = {"images": [{"id": 1}], "categories": [{"id": n} for n in number.values()], "annotations": []}
    for n, thing in enumerate(gold, start=1):
        row = {"id": n, "image_id": 1, "category_id": number[thing.label], "bbox": xywh(thing.box), "iscrowd": 0}
        annotations["annotations"].append(row | {"area": row["bbox"][2] * row["bbox"][3]})
    kept = [thing for thing in said if thing.label in number]
    results = [{"image_id": 1, "category_id": number[t.label], "bbox": xywh(t.box), "score": 1.0} for t in kept]
    return theirs(annotations, results).stats[:2] if results else None


def answer(rng, n, *, labels="abc", is_whole=True, swaps=0.0):
    """(said, gold) of n gold boxes: near, far, doubled, of other labels, cut, and with corners swapped now and then."""
    gold, said = [], []
    for _ in range(n):
        x, y, w, h = rng.randint(0, 300), rng.randint(0, 300), rng.randint(2, 120), rng.randint(2, 120)
        label = rng.choice(labels)
        gold.append(Labelled(label, Box(x, y, x + w, y + h, Frame.MODEL)))
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            near = [value + rng.gauss(0, 0.08) * size for value, size in ((x, w), (y, h), (x + w, w), (y + h, h))]
            near = [round(value) for value in near] if is_whole else near
            if rng.random() < swaps:
                near = [near[2], near[1], near[0], near[3]]
            said.append(Labelled(label if rng.random() < 0.85 else rng.choice(labels + "xyz"), Box(*near, Frame.MODEL)))
    rng.shuffle(said)
    return said, gold


@pytest.mark.parametrize(
    ("n", "options"),
    [
        *((n, {}) for n in (1, 2, 3, 5, 8, 13, 30)),
        (6, {"is_whole": False}),
        (6, {"swaps": 0.3}),
        (10, {"labels": "a"}),
        (12, {"labels": "abcdefghijkl"}),
        (40, {"labels": "a"}),
    ],
)
def test_the_map_of_one_answer_is_pycocotools(n, options):
    rng = random.Random(f"{n} {options}")
    for _ in range(12):
        said, gold = answer(rng, n, **options)
        wanted = per_sample(said, gold)
        found = sample_map(said, gold)
        assert wanted is None or np.abs(np.array([found.map, found.ap50]) - wanted).max() <= EXACT
        assert wanted is not None or (found.map, found.ap50) == (0.0, 0.0)


def test_more_than_a_hundred_of_a_label_are_cut():
    gold = [Labelled("a", Box(0, 0, 10, 10, Frame.MODEL))]
    late = [Labelled("a", Box(50, 50, 60, 60, Frame.MODEL))] * 100 + gold
    assert sample_map(late, gold).map == per_sample(late, gold)[0] == 0.0
    assert sample_map(late[1:], gold).map == pytest.approx(per_sample(late[1:], gold)[0], abs=EXACT) == pytest.approx(0.01)


def test_boxes_larger_than_all_areas_are_ignored_on_either_side():
    def square(side, x=0.0):
        return Labelled("a", Box(x, 0, x + side, side, Frame.MODEL))

    most = 1e5  # its square is the largest area that counts
    said = [square(most), square(10, -50), square(9, -70), square(8, -90)]
    for gold in ([square(1.1 * most), square(9, -70), square(8, -90)], [square(0.9 * most), square(9, -70)]):
        for first in (square(most), square(1.2 * most), square(0.8 * most)):
            answer_ = [first, *said[1:]]
            assert sample_map(answer_, gold).map == pytest.approx(per_sample(answer_, gold)[0], abs=EXACT)


def test_equal_scores_make_the_order_count():
    gold = [Labelled("a", Box(0, 0, 10, 10, Frame.MODEL))]
    stray = Labelled("a", Box(50, 50, 60, 60, Frame.MODEL))
    assert sample_map([*gold, stray], gold).map == pytest.approx(1.0)
    assert sample_map([stray, *gold], gold).map == pytest.approx(0.5)


def test_labels_that_no_gold_has_cost_nothing_which_is_the_hole_that_odlength_closes():
    gold = [Labelled("a", Box(0, 0, 10, 10, Frame.MODEL))]
    every = [Labelled(label, gold[0].box) for label in "zyxwvu"] + gold
    assert sample_map(every, gold).map == 1.0


def test_no_gold_that_counts_is_minus_one():
    box = Box(0, 0, 10, 10, Frame.MODEL)
    assert sample_map([Labelled("a", box)], []).map == -1.0
    turned = [Labelled("a", Box(10, 0, 0, 10, Frame.MODEL))]
    assert sample_map([Labelled("a", box)], turned).map == per_sample([Labelled("a", box)], turned)[0] == -1.0


def test_the_map_of_one_answer_refuses_mixed_frames_and_bears_any_number():
    gold = [Labelled("a", Box(0, 0, 10, 10, Frame.MODEL))]
    with pytest.raises(TypeError, match="convert"):
        sample_map([Labelled("a", Box(0, 0, 10, 10, Frame.PIXEL))], gold)
    beyond = ((-1e308, -1e308, 1e308, 1e308), (10**60, 0, 10**62, 10**61))
    wild = [Labelled("a", Box(*corners, Frame.MODEL)) for corners in beyond]
    assert sample_map([*wild, *gold], gold).map > 0


# suppression


def objects(*rows):
    """Predictions (picture, class, x, y, width, height, score)."""
    table = np.array(rows, dtype=float).reshape(-1, 7)
    return Objects(picture_N=table[:, 0], class_N=table[:, 1], box_N4=table[:, 2:6], score_N=table[:, 6])


def test_suppression_across_labels_keeps_the_best_of_each_place():
    rows = (1, 1, 0, 0, 10, 10, 0.6), (1, 2, 0, 0, 10, 9, 0.9), (1, 1, 50, 0, 10, 10, 0.1), (2, 1, 0, 0, 10, 10, 0.2)
    said = objects(*rows)
    assert nms(said).score_N.tolist() == [0.9, 0.1, 0.2]
    assert nms(said, across_labels=False).score_N.tolist() == [0.6, 0.9, 0.1, 0.2]
    assert len(nms(objects())) == 0


def test_what_is_suppressed_suppresses_nothing_and_the_threshold_is_open():
    chain = objects((1, 1, 0, 0, 10, 10, 0.9), (1, 1, 3, 0, 10, 10, 0.8), (1, 1, 6, 0, 10, 10, 0.7))
    assert nms(chain).score_N.tolist() == [0.9, 0.7]
    half = objects((1, 1, 0, 0, 10, 10, 0.9), (1, 1, 0, 0, 10, 5, 0.8))
    assert len(nms(half, above=0.5)) == 2 and len(nms(half, above=0.49)) == 1
    ties = objects((1, 1, 0, 0, 10, 10, 1), (1, 2, 0, 0, 10, 10, 1))
    assert nms(ties).class_N.tolist() == [1]
    with pytest.raises(ValueError, match="below 1"):
        nms(ties, above=1.0)


def test_saying_every_label_pays_in_ap_and_not_after_suppression():
    gold = objects((1, 1, 0, 0, 10, 10, 1), (1, 2, 50, 0, 10, 10, 1))
    every = objects(*((1, label, x, 0, 10, 10, 1) for x in (0, 50) for label in (2, 1)))
    assert coco_metrics(gold, every).ap == pytest.approx((1 + 0.5) / 2)
    assert coco_metrics(gold, nms(every)).ap == pytest.approx((0 + 0.5) / 2)
