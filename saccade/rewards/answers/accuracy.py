"""Rewards of the common kind: the answer is right. One for each way of comparing, and one to bring your own.

    >>> rewards = weighted((numeric(relative=0.01), 1.0), (format, 0.5))         # the last <answer> against sample.target
    >>> accuracy_by(lambda answer, gold: iou(answer, gold), name="overlap")      # your own (text, gold) -> 0 to 1
    >>> normalised(read=boxed)                                                   # the answer stands in \\boxed{...}

All of them read the last answer block; `read=` names another reader, such as `whole_text` or `read.latex.boxed`. The gold is
`sample.target`: a text or a number, with or without <answer> tags, or a list of several right answers, of which the nearest
counts. No answer is 0. No gold, or one that cannot be read, is None: the row cannot be scored, and `saccade check` names it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Sample
from saccade.rewards.answers import numeric as _numeric
from saccade.rewards.answers import overlap
from saccade.rewards.answers import symbolic as _symbolic
from saccade.rewards.answers import text as _text
from saccade.rewards.read.choices import choice
from saccade.rewards.read.numbers import quantity
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import last_section

Same = Callable[[str, str], float | Awaitable[float]]
"""(answer, gold) -> how right it is, 0 to 1; a bool will do. It may be async, where it takes its time."""
Read = Callable[[str], Reading[str]]
"""The answer in a completion, or why there is none."""


def last_answer(text: str) -> Reading[str]:
    """What the last <answer> block holds."""
    return last_section(text, "answer")


def whole_text(text: str) -> Reading[str]:
    """The whole stripped text, for prompts that ask for the bare answer."""
    text = text.strip()
    return Reading(text) if text else Reading(None, "an empty text")


def golds_of(sample: Sample) -> list[str]:
    """The right answers that the sample's target names, stripped and out of their <answer> tags; none where it is empty."""
    target = sample.target
    found = target if isinstance(target, list | tuple) else [] if target is None else [target]
    stripped = (str(one).strip() for one in found)
    inside = (last_section(one, "answer").value if one.endswith("</answer>") else one for one in stripped)
    return [one for one in inside if one]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How right the answer is by `same`, at best over all golds; see this module."""

    same: Same
    read: Read = last_answer
    readable: Callable[[str], Reading[Any]] | None = None  # what a gold must be for `same` to mean anything

    def __call__(self, rollout: Rollout) -> Score | Awaitable[Score]:
        golds = golds_of(rollout.sample)
        if not golds:
            return Score(None, "the gold answer is empty")
        if self.readable is not None:
            readings = [self.readable(gold) for gold in golds]
            golds = [gold for gold, reading in zip(golds, readings, strict=True) if reading.value is not None]
            if not golds:
                return Score(None, f"the gold answer {short(str(rollout.sample.target))}: {readings[0].why}")
        answer = self.read(rollout.text)
        if answer.value is None:
            return Score(0.0, answer.why)
        values = [self.same(answer.value, gold) for gold in golds]
        if inspect.isawaitable(values[0]):
            return _nearest_of(values, answer.value, golds)
        return _nearest(values, answer.value, golds)


async def _nearest_of(values: list[Awaitable[float]], answer: str, golds: list[str]) -> Score:
    return _nearest(await asyncio.gather(*values), answer, golds)


def _nearest(values: Sequence[float], answer: str, golds: list[str]) -> Score:
    value, gold = max(zip(map(float, values), golds, strict=True), key=lambda found: found[0])
    return Score(value, f"{short(answer)} for {short(gold)}")


def accuracy_by(
    same: Same, *, read: Read = last_answer, readable: Callable[[str], Reading[Any]] | None = None, name: str = "accuracy"
) -> Reward:
    """Accuracy by your own comparison of (answer, gold), both text, from 0 to 1.

    `readable` is a reader that every gold must satisfy, so that one which cannot be read is told from an answer that is
    wrong.
    """
    return Reward(name=name, function=Accuracy(same=same, read=read, readable=readable))


def exact(*, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """1 if the answer is the gold, character by character."""
    return accuracy_by(_text.same, read=read, name=name)


def normalised(
    *,
    casefold: bool = True,
    drop_punctuation: bool = True,
    drop_articles: bool = False,
    read: Read = last_answer,
    name: str = "accuracy",
) -> Reward:
    """1 if the answer is the gold but for what `text.normalise` evens out."""
    options = {"casefold": casefold, "drop_punctuation": drop_punctuation, "drop_articles": drop_articles}
    return accuracy_by(functools.partial(_text.same_normalised, **options), read=read, name=name)


def multiple_choice(options: str = "ABCD", *, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """1 if the answer chooses the gold's letter: "B", "(b)", "B. a horse", "the answer is B"."""
    chosen = functools.partial(choice, options=options)
    chosen("")  # ValueError here, not at the first rollout, where these are no options
    return accuracy_by(functools.partial(same_choice, options=options), read=read, readable=chosen, name=name)


def numeric(*, absolute: float = 0.0, relative: float = 0.0, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """1 if the answer is a number within `absolute`, or `relative` times the gold, of the gold; see `numeric.is_close`."""
    if absolute < 0 or relative < 0:
        raise ValueError(f"a tolerance is 0 or more, got absolute={absolute}, relative={relative}")
    same = functools.partial(_numeric.is_close, absolute=absolute, relative=relative)
    return accuracy_by(same, read=read, readable=quantity, name=name)


def relaxed(
    *, tolerance: float = 0.05, exact_years: bool = False, read: Read = last_answer, name: str = "accuracy"
) -> Reward:
    """ChartQA's relaxed accuracy, 0 or 1; see `numeric.relaxed`."""
    same = functools.partial(_numeric.relaxed, tolerance=tolerance, exact_years=exact_years)
    return accuracy_by(same, read=read, name=name)


def anls(*, cutoff: float = 0.5, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """DocVQA's similarity by edits, 0 to 1; see `text.anls`."""
    return accuracy_by(functools.partial(_text.anls, cutoff=cutoff), read=read, name=name)


def token_f1(*, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """SQuAD's F1 of the words that answer and gold share; see `overlap.token_f1`."""
    return accuracy_by(overlap.token_f1, read=read, name=name)


def rouge(*, stem: bool = True, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """The mean F1 of ROUGE-1, -2 and -L, for answers in sentences; see `overlap.rouge_mean`."""
    return accuracy_by(functools.partial(overlap.rouge_mean, stem=stem), read=read, name=name)


def symbolic(*, read: Read = last_answer, name: str = "accuracy") -> Reward:
    """1 if answer and gold have the same mathematical value, by math-verify (the extra `math`); see `symbolic.is_equal`."""
    return accuracy_by(_symbolic.is_equal_async, read=read, name=name)


def same_choice(text: str, gold: str, *, options: str = "ABCD") -> float:
    """1 if both choose the same of `options`, else 0; a text that chooses none equals nothing."""
    chosen = choice(text, options).value
    return float(chosen is not None and chosen == choice(gold, options).value)


def short(text: str) -> str:
    """The beginning of a text in quotes, for a Score's `why`."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
