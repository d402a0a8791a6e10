"""The rewards of VLAA-Thinker (2504.11468): five kinds of answers, five comparisons, and no reward for format alone.

    rewards = weighted((mixed(scorer=reward_model), 1.0))

The last <answer> block is graded; without one the reward is 0, which is the only gate on format. data["route"], or else
the kind of the sample, says how:

    digit    the number is the gold's                                              0 or 1        P, detail I
    mcq      the letter is the gold's                                              0 or 1        P, detail I
    math     math-verify says that the values are equal (the extra `math`)         0 or 1        P
    iou      IoU of the predicted with the gold box, both 0 to 1                   0 to 1        P
    open     1 - exp(-beta d) for d > 0, else 0; d = S(answer) - S(reference)      0 to below 1  P, beta C of ScoreRS

Meeting the reference earns nothing in the open route; only beating it does, and a gap of 5 scores .63, so the routes have
different scales: the run logs each by itself.

Departs, or fills in what the paper leaves open (its training code was never released), each with its reason:
- An answer that names two different numbers, letters or values is wrong: naming all would otherwise pay.
- Prose is not handed to math-verify, which finds any number in it.
- Of several boxes the first counts.
- A reward model that fails is absent (None); in the code that beta comes from (ScoreRS) it is 0.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import functools
import math as _math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saccade.core.picture import Box, Frame
from saccade.core.reward import Reward, value_of
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Message, Sample
from saccade.rewards.answers.accuracy import accuracy_by, golds_of, last_answer, same_choice
from saccade.rewards.answers.numeric import is_close, only_quantity
from saccade.rewards.answers.rule import says_the_same
from saccade.rewards.geometry.objects import brought, gold_box
from saccade.rewards.judges.judge import Judge, JudgeFailed, Question, replied
from saccade.rewards.judges.quote import quoted
from saccade.rewards.mix import routed
from saccade.rewards.published import Example, published
from saccade.rewards.read.boxes import box
from saccade.rewards.read.choices import choice
from saccade.rewards.read.numbers import quantity

SYSTEM = "VLAA-Thinker"

BETA = 0.2  # C of ScoreRS, whose reward this is; VLAA's own I
OPTIONS = "ABCDEFGH"  # O ArxivQA has more than four
DAGGER = "†"  # P Math PUMA's gold is a worked solution whose last line is †Answer: ...

Scorer = Callable[[tuple[Message, ...]], "float | None | Awaitable[float | None]"]
"""How good the last, the assistant's, turn of a conversation is: any scale. None or JudgeFailed where it cannot tell."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """IoU of the answer's first box with the gold box; see `iou`."""

    frame: Frame = Frame.UNIT

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_box(_as_box(rollout.sample.target, self.frame))
        if gold.value is None:
            return Score(None, gold.why)
        found = last_answer(rollout.text).then(lambda answer: box(answer, frame=self.frame))
        if found.value is None:
            return Score(0.0, found.why)
        overlap = brought(found.value, rollout, to=gold.value.frame).iou(gold.value)
        return Score(overlap, f"IoU {overlap:.2f}")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far the answer beats the reference by a reward model; see `open_ended`."""

    scorer: Scorer | None
    beta: float = BETA

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(f"beta must be above 0, got {self.beta}")

    async def __call__(self, rollout: Rollout) -> Score:
        answer, golds = last_answer(rollout.text), golds_of(rollout.sample)
        if not golds:
            return Score(None, "the gold answer is empty")
        if not answer.value:
            return Score(0.0, answer.why or "the answer is empty")
        if self.scorer is None:
            raise ValueError("open-ended answers need a reward model: vlaa_thinker.mixed(scorer=...) or open_ended(scorer)")
        try:
            ours, reference = [await self._score(rollout.sample, text) for text in (answer.value, golds[0])]
        except JudgeFailed as error:
            return Score(None, f"reward model failed: {error}")
        if ours is None or reference is None:
            return Score(None, "the reward model cannot tell")
        return Score(self.worth(ours - reference), f"{ours:.3g} against {reference:.3g} of the reference")

    def worth(self, gap: float) -> float:
        """1 - exp(-beta gap), 0 for a gap of 0 and below."""
        return -_math.expm1(-self.beta * gap) if gap > 0 else 0.0

    async def _score(self, sample: Sample, answer: str) -> float | None:
        return await value_of(self.scorer((*sample.messages, Message("assistant", (answer,)))))


def rated_by(judge: Judge) -> Scorer:
    """A judge as the reward model: it rates each answer from 0 to 10 by itself. A stand-in for a real one. # O"""
    schema = {
        "type": "object",
        "properties": {"rating": {"type": "number", "minimum": 0, "maximum": 10}},
        "required": ["rating"],
    }
    rules = "Rate how correct, complete and helpful the last reply of a conversation about a picture is, from 0 to 10."

    async def rate(conversation: tuple[Message, ...]) -> float:
        *asked, answer = conversation
        parts = [part for message in asked if message.role == "user" for part in message.parts]
        said = f"The reply:\n{quoted(answer.text)}"
        reply = await replied(judge, Question.about(rules, *parts, said, schema=schema, max_tokens=32))
        return float(reply.data["rating"])

    return rate


def gold_of_solution(solution: str) -> str:
    """The final answer of a worked Math PUMA solution: what its dagger line holds; the whole text where there is none. # P

    >>> gold_of_solution("First 2 + 2.\\n†Answer: 4")
    '4'
    """
    final = solution.rpartition(DAGGER)[2].strip()
    label, colon, rest = final.partition(":")
    return rest.strip() if colon and label.strip().lower() in ("answer", "the answer is") else final


def route_of(sample: Sample) -> str:
    """The sample's route: data["route"], else its kind."""
    return str(sample.data.get("route", sample.kind))


@published(
    formula="1 if the number in the answer is the gold's, else 0",
    source="P, detail I",
    target="the gold number",
    changed="an answer that names several numbers is wrong",
    example=Example(text="<think>three cubes</think>\n<answer>3</answer>", target=3, kind="digit"),
)
def digit() -> Reward:
    """The digit route, 0 or 1."""
    return accuracy_by(functools.partial(is_close, read=only_quantity), readable=quantity, name="digit")


@published(
    formula="1 if the answer chooses the gold's letter, else 0",
    source="P, detail I",
    target="the gold letter, bare or before its option's text",
    changed="an answer that names several letters is wrong",
    example=Example(text="<think>it is a cat</think>\n<answer>(B) a cat</answer>", target="B", kind="mcq"),
)
def mcq(*, options: str = OPTIONS) -> Reward:
    """The multiple-choice route, 0 or 1."""
    chosen = functools.partial(choice, options=options)
    return accuracy_by(functools.partial(same_choice, options=options), readable=chosen, name="mcq")


@published(
    formula="1 if math-verify finds the answer equal to the gold, else 0",
    source="P",
    target="the gold answer in LaTeX, or a solution that ends with a dagger line",
    changed="prose is no formula, however many numbers stand in it",
    example=Example(text="<think>1/2</think>\n<answer>\\frac{1}{2}</answer>", target="0.5", kind="math"),
)
def math() -> Reward:
    """The LaTeX route, 0 or 1."""
    return accuracy_by(lambda answer, gold: says_the_same(answer, gold_of_solution(gold)), name="math")


@published(
    formula="IoU of the predicted with the gold box, 0 where none can be read",
    source="P",
    target="a Box, or its four numbers from 0 to 1",
    changed="of several boxes the first counts",
    example=Example(
        text="<think>left</think>\n<answer>[0.1, 0.2, 0.5, 0.6]</answer>",
        target=Box(0.1, 0.2, 0.5, 0.6, Frame.UNIT),
        kind="iou",
    ),
)
def iou(*, frame: Frame = Frame.UNIT) -> Reward:
    """The grounding route, 0 to 1. `frame` is the one that the prompt asks for."""
    return Reward(name="iou", function=Overlap(frame=frame))


@published(
    formula="1 - exp(-beta d) if d > 0 else 0, d = S(answer) - S(reference), beta 0.2",
    source="P; beta C of ScoreRS",
    target="the reference answer",
    changed="a reward model that fails is absent, not 0",
)
def open_ended(scorer: Scorer | None = None, *, beta: float = BETA) -> Reward:
    """The open-ended route, 0 to below 1: how far a reward model finds the answer better than the reference.

    `scorer` rates a conversation; both are asked for every rollout, so one that is slow should remember the reference.
    """
    return Reward(name="open", function=Gap(scorer=scorer, beta=beta), best=None)


@published(
    formula="the route that the sample asks for: digit, mcq, math, iou or open; 0 without an answer block",
    source="P",
    target='by data["route"], else kind, as in the routes',
    changed="a sample with an unknown route is a fault of the data and no zero",
    example=Example(text="<think>three cubes</think>\n<answer>3</answer>", target=3, data={"route": "digit"}),
)
def mixed(*, scorer: Scorer | None = None, beta: float = BETA, frame: Frame = Frame.UNIT) -> Reward:
    """VLAA-Thinker's whole reward, logged by route; `scorer` is the open route's reward model."""
    routes = {"digit": digit(), "mcq": mcq(), "math": math(), "iou": iou(frame=frame), "open": open_ended(scorer, beta=beta)}
    return routed(route_of, routes, name="mixed")


def _as_box(target: Any, frame: Frame) -> Any:
    """The target, made a Box of `frame` where it is four bare numbers or their text."""
    if isinstance(target, str):
        return box(target, frame=frame).value
    if isinstance(target, list | tuple) and len(target) == 4 and all(isinstance(x, int | float) for x in target):
        return Box(*map(float, target), frame)
    return target
