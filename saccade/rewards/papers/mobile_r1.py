"""Mobile-R1: the next action on a phone, and whole tasks on one.

    rewards = mobile_r1.action_level()                    # S stage 2: R_Act + R_Fmt, each 0 or 1
    rewards = mobile_r1.task_level(judge=server)          # I stage 3: R_traj in [0, 1] + R_fmt in [-1, 1]

A step is `<think> ... </think> <action> ... </action> <tool_call> {"name": "mobile_use", "arguments": {"action": ...}}
</tool_call>`; its gold is a `GoldStep`. No training code was released, so nothing here has a released reading: stage 2
is known from two independent digests (# S), the formulas of stage 3 are inferred (# I), and the paper names neither
its judge nor its prompt.

Departs, each with its reason:
- Coordinates are pixels of the screenshot (`frame=`), as the data set stores its size (# I).
- Arguments are compared as JSON values, so 2 is 2.0, but text must be equal to the letter.
- A judge's failure gives the trajectory no score, and the group goes on without it; the digests give 0
  (`on_failure="zero"`).

Marks: # P paper, # C figures and data card, # S second-hand, # I inferred, # O ours.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from saccade.core.picture import Box, Frame, Picture, Point
from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import EMPTY
from saccade.rewards.answers.accuracy import short
from saccade.rewards.judges import Judge, Question, Reply, judged, quoted
from saccade.rewards.published import Example, published
from saccade.rewards.read.literals import whole_literal
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import THINK_ACTION_TOOL_CALL
from saccade.rewards.read.tool_calls import ToolCall, tool_call

SYSTEM = "Mobile-R1"

TOOL = "mobile_use"  # C
SHOWN = 3  # I the last screenshots that the judge sees
MAX_STEPS = 60  # O the last steps that it sees
MAX_STEP = 2_000  # O characters of each
MAX_TURNS = 500  # O what follows so many steps is one
# I Qwen2.5-VL's stock tool: each action and its arguments
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "key": ("text",),
    "click": ("coordinate",),
    "long_press": ("coordinate", "time"),
    "swipe": ("coordinate", "coordinate2"),
    "type": ("text",),
    "system_button": ("button",),
    "open": ("text",),
    "wait": ("time",),
    "terminate": ("status",),
}
COORDINATE_ACTIONS = tuple(name for name, arguments in ACTIONS.items() if "coordinate" in arguments)


@dataclass(frozen=True, kw_only=True)
class GoldStep:
    """What should be done: an action of the tool on an element, or with exactly these arguments.

    >>> GoldStep(action="click", element=Box(40, 60, 200, 120, Frame.PIXEL))
    >>> GoldStep(action="terminate", arguments={"status": "success"})
    """

    action: str
    element: Box | None = None
    arguments: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        if (self.action in COORDINATE_ACTIONS) != (self.element is not None):
            has = "no element" if self.element is None else "an element"
            needs = f"{', '.join(COORDINATE_ACTIONS)} need the element's box, others none"
            raise ValueError(f"gold {self.action!r} has {has}; {needs}")
        if self.element is not None and self.element.area == 0:
            raise ValueError(f"the element's box is empty: {self.element}")


@dataclass(frozen=True, kw_only=True)
class ActionIsRight:
    """R_Act; see `action`."""

    frame: Frame = Frame.PIXEL

    def __call__(self, rollout: Rollout) -> Score:
        gold = rollout.sample.target
        if not isinstance(gold, GoldStep):
            return Score(None, "the gold is no GoldStep")
        call = tool_call(rollout.text).then(_of_the_tool)
        if call.value is None:
            return Score(0.0, call.why)
        arguments = dict(call.value.arguments)
        name = arguments.pop("action")
        if name != gold.action:
            return Score(0.0, f"{short(name)} for {gold.action}")
        if gold.element is None:
            is_same = _same(arguments, dict(gold.arguments))
            return Score(float(is_same), f"{name} {'with' if is_same else 'without'} the gold arguments")
        at = call.value.point("coordinate", frame=self.frame)
        if at.value is None:
            return Score(0.0, at.why)
        is_inside = gold.element.contains(_converted(at.value, gold.element.frame, rollout))
        return Score(float(is_inside), f"{name} {'inside' if is_inside else 'outside'} the element")


_STEP = (
    "<think>The form is filled in.</think>\n<action>Tap the send button.</action>\n"
    '<tool_call>{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [540, 1700]}}</tool_call>'
)
_EXAMPLE = Example(
    text=_STEP,
    target=GoldStep(action="click", element=Box(440, 1650, 640, 1750, Frame.PIXEL)),
    size=(1080, 2400),
    model_size=(560, 1232),
)


@published(
    formula="1 if the action is the gold one and its point lies in the element's box (a swipe by its start), or its "
    "arguments equal the gold ones; else 0",
    source="S",
    target="a mobile_r1.GoldStep",
    changed="nothing was released to differ from",
    example=_EXAMPLE,
)
def action(*, frame: Frame = Frame.PIXEL) -> Reward:
    """R_Act, of one step. `frame` is what the prompt asks coordinates in."""
    return Reward(name="action", function=ActionIsRight(frame=frame))


@published(
    formula="1 if the whole text is think, action and tool_call blocks in this order and the call parses, else 0",
    source="S",
    target="not read",
    example=_EXAMPLE,
)
def format() -> Reward:
    """R_Fmt, of one step."""

    def is_a_step(rollout: Rollout) -> Score:
        why = _misformed(rollout.text)
        return Score(float(not why), why or "think, action and tool_call")

    return Reward(name="format", function=is_a_step)


def action_level(*, frame: Frame = Frame.PIXEL) -> Rewards:
    """R_Act + R_Fmt, 0 to 2: stage 2. # S"""
    return weighted((action(frame=frame), 1.0), (format(), 1.0))


@published(
    formula="2 mean over steps of R_Fmt - 1",
    source="I",
    target="not read",
    example=_EXAMPLE,
)
def trajectory_format() -> Reward:
    """R_fmt of a trajectory, -1 to 1, so that a malformed step costs."""

    def share(rollout: Rollout, *, pieces: Callable[[Sequence[int]], Sequence[str]] | None = None) -> Score:
        turns = turns_of(rollout, pieces)
        n_right = sum(not _misformed(turn) for turn in turns)
        return Score(2 * n_right / len(turns) - 1 if turns else -1.0, f"{n_right} of {len(turns)} steps well formed")

    return Reward(name="trajectory_format", function=share)


@published(
    formula="(judge's score - 1) / 4, the score from 1 to 5",
    source="I",
    target="none: the judge sees the instruction, the steps and the last screenshots",
    changed="what the policy wrote is quoted, so that it cannot instruct the judge",
)
def trajectory_judged(
    *, judge: Judge | Literal["policy"] = "policy", on_failure: Literal["none", "zero", "stop"] = "none"
) -> Reward:
    """R_traj: how well the whole trajectory does the task, 0 to 1, by any judge."""
    return judged("trajectory_judged", judge=judge, ask=_about, read=_fifths, on_failure=on_failure, best=1.0)


def task_level(
    *, judge: Judge | Literal["policy"] = "policy", on_failure: Literal["none", "zero", "stop"] = "none"
) -> Rewards:
    """R_traj + R_fmt, -1 to 2: stage 3. # I"""
    return weighted((trajectory_judged(judge=judge, on_failure=on_failure), 1.0), (trajectory_format(), 1.0))


def turns_of(rollout: Rollout, pieces: Callable[[Sequence[int]], Sequence[str]] | None = None) -> list[str]:
    """The texts of a trajectory's steps.

    A step is what the policy sampled between two replies of the phone (with `pieces`, the text that each token adds).
    Where there is but one such stretch, or no `pieces`, a step ends with its </tool_call>; text after the last one is
    a step, too, unless blank.
    """
    turns = _sampled(rollout, pieces) if pieces is not None else []
    return turns if len(turns) > 1 else _cut(rollout.text)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What replaying one step of a recorded trajectory came to."""

    is_right: bool
    is_action_right: bool  # the action's name, whatever its arguments


def replay(trajectories: Sequence[Sequence[Step]]) -> dict[str, float]:
    """Accuracy over all steps, task and tail success over trajectories, and how many steps have wrong arguments. # C

    A task succeeds when every step is right. That the tail is the last step is inferred (# I). ValueError where there
    is none.
    """
    steps = [step for trajectory in trajectories for step in trajectory]
    if not steps or not all(trajectories):
        raise ValueError(f"replay needs trajectories of at least one step, got {len(trajectories)} with {len(steps)} steps")
    n = len(trajectories)
    return {
        "accuracy": sum(step.is_right for step in steps) / len(steps),
        "task_success": sum(all(step.is_right for step in trajectory) for trajectory in trajectories) / n,
        "tail_success": sum(trajectory[-1].is_right for trajectory in trajectories) / n,
        "wrong_arguments": float(sum(step.is_action_right and not step.is_right for step in steps)),
    }


_RULES = (
    "You assess how well an agent did a task on a phone. You are given the task, what the agent thought and did at each "
    "step, and the last screenshots. Judge whether the task was completed, and whether the steps follow from each other "
    "and lead to it. A step that was put right later is no fault. Score 5 for a completed task without detours, 4 for a "
    "completed one with some, 3 for most of the task, 2 for a little of it, 1 for none."
)
_SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["reason", "score"],
}


def _about(rollout: Rollout) -> Question | None:
    seen = rollout.pictures or rollout.sample.pictures
    screens: tuple[str | Picture, ...] = (f"The last {len(seen[-SHOWN:])} screenshots:", *seen[-SHOWN:]) if seen else ()
    asked = "".join(message.text for message in rollout.sample.messages if message.role == "user")
    task = rollout.sample.data.get("instruction", asked)
    turns = list(enumerate(turns_of(rollout), 1))[-MAX_STEPS:]
    if not turns:
        return None
    steps = [part for n, turn in turns for part in (f"Step {n}:", quoted(turn, limit=MAX_STEP))]
    return Question.about(_RULES, f"The task: {task}", *steps, *screens, schema=_SCHEMA)


def _fifths(reply: Reply, rollout: Rollout) -> Score:
    return Score((reply.data["score"] - 1) / 4, f"{reply.data['score']} of 5: {reply.data['reason']}")


def _misformed(text: str) -> str:
    """Why this is no well-formed step, empty where it is."""
    whole = THINK_ACTION_TOOL_CALL.read(text).then(lambda blocks: whole_literal(blocks["tool_call"]))
    return whole.then(lambda _: tool_call(text)).then(_of_the_tool).why


def _of_the_tool(call: ToolCall) -> Reading[ToolCall]:
    if call.name != TOOL:
        return Reading(None, f"a call of {short(call.name)}, not of {TOOL}")
    return Reading(call) if isinstance(call.arguments.get("action"), str) else Reading(None, "a call without an action")


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values; true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def _converted(point: Point, frame: Frame, rollout: Rollout) -> Point:
    if point.frame is frame:
        return point
    if not rollout.pictures:
        raise ValueError(f"sample {rollout.sample.id!r} has no picture to convert the {point.frame} frame through")
    return rollout.pictures[-1].convert(point, to=frame)


def _sampled(rollout: Rollout, pieces: Callable[[Sequence[int]], Sequence[str]]) -> list[str]:
    marked = zip(pieces(rollout.token_T), rollout.is_sampled_T, strict=True)
    stretches = itertools.groupby(marked, key=operator.itemgetter(1))
    return ["".join(piece for piece, _ in stretch).strip() for is_sampled, stretch in stretches if is_sampled]


def _cut(text: str) -> list[str]:
    *steps, rest = text.split("</tool_call>", MAX_TURNS)
    turns = [f"{step}</tool_call>".strip() for step in steps]
    return [*turns, rest.strip()] if rest.strip() else turns
