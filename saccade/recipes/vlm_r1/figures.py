"""Figures of a whole set from all its greedy answers: REC accuracy; COCO mAP, NMS-AP, greedy precision and recall.

    Evaluation(..., totals=(grounding(Frame.MODEL),))       # eval/NAME/total/acc50
    Evaluation(..., totals=(detection(Frame.MODEL),))       # eval/NAME/total/map, ap50, nms_map, precision, recall, boxes

All boxes score 1 (# P), so an answer's order is its ranking. Gold and answers meet in pixels of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from saccade.core.picture import Frame, Labelled
from saccade.core.rollout import Rollout
from saccade.rewards.geometry.coco import coco_metrics, from_labelled
from saccade.rewards.geometry.matching import Counts, found
from saccade.rewards.geometry.nms import nms
from saccade.rewards.geometry.objects import all_brought
from saccade.rewards.papers.vlm_r1.grounding import Grounding
from saccade.rewards.papers.vlm_r1.reading import detections, folded


def grounding(frame: Frame) -> Callable[[Sequence[Rollout]], Mapping[str, float]]:
    """The totals of a REC set whose answers hold a box in this frame: acc50, the share of boxes with IoU above 0.5. # C"""

    def totals(rollouts: Sequence[Rollout]) -> Mapping[str, float]:
        over = Grounding(frame=frame, above=0.5)
        return {"acc50": sum(over(rollout).value or 0.0 for rollout in rollouts) / len(rollouts)}

    return totals


def detection(frame: Frame) -> Callable[[Sequence[Rollout]], Mapping[str, float]]:
    """The totals of a detection set whose answers hold boxes in this frame.

    map, ap50    COCO AP over IoU .5 to .95, and at .5, over the classes of the set's gold; 0 where there is no gold
    nms_map      the same after suppression across labels: one box, one label (# P OVDEval's NMS-AP)
    precision    the share of all boxes said that meet a gold box of their label with IoU 0.5, matched greedily (# P)
    recall       the share of all gold boxes that are met so (# P)
    boxes        items written in an answer, readable or not; gold_boxes those there are
    """

    def totals(rollouts: Sequence[Rollout]) -> Mapping[str, float]:
        said, gold, n_written = [], [], 0
        for rollout in rollouts:
            read = detections(rollout.text, frame).value
            n_written += read.n_written if read is not None else 0
            things = read.found if read is not None else ()
            said.append(folded(all_brought(things, rollout, to=Frame.PIXEL)))
            gold.append(folded(all_brought(rollout.sample.target, rollout, to=Frame.PIXEL)))
        return {**precisions(gold, said), "boxes": n_written / len(rollouts)}

    return totals


def precisions(gold: Sequence[Sequence[Labelled]], said: Sequence[Sequence[Labelled]]) -> dict[str, float]:
    """The figures of answers, one list for each picture, against the gold; see `detection`."""
    gold_set, said_set, _ = from_labelled(gold, said)
    plain, kept = coco_metrics(gold_set, said_set), coco_metrics(gold_set, nms(said_set))
    counts = sum((found(s, g) for g, s in zip(gold, said, strict=True)), Counts(n_right=0, n_said=0, n_gold=0))
    return {
        "map": max(0.0, plain.ap),
        "ap50": max(0.0, plain.ap50),
        "nms_map": max(0.0, kept.ap),
        "precision": counts.precision,
        "recall": counts.recall,
        "gold_boxes": counts.n_gold / len(gold),
    }
