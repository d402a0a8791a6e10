"""GUI-R1: the next action on one screenshot.

    rewards = gui_r1.rewards()                    # P, C 0.8 accuracy + 0.2 format

The answer is `<think> ... </think> <answer>[{'action': 'click', 'point': [x, y], 'input_text': 'no input
text'}]</answer>`, its point in pixels of the picture as the model saw it; the gold is a `GoldAction`, its place in
fractions of the picture.

Departs, each with its reason:
- The list is read as a literal, so that `close/delete`, double quotes and apostrophes count, and a `[5, 6]` in the
  text does not become the point. The released code has a regular expression per field, each with one of these flaws,
  and runs `eval` on what the model wrote to check the format.
- One action is asked for: several score 0. The released code judges the first and overlooks the rest.
- An empty list has no format. In the released code it has.
- Text must overlap by more than half, as in the paper; the released code takes exactly half as well, and a single word
  that is a part of the gold one ("e" for "hello").
- Accuracy is 0 or 1, as in the released code. The paper writes a sum of three parts for the action, its point and its
  text: that sum would pay for a point where none is asked for. The parts are `type_match` and `grounding`.
- Gold places are scaled to the size that the model saw; in the released code to the size before the processor rounds it.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from saccade.core.picture import Box, Frame, Point
from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import short
from saccade.rewards.answers.overlap import word_set_f1
from saccade.rewards.papers.gui_r1.action import (
    ACTIONS,
    POINT_ACTIONS,
    TEXT_ACTIONS,
    GoldAction,
    lacks_text,
    one_action,
)
from saccade.rewards.papers.gui_r1.released import released_action, released_format
from saccade.rewards.published import Example, published
from saccade.rewards.read.actions import NO_TEXT, Action, whole_actions
from saccade.rewards.read.tags import layout

__all__ = [
    "ACTIONS",
    "GoldAction",
    "accuracy",
    "format",
    "grounding",
    "metrics",
    "one_action",
    "released_action",
    "rewards",
    "success",
    "type_match",
]

SYSTEM = "GUI-R1"

RADIUS_PX = 140.0  # C how near a click must come where the gold is a point, in pixels of the picture as the model saw it
RADIUS_UNIT = 0.14  # C the same in the released evaluation, in fractions of width and height
COMPARES_TEXT = ("type", "select", "scroll")  # C to be right, in training


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Whether the action, its point and its text are right; see `accuracy`."""

    frame: Frame = Frame.MODEL
    radius: float = RADIUS_PX
    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        return _scored(rollout, self._judge, frame=self.frame, as_released=self.as_released)

    def _judge(self, said: Action, gold: GoldAction, rollout: Rollout) -> Score:
        if not self.as_released and _lacks_gold_text(gold, among=COMPARES_TEXT):
            return _no_gold_text(gold)
        if not _same_name(said, gold):
            return Score(0.0, f"{short(said.name)} for {gold.name}")
        if gold.name.lower() == "click":
            return self._place(said, gold, rollout)
        if gold.name.lower() in COMPARES_TEXT:
            return _text(said, gold, self.as_released)
        return Score(1.0, gold.name)

    def _place(self, said: Action, gold: GoldAction, rollout: Rollout) -> Score:
        if said.point is None:
            return Score(0.0, "no point")
        here, place = (_convert(shape, Frame.MODEL, rollout) for shape in (said.point, gold.place))
        if isinstance(place, Box):
            return _inside(place, here)
        is_near = _apart(here, place) < self.radius
        return Score(float(is_near), f"{'less' if is_near else 'not less'} than {self.radius:g} px away")


@dataclass(frozen=True, kw_only=True)
class Format:
    """Whether the answer is laid out as asked; see `format`."""

    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        blocks = layout(rollout.text, "think", "answer")
        if blocks.value is None:
            return Score(0.0, blocks.why)
        if self.as_released:
            return released_format(rollout.text)
        found = whole_actions(blocks.value[1], frame=Frame.MODEL)
        if found.value is None:
            return Score(0.0, found.why)
        wrong = [lacks_text(action.name, action.text or NO_TEXT) for action in found.value] or ["no action"]
        return Score(float(not any(wrong)), next(filter(None, wrong), f"{len(wrong)} actions"))


_EXAMPLE = Example(
    text="<think>The button sends it.</think>\n"
    "<answer>[{'action': 'click', 'point': [290, 137], 'input_text': 'no input text'}]</answer>",
    target=GoldAction(name="click", place=Box(0.4, 0.3, 0.6, 0.5, Frame.UNIT)),
    size=(1280, 800),
    model_size=(644, 392),
)
_PRESS = Example(
    text="<think>One page back.</think>\n"
    "<answer>[{'action': 'press_back', 'point': [-100, -100], 'input_text': 'no input text'}]</answer>",
    target=GoldAction(name="press_back"),
)
_ONE_RADIUS = "within 0.14 of width and height of a gold point"


@published(
    formula="1 if the action is the gold one and its point lies strictly inside the gold box (within 140 px of a gold "
    "point) or its text shares words with F1 > 0.5, else 0; 1 for actions without either",
    source="P, C",
    target="a gui_r1.GoldAction",
    released="fields by regular expressions: no slashes, no double quotes, the last [x, y] of the line; F1 >= 0.5, and "
    "parts of a word count",
    changed="the list is read once as a literal, never evaluated; several actions are none",
    example=_EXAMPLE,
)
def accuracy(*, frame: Frame = Frame.MODEL, radius: float = RADIUS_PX, as_released: bool = False) -> Reward:
    """Whether this is the right action. `frame` is what the prompt asks points in; `radius` hangs on the resolution. # C"""
    return Reward(name="accuracy", function=Accuracy(frame=frame, radius=radius, as_released=as_released))


@published(
    formula="1 if the text is a think and an answer block, this one a list of actions with action, point and input_text; "
    "else 0",
    source="P, C",
    target="not read",
    released="an empty list passes; the list is evaluated as Python; points are whole numbers",
    changed="the list is read as a literal and holds at least one action",
    example=_EXAMPLE,
)
def format(*, as_released: bool = False) -> Reward:
    """Whether the answer has its layout; type, select and open_app need a text, scroll a direction. Any name passes."""
    return Reward(name="format", function=Format(as_released=as_released))


def rewards(*, as_released: bool = False) -> Rewards:
    """0.8 accuracy + 0.2 format. # P, C"""
    return weighted((accuracy(as_released=as_released), 0.8), (format(as_released=as_released), 0.2))


@published(
    formula="evaluation: 1 if the action's name is the gold one",
    source="P",
    target="a gui_r1.GoldAction",
    released="the name by a regular expression",
    example=_PRESS,
)
def type_match(*, as_released: bool = False) -> Reward:
    """Type, the share of right action names."""

    def judge(said: Action, gold: GoldAction, rollout: Rollout) -> Score:
        return Score(float(_same_name(said, gold)), f"{short(said.name)} for {gold.name}")

    return _measure("type", judge, Frame.MODEL, as_released)


@published(
    formula=f"evaluation: 1 if the point lies strictly inside the gold box, or {_ONE_RADIUS}; "
    "no value where none is asked for",
    source="P",
    target="a gui_r1.GoldAction",
    released="within 0.14 of the gold box's top left corner",
    example=_EXAMPLE,
)
def grounding(*, frame: Frame = Frame.MODEL, as_released: bool = False) -> Reward:
    """GR, the share of right points among the actions that need one; also what ScreenSpot asks."""

    def judge(said: Action, gold: GoldAction, rollout: Rollout) -> Score:
        if gold.name.lower() not in POINT_ACTIONS:
            return Score(None, f"{gold.name} has no point")
        return _grounded(said, gold, rollout, as_released)

    return _measure("grounding", judge, frame, as_released)


@published(
    formula="evaluation: 1 if the name, and the point or the text, are right",
    source="P",
    target="a gui_r1.GoldAction",
    released="the point or the text alone: any name passes, and actions with neither are left out",
    example=_EXAMPLE,
)
def success(*, frame: Frame = Frame.MODEL, as_released: bool = False) -> Reward:
    """SR, the share of right steps."""

    def judge(said: Action, gold: GoldAction, rollout: Rollout) -> Score:
        if not as_released and _lacks_gold_text(gold, among=TEXT_ACTIONS):
            return _no_gold_text(gold)
        if not as_released and not _same_name(said, gold):
            return Score(0.0, f"{short(said.name)} for {gold.name}")
        if gold.name.lower() in POINT_ACTIONS:
            return _grounded(said, gold, rollout, as_released)
        if gold.name.lower() in TEXT_ACTIONS:
            return _text(said, gold, as_released)
        return Score(None if as_released else 1.0, f"{gold.name} has no argument")

    return _measure("success", judge, frame, as_released)


def metrics(
    rollouts: Sequence[Rollout], *, frame: Frame = Frame.MODEL, as_released: bool = False
) -> dict[str, float | None]:
    """Type, GR and SR over answers, each the mean over those that it has a value for; None where there are none.

    An answer that cannot be read is wrong in all three. # P; with `as_released`, # C
    """
    terms = {
        "Type": type_match(as_released=as_released),
        "GR": grounding(frame=frame, as_released=as_released),
        "SR": success(frame=frame, as_released=as_released),
    }
    values = {name: [term(rollout).value for rollout in rollouts] for name, term in terms.items()}
    known = {name: [value for value in column if value is not None] for name, column in values.items()}
    return {name: fmean(column) if column else None for name, column in known.items()}


_NOTHING = Action("")
Judgement = Callable[[Action, GoldAction, Rollout], Score]


def _measure(name: str, judge: Judgement, frame: Frame, as_released: bool) -> Reward:
    return Reward(name=name, function=lambda rollout: _scored(rollout, judge, frame=frame, as_released=as_released))


def _scored(rollout: Rollout, judge: Judgement, *, frame: Frame, as_released: bool) -> Score:
    gold = rollout.sample.target
    if not isinstance(gold, GoldAction):
        return Score(None, "the gold is no GoldAction")
    if as_released:
        return judge(released_action(rollout.text), gold, rollout)
    said = one_action(rollout.text, frame=frame)
    score = judge(said.value or _NOTHING, gold, rollout)
    # Where the gold action leaves nothing to judge, an unreadable answer has no value either.
    return score if said.value is not None or score.value is None else Score(0.0, said.why)


def _grounded(said: Action, gold: GoldAction, rollout: Rollout, as_released: bool) -> Score:
    if said.point is None:
        return Score(0.0, "no point")
    here, place = (_convert(shape, Frame.UNIT, rollout) for shape in (said.point, gold.place))
    if isinstance(place, Box) and not as_released:
        return _inside(place, here)
    corner = Point(place.x1, place.y1, place.frame) if isinstance(place, Box) else place
    is_near = _apart(here, corner) < RADIUS_UNIT
    return Score(float(is_near), f"{'less' if is_near else 'not less'} than {RADIUS_UNIT} away")


def _lacks_gold_text(gold: GoldAction, *, among: Sequence[str]) -> bool:
    """Whether a text should be compared and the row has none: then no answer can be judged, a wrong name no more than a right one."""
    return gold.name.lower() in among and gold.text.strip() in ("", NO_TEXT)


def _no_gold_text(gold: GoldAction) -> Score:
    return Score(None, f"the gold {gold.name} has no text")


def _text(said: Action, gold: GoldAction, as_released: bool) -> Score:
    f1 = word_set_f1(said.text or "", gold.text, parts_count=as_released)
    return Score(float(f1 >= 0.5 if as_released else f1 > 0.5), f"F1 {f1:.2f} with {short(gold.text)}")


def _inside(box: Box, point: Point) -> Score:
    is_inside = box.x1 < point.x < box.x2 and box.y1 < point.y < box.y2
    return Score(float(is_inside), f"({point.x:g}, {point.y:g}) {'inside' if is_inside else 'not inside'} the box")


def _apart(a: Point, b: Point) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def _same_name(said: Action, gold: GoldAction) -> bool:
    return said.name.lower() == gold.name.lower()


def _convert(shape: Box | Point, frame: Frame, rollout: Rollout) -> Box | Point:
    if shape.frame is frame:
        return shape
    if not rollout.pictures:
        raise ValueError(f"sample {rollout.sample.id!r} has no picture to convert the {shape.frame} frame through")
    return rollout.pictures[-1].convert(shape, to=frame)
