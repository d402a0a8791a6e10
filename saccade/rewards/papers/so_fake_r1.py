"""So-Fake-R1 (2505.18660): is a picture real, tampered or fully synthetic, and where was it tampered with.

    rewards = weighted((format(), 1.0), (classification(), 1.0), (localisation(), 1.0))       # I

ALL reward formulas here are inferred (# I): the code was not released and the paper's figures show only that rules
score the class and the box. What is certain (# C, figures) is the answer's form, in a picture of 224 x 224 as the model
sees it:

    <think>...</think> <answer>REAL</answer>
    <think>...</think> <answer>FULL_SYNTHETIC</answer>
    <think>...</think> <answer>TAMPERED,(0,4),(213,205).</answer>         the full stop may be missing

The gold is a `Truth`. Label numbers changed between versions of the data set, so `Truth.of` takes their names.

Reward hacking to watch: a box around the whole picture has an IoU of the tampered share. `coverage()` with weight 0
logs how much of the picture the boxes take; `localisation(above=0.5)` pays only real overlap.

Marks: # P paper, # C figures and data cards, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.core.picture import Box, Frame
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Sample
from saccade.rewards.geometry.boxes import clipped, is_proper
from saccade.rewards.geometry.masks import Overlap, box_around, ciou_over_set, f1_over_set, giou_over_set, macro_f1
from saccade.rewards.geometry.objects import brought
from saccade.rewards.published import Example, published
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import THINK_ANSWER, last_section

SYSTEM = "So-Fake-R1"

REAL, TAMPERED, FULL_SYNTHETIC = LABELS = ("REAL", "TAMPERED", "FULL_SYNTHETIC")  # C
NAMES_OOD_V1 = {0: FULL_SYNTHETIC, 1: REAL, 2: TAMPERED}  # C data card of So-Fake-OOD, first version
NAMES_OOD_V2 = {0: REAL, 1: TAMPERED, 2: FULL_SYNTHETIC}  # C the second version

_POINT = r"\(\s{0,3}([0-9]{1,6})\s{0,3},\s{0,3}([0-9]{1,6})\s{0,3}\)"
_COMMA = r"\s{0,3},\s{0,3}"
_BODY = re.compile(rf"(?:(REAL|FULL_SYNTHETIC)|(TAMPERED){_COMMA}{_POINT}{_COMMA}{_POINT})\s{{0,3}}\.?")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The gold: the label by name, and the box of the tampered area, None where nothing was tampered with."""

    label: str
    box: Box | None = None

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"the label must be one of {', '.join(LABELS)}, got {self.label!r}")
        if (self.label == TAMPERED) != (self.box is not None):
            raise ValueError(f"a {self.label} picture {'needs a box' if self.label == TAMPERED else 'has no box'}")
        if self.box is not None and not is_proper(self.box):
            raise ValueError(f"the tampered area {self.box} is empty")

    @classmethod
    def of(cls, label: int | str, mask_HW: np.ndarray | None = None, *, names: Mapping[int, str] = NAMES_OOD_V2) -> Truth:
        """From a row: its label by number or name, and its mask, of which the box takes all components above 0."""
        name = names[label] if isinstance(label, int) else label.strip().upper().replace(" ", "_")
        if name != TAMPERED:
            return cls(label=name)
        return cls(label=name, box=None if mask_HW is None else box_around(mask_HW))


@dataclass(frozen=True)
class Verdict:
    """What an answer says: the label, and the box for TAMPERED, as written."""

    label: str
    box: Box | None = None


def verdict(body: str, *, frame: Frame = Frame.MODEL) -> Reading[Verdict]:
    """The verdict that an answer block's whole text is."""
    match = _BODY.fullmatch(body.strip())
    if match is None:
        return Reading(None, "the answer is no verdict")
    if match[1]:
        return Reading(Verdict(match[1]))
    return Reading(Verdict(TAMPERED, Box(*(float(value) for value in match.group(3, 4, 5, 6)), frame)))


def _said(rollout: Rollout, frame: Frame) -> Reading[Verdict]:
    return last_section(rollout.text, "answer").then(lambda body: verdict(body, frame=frame))


@dataclass(frozen=True, kw_only=True)
class Format:
    """1 if the whole text is a think and an answer block, neither empty, and the answer a verdict, else 0."""

    def __call__(self, rollout: Rollout) -> Score:
        read = THINK_ANSWER.read(rollout.text).then(lambda parts: verdict(parts["answer"]))
        return Score(float(read.value is not None), read.why or "think, then a verdict")


@dataclass(frozen=True, kw_only=True)
class Classification:
    """1 if the verdict's label is the true one, else 0; no readable verdict is 0."""

    def __call__(self, rollout: Rollout) -> Score:
        truth = rollout.sample.target
        if not isinstance(truth, Truth):
            return Score(None, "the gold is no Truth")
        said = _said(rollout, Frame.MODEL)
        if said.value is None:
            return Score(0.0, said.why)
        return Score(float(said.value.label == truth.label), f"{said.value.label}; gold {truth.label}")


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """IoU of the boxes where the truth is TAMPERED and the verdict is too, else 0; see `localisation`."""

    frame: Frame = Frame.MODEL
    above: float | None = None

    def __call__(self, rollout: Rollout) -> Score:
        truth = rollout.sample.target
        if not isinstance(truth, Truth):
            return Score(None, "the gold is no Truth")
        if truth.box is None:
            return Score(0.0, f"nothing to find: {truth.label}")
        said = _said(rollout, self.frame)
        if said.value is None or said.value.box is None:
            return Score(0.0, said.why or f"{said.value.label}; gold {TAMPERED}")
        box = clipped(brought(said.value.box, rollout, to=Frame.UNIT), width=1.0, height=1.0)
        if not is_proper(box):
            return Score(0.0, "the box is empty or outside the picture")
        iou = box.iou(brought(truth.box, rollout, to=Frame.UNIT))
        return Score(iou if self.above is None else float(iou > self.above), f"IoU {iou:.2f}")

    def best_for(self, sample: Sample) -> float | None:
        """1 where there is something to find, else 0."""
        return float(isinstance(sample.target, Truth) and sample.target.box is not None)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The share of the picture that the answer's box takes, 0 to 1; 0 where it has none."""

    frame: Frame = Frame.MODEL

    def __call__(self, rollout: Rollout) -> Score:
        said = _said(rollout, self.frame).value
        if said is None or said.box is None:
            return Score(0.0, "no box")
        share = clipped(brought(said.box, rollout, to=Frame.UNIT), width=1.0, height=1.0).area
        return Score(share, f"the box takes {share:.0%} of the picture")


_EXAMPLE = Example(
    text="<think>The seam around the bag is too soft.</think>\n<answer>TAMPERED,(68,97),(154,138).</answer>",
    target=Truth(label=TAMPERED, box=Box(136, 194, 308, 276, Frame.PIXEL)),
    size=(448, 448),
    model_size=(224, 224),
)


@published(
    formula="1 if the text is a think and an answer block, and the answer is a verdict of the three forms, else 0",
    source="I; the forms C",
    target="not read",
    example=_EXAMPLE,
)
def format() -> Reward:
    """The format term, named "format"."""
    return Reward(name="format", function=Format())


@published(
    formula="1 if the label is the true one, else 0",
    source="I",
    target="a Truth",
    example=_EXAMPLE,
)
def classification() -> Reward:
    """The class term, named "classification"."""
    return Reward(name="classification", function=Classification())


@published(
    formula="IoU of the boxes where truth and verdict are TAMPERED, else 0",
    source="I",
    target="a Truth, its box in any frame",
    changed="pays nothing on pictures that were not tampered with, or the policy learns to always say TAMPERED",
    example=_EXAMPLE,
)
def localisation(*, frame: Frame = Frame.MODEL, above: float | None = None) -> Reward:
    """The box term, named "localisation": the box is read in `frame` and clipped to the picture.

    `above`: 1 above this IoU, else 0, instead of the IoU itself.
    """
    return Reward(name="localisation", function=Localisation(frame=frame, above=above), best=None)


def coverage(*, frame: Frame = Frame.MODEL) -> Reward:
    """What to watch, not to train on: give it weight 0, and the mean share of the picture that boxes take is logged."""
    return Reward(name="coverage", function=Coverage(frame=frame), best=None)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Detection over all pictures, localisation over the tampered ones, whether or not their class was right. # S

    `by_label` is the share of right answers among pictures of each label: an overall accuracy hides the tampered ones.
    """

    accuracy: float
    macro_f1: float
    by_label: Mapping[str, float]
    mean_iou: float | None
    mean_f1: float | None
    ciou: float | None


def evaluation(said: Sequence[str], truth: Sequence[str], *, tampered: Sequence[Overlap] = ()) -> Evaluation:
    """The figures of a test set. `said` may hold "" for answers that could not be read, which are wrong.

    `tampered` has one mask overlap (masks.compare) per picture whose TRUTH is tampered; without any, its figures are None.
    """
    if not truth:
        raise ValueError("an evaluation needs at least one picture")
    hits = [a == b for a, b in zip(said, truth, strict=True)]
    by_label = {
        label: sum(hit for hit, true in zip(hits, truth, strict=True) if true == label) / truth.count(label)
        for label in LABELS
        if label in truth
    }
    return Evaluation(
        accuracy=sum(hits) / len(hits),
        macro_f1=macro_f1(said, truth, classes=LABELS),
        by_label=by_label,
        mean_iou=giou_over_set(tampered) if tampered else None,
        mean_f1=f1_over_set(tampered) if tampered else None,
        ciou=ciou_over_set(tampered) if tampered else None,
    )
