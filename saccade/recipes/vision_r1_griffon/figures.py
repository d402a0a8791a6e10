"""What a set of localisation answers is worth: COCO's figures, and how many boxes were written.

    >>> Evaluation(..., score=box_f1, shares=(dual_format(), too_many), totals=(figures,))

All answers of a set count alike (a constant score of its boxes, # C), so that the order in which they were written
decides. Boxes are compared in pixels of the stored picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from saccade.core.marks import Mark
from saccade.core.picture import Frame, Labelled
from saccade.core.reward import reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.geometry.coco import coco_metrics, from_labelled
from saccade.rewards.geometry.matching import Counts, found
from saccade.rewards.geometry.objects import all_brought
from saccade.rewards.papers.vision_r1_griffon.reading import predictions, released_predictions

HIT = 0.5  # P of AP50; the IoU from which a box counts as found


def figures(rollouts: Sequence[Rollout]) -> Mapping[str, float]:
    """mAP, AP50, AP75 and AR100 as COCO has them (0 to 1; -1 without gold), and of all boxes of the set together: the
    share that is right at IoU 0.5 (precision), the share of gold that was found (recall), the same whatever its label
    says, which is what the rewards pay for (placed), and how many boxes an answer has (boxes) of how many gold ones
    (gold).

    Questions for one category or expression are asked once per picture and category that it shows, and what is said in
    answer is taken to be of that category (# C `--single --pos`, the ODinW setting); mAP is then the mean over these
    categories. Expressions are one category together.
    """
    said, gold = zip(*map(_pair, rollouts), strict=True)
    coco = coco_metrics(*from_labelled(gold, said)[:2])
    counts = _sum(map(_counts, said, gold))
    return {
        "mAP": coco.ap,
        "AP50": coco.ap50,
        "AP75": coco.ap75,
        "AR100": coco.ar100,
        "precision": counts.precision,
        "recall": counts.recall,
        "placed": _sum(found(a, b, iou=HIT, by_label=False) for a, b in zip(said, gold, strict=True)).recall,
        "boxes": fmean(predictions(rollout.text).n_written for rollout in rollouts),
        "gold": fmean(map(len, gold)),
    }


@reward
def box_f1(rollout: Rollout) -> Score:
    """2 right / (written + gold) boxes of one answer, right at IoU 0.5 and of the right label; 1 for nothing said of
    nothing. # O"""
    said, gold = _pair(rollout)
    counts = _counts(said, gold)
    # Items that are no box were written, too.
    counts = replace(counts, n_said=predictions(rollout.text).n_written)
    return Score(counts.f1, f"{counts.n_right} right of {counts.n_said} written, {counts.n_gold} to find")


@reward
def too_many(rollout: Rollout) -> bool:
    """Whether more boxes are written than there are objects to find."""
    return predictions(rollout.text).n_written > len(rollout.sample.target)


def marks(rollout: Rollout, *, as_released: bool = False) -> list[Mark]:
    """The boxes that an answer says, as its rewards read them."""
    read = released_predictions if as_released else predictions
    return [Mark(shape=thing.box, label=thing.label) for thing in read(rollout.text).found]


def _pair(rollout: Rollout) -> tuple[list[Labelled], list[Labelled]]:
    """What was said and what is there, in pixels of the stored picture, labels as they are compared."""
    said = all_brought(predictions(rollout.text).found, rollout, to=Frame.PIXEL)
    gold = list(rollout.sample.target)
    name = {"grounding": rollout.sample.data["names"][0], "referring": ""}.get(rollout.sample.kind)
    return _named(said, name), _named(gold, name)


def _named(things: Sequence[Labelled], name: str | None) -> list[Labelled]:
    return [Labelled((thing.label if name is None else name).strip().lower(), thing.box) for thing in things]


def _sum(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts(n_right=0, n_said=0, n_gold=0))


def _counts(said: Sequence[Labelled], gold: Sequence[Labelled]) -> Counts:
    return found(said, gold, iou=HIT)
