"""VLM-R1's open-vocabulary detection: mAP with and without a length penalty, the weighted sum, and the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from saccade.core.picture import Box, Frame, Labelled
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.format import format_of, strict_format_of
from saccade.rewards.geometry.boxes import pairwise_iou
from saccade.rewards.geometry.matching import greedy
from saccade.rewards.geometry.objects import all_brought, gold_objects
from saccade.rewards.geometry.sample_map import sample_map
from saccade.rewards.papers.vlm_r1.reading import SYSTEM as SYSTEM
from saccade.rewards.papers.vlm_r1.reading import Detections, detections, detections_in, folded, released_detections
from saccade.rewards.published import Example, published
from saccade.rewards.read.literals import fences, literal
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import THINK_ANSWER


def _read(rollout: Rollout, frame: Frame, as_released: bool) -> Reading[Detections]:
    return released_detections(rollout.text, frame) if as_released else detections(rollout.text, frame)


def _of_nothing(said: Detections) -> Score:
    """The score where nothing is there: 1 for saying so, in a word or by an empty list."""
    is_right = not said.n_written
    return Score(float(is_right), "nothing, rightly" if is_right else f"wrote {said.n_written} boxes where there is nothing")


@dataclass(frozen=True, kw_only=True)
class MeanPrecision:
    """COCO mAP of the answer's boxes, all of score 1, times what their number leaves; see `od_ap` and `od_length`.

    `whole_text`: the boxes may stand anywhere, without answer tags.
    """

    measure: Literal["map", "ap50"] = "map"
    by_length: bool = False
    whole_text: bool = False
    frame: Frame = Frame.MODEL
    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_objects(rollout.sample.target)
        if gold.value is None:
            return Score(None, gold.why)
        read = detections_in(rollout.text, self.frame) if self.whole_text else _read(rollout, self.frame, self.as_released)
        if read.value is None:
            return Score(0.0, read.why)
        if not gold.value:
            return _of_nothing(read.value)
        if not read.value.found:
            return Score(0.0, "no box")
        said, labelled = all_brought(read.value.found, rollout, to=gold.value[0].box.frame), gold.value
        if not self.as_released:
            said, labelled = folded(said), folded(labelled)
        value = max(0.0, getattr(sample_map(said, labelled), self.measure))  # I below 0 where no gold counts
        why = f"{self.measure} {value:.2f}, {read.value.n_written} boxes for {len(gold.value)}"
        return Score(value * min(1.0, len(gold.value) / read.value.n_written) if self.by_length else value, why)


@dataclass(frozen=True, kw_only=True)
class WeightedSum:
    """(a position + b label + g completeness) / (a + b + g); see `weighted_sum`."""

    position: float = 0.7  # C
    label: float = 0.0  # C
    completeness: float = 0.3  # C
    at_least: float = 0.5  # C
    frame: Frame = Frame.MODEL

    def __post_init__(self) -> None:
        weights = (self.position, self.label, self.completeness)
        if min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"weights are 0 or more and not all 0, got position, label, completeness = {weights}")

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_objects(rollout.sample.target)
        if gold.value is None:
            return Score(None, gold.why)
        read = detections(rollout.text, self.frame)
        if read.value is None:
            return Score(0.0, read.why)
        if not gold.value:
            return _of_nothing(read.value)
        if not read.value.found:
            return Score(0.0, "no box")
        said = folded(all_brought(read.value.found, rollout, to=gold.value[0].box.frame))
        return self.value(said, folded(gold.value), n_written=read.value.n_written)

    def value(self, said: Sequence[Labelled], gold: Sequence[Labelled], *, n_written: int) -> Score:
        """The score of boxes in one frame. A pair of two labels uses both boxes up, and adds no IoU. # C"""
        iou_NM = pairwise_iou([thing.box for thing in said], [thing.box for thing in gold])
        pairs = greedy(iou_NM, at_least=self.at_least)
        same = [(i, j) for i, j in pairs if said[i].label == gold[j].label]
        position = sum(float(iou_NM[pair]) for pair in same) / len(gold)
        missed, alarms = 1 - len(pairs) / len(gold), 1 - len(pairs) / n_written
        completeness = 1 - (missed + alarms) / 2
        label = len(same) / len(gold)
        total = self.position * position + self.label * label + self.completeness * completeness
        why = f"position {position:.2f}, label {label:.2f}, completeness {completeness:.2f}"
        return Score(total / (self.position + self.label + self.completeness), why)


@dataclass(frozen=True, kw_only=True)
class FormatOvd:
    """1 if the text is a think and an answer block, and the answer one JSON list in a fence, or the word None, else 0."""

    def __call__(self, rollout: Rollout) -> Score:
        read = THINK_ANSWER.read(rollout.text).then(lambda parts: self._list(parts["answer"]))
        return Score(float(read.value is not None), read.why or "think, then a list")

    @staticmethod
    def _list(answer: str) -> Reading[object]:
        if answer == "None":
            return Reading(answer)
        fenced = fences(answer, "json")
        if len(fenced) != 1 or not answer.startswith("```") or not answer.endswith("```"):
            return Reading(None, "the answer is no JSON fence")
        value = literal(fenced[0])
        return Reading(None, "no list in the fence") if not isinstance(value.value, list) else value


_LIST = '[{"bbox_2d": [10, 10, 50, 30], "label": "cat"}, {"bbox_2d": [60, 20, 90, 45], "label": "dog"}]'
_GOLD = (Labelled("cat", Box(20, 20, 100, 60, Frame.PIXEL)), Labelled("dog", Box(120, 40, 180, 90, Frame.PIXEL)))
_EXAMPLE = Example(
    text=f"<think>A cat and a dog, no bird.</think>\n<answer>```json\n{_LIST}\n```</answer>",
    target=_GOLD,
    size=(200, 100),
    model_size=(100, 50),
)
_TARGET = "a sequence of Labelled in any frame, empty where nothing is there"
_RELEASED = "boxes only from the last JSON fence; labels by case; swapped corners cost nothing"


@published(
    formula="COCO mAP at IoU .5:.95 of the answer's boxes, all of score 1, in their order",
    source="P, C",
    target=_TARGET,
    released=_RELEASED,
    changed="hackable, kept for comparison: labels that are not gold cost nothing, so listing every category pays",
    example=_EXAMPLE,
)
def od_ap(*, frame: Frame = Frame.MODEL, as_released: bool = False) -> Reward:
    """Detection by mAP, named "accuracy". Outputs grow without bound under it (P); prefer `od_length`."""
    return Reward(name="accuracy", function=MeanPrecision(frame=frame, as_released=as_released))


@published(
    formula="COCO AP at IoU .5 of the answer's boxes, all of score 1, in their order",
    source="P, C",
    target=_TARGET,
    released=_RELEASED,
    changed="hackable, as od_ap",
    example=_EXAMPLE,
)
def od_ap50(*, frame: Frame = Frame.MODEL, as_released: bool = False) -> Reward:
    """Detection by AP50, named "accuracy"; prefer `od_length`."""
    return Reward(name="accuracy", function=MeanPrecision(measure="ap50", frame=frame, as_released=as_released))


@published(
    formula="min(1, L_gold / L_said) * COCO mAP at IoU .5:.95",
    source="P (7, 8), C",
    target=_TARGET,
    released=_RELEASED,
    changed="items that are no box count in L_said",
    example=_EXAMPLE,
)
def od_length(*, frame: Frame = Frame.MODEL, as_released: bool = False) -> Reward:
    """Detection by mAP times the share of the answer that the gold has room for, named "accuracy"."""
    return Reward(name="accuracy", function=MeanPrecision(by_length=True, frame=frame, as_released=as_released))


@published(
    formula="COCO mAP at IoU .5:.95 of the boxes anywhere in the text",
    source="C",
    target=_TARGET,
    example=_EXAMPLE,
)
def map(*, frame: Frame = Frame.MODEL) -> Reward:
    """Detection by mAP without answer tags, named "accuracy": the last fence with boxes counts, else the whole text."""
    return Reward(name="accuracy", function=MeanPrecision(whole_text=True, frame=frame))


@published(
    formula="0.7 * sum of IoU over pairs of one label / N + 0.3 * (1 - (missed + false alarms) / 2), pairs of IoU >= 0.5",
    source="C",
    target=_TARGET,
    changed="a missing label is a wrong one; in the code it is another box's. Boxes in the answer block",
    example=_EXAMPLE,
)
def weighted_sum(
    *,
    frame: Frame = Frame.MODEL,
    position: float = 0.7,
    label: float = 0.0,
    completeness: float = 0.3,
    at_least: float = 0.5,
) -> Reward:
    """Detection by greedy pairs, named "accuracy", divided by the sum of the three weights."""
    function = WeightedSum(position=position, label=label, completeness=completeness, at_least=at_least, frame=frame)
    return Reward(name="accuracy", function=function)


@published(
    formula="1 if the whole text is a think block, then an answer block, else 0",
    source="P, C",
    target="not read",
    released="whitespace around the whole fails; empty blocks and blocks within blocks pass",
    changed="one block of each, neither empty",
    example=_EXAMPLE,
)
def format(*, as_released: bool = False) -> Reward:
    """The generic format, named "format"."""
    return strict_format_of("think", "answer") if as_released else format_of(THINK_ANSWER)


@published(
    formula="1 if the text is a think and an answer block, the answer a JSON list in a fence, or None, else 0",
    source="P",
    target="not read",
    released="the generic format",
    changed="None is a good answer, as the prompt asks for it where nothing is there",
    example=_EXAMPLE,
)
def format_ovd(*, as_released: bool = False) -> Reward:
    """The format of open-vocabulary detection, named "format"."""
    return strict_format_of("think", "answer") if as_released else Reward(name="format", function=FormatOvd())
