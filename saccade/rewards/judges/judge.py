"""Asking somebody what an answer is worth: one question, one reply, and what a failed judge means.

    >>> def about(rollout):
    ...     return Question.about("You grade answers. Reply with 0 or 1.", "Answer:", quoted(rollout.text), max_tokens=4)
    >>> correct = judged("correct", judge=server, ask=about, read=lambda reply, rollout: float(reply.said == "1"))

A judge is anything async that turns a Question into a Reply: a server (server.py), a local model (wave.py), a function
(rule.py), or the policy itself. It may answer from disk (`Cached`, cache.py). It fails by raising JudgeFailed, with one
sentence that ends up in the rollout's Score; `on_failure` says what that score is.

A reward can also do without a Judge and name `ask` as a parameter: the policy that is being trained then answers, greedily,
all questions of a step in batches (`await ask(messages)`); see run/ask.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from saccade.core.exchange import note
from saccade.core.picture import Picture
from saccade.core.reward import Reward, as_score, value_of
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Message
from saccade.rewards.judges.quote import NOTICE, without_halves
from saccade.rewards.judges.schema import in_words, read_json, require_known, without_thoughts

OnFailure = Literal["none", "zero", "half", "stop"]
ON_FAILURE = ("none", "zero", "half", "stop")
SHOWN = 500  # characters of a reply that a Score keeps


class JudgeFailed(RuntimeError):
    """A judge gave no usable answer; the message says why, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a judge is asked: messages with text and pictures, and the form of the reply.

    `schema` is a JSON schema that the reply must fit, None for free text; see schema.py for what of it is understood.
    `max_tokens` bounds the reply.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 512

    def __post_init__(self) -> None:
        if not self.messages or self.max_tokens < 1:
            raise ValueError(
                f"a question needs messages and max_tokens of at least 1, got {len(self.messages)} and {self.max_tokens}"
            )
        if self.schema is not None:
            require_known(self.schema)

    @classmethod
    def about(
        cls, rules: str, *parts: str | Picture, schema: Mapping[str, Any] | None = None, max_tokens: int = 512
    ) -> Question:
        """A question by `rules`, the system message, about `parts`, the user's: text and pictures in reading order.

        What a policy wrote belongs into `quoted(...)`; the rules then say of themselves what quotes are.
        """
        told = tuple(f"{part}\n" if isinstance(part, str) else part for part in parts)
        messages = (Message("system", (f"{rules}\n\n{NOTICE}",)), Message("user", told))
        return cls(messages=messages, schema=schema, max_tokens=max_tokens)

    def in_words(self) -> Question:
        """The same question with its schema told in the last message, for judges that know no structured output."""
        if self.schema is None:
            return self
        *before, last = self.messages
        asked = Message(last.role, (*last.parts, in_words(self.schema)))
        return Question(messages=(*before, asked), schema=self.schema, max_tokens=self.max_tokens)


@dataclass(frozen=True)
class Reply:
    """What a judge answered: its text and, where the question had a schema, the data in it, which fits."""

    text: str
    data: Any = None

    @property
    def said(self) -> str:
        """The stripped text behind the <think> block that it may begin with; empty where that stays open."""
        return (without_thoughts(self.text) or "").strip()

    @classmethod
    def to(cls, question: Question, text: str) -> Reply:
        """The reply that this text is to that question. JudgeFailed where it is not JSON that fits the schema.

        Halves of surrogate pairs, which no file can hold, become U+FFFD.
        """
        text = without_halves(text)
        if question.schema is None:
            return cls(text)
        found = read_json(text, question.schema)
        if found.value is None:
            raise JudgeFailed(f"{found.why}: {_short(text, 80)!r}")
        return cls(text, found.value)


class Judge(Protocol):
    """Answers questions. `name` tells two judges apart in the cache: who answers, and by which parameters."""

    @property
    def name(self) -> str: ...

    async def __call__(self, question: Question) -> Reply:
        """The reply. JudgeFailed where there is none."""


async def replied(judge: Judge, question: Question) -> Reply:
    """The judge's reply, noted beside the score that is being made, so that a run's record has it. JudgeFailed as the judge's."""
    reply = await judge(question)
    note(getattr(judge, "name", type(judge).__name__), question.messages, reply.text)
    return reply


Ask = Callable[[Rollout], "Question | Score | None | Awaitable[Question | Score | None]"]
Read = Callable[[Reply, Rollout], "Score | float | None"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The function of a judged reward; make one with `judged`."""

    judge: Judge | Literal["policy"]
    question: Ask
    read: Read
    on_failure: OnFailure
    when_right: Reward | Callable[[Rollout], Any] | None

    def __post_init__(self) -> None:
        if self.on_failure not in ON_FAILURE:
            raise ValueError(f"on_failure must be one of {', '.join(ON_FAILURE)}, got {self.on_failure!r}")
        if self.on_failure == "half" and self.when_right is None:
            raise ValueError("on_failure='half' needs when_right=, the reward that says whether the outcome is right")

    @property
    def wants(self) -> frozenset[str]:
        """What it asks to be offered: the policy's `ask` where that is the judge, and what `when_right` wants."""
        own = frozenset({"ask"}) if self.judge == "policy" else frozenset()
        return own | (self.when_right.wants if isinstance(self.when_right, Reward) else frozenset())

    async def __call__(self, rollout: Rollout, **offered: Any) -> Score:
        question = await value_of(self.question(rollout))
        if question is None:
            return Score(0.0, "there is nothing to judge")
        if not isinstance(question, Question):
            return as_score(question)
        try:
            reply = await self._reply(question, offered.get("ask"))
            value = self.read(reply, rollout)
            if value is None:
                raise JudgeFailed(f"its reply cannot be read: {_short(reply.text, 80)!r}")
        except JudgeFailed as error:
            return await self._failed(error, rollout, offered)
        score = as_score(value)
        return score if score.why else Score(score.value, _short(reply.text, SHOWN), score.steps)

    async def _reply(self, question: Question, ask: Callable[..., Awaitable[str]] | None) -> Reply:
        if self.judge != "policy":
            return await replied(self.judge, question)
        if ask is None:
            raise JudgeFailed("there is no policy here to ask")
        told = question.in_words()
        return Reply.to(question, await ask(told.messages, max_tokens=told.max_tokens))

    async def _failed(self, error: JudgeFailed, rollout: Rollout, offered: Mapping[str, Any]) -> Score:
        why = f"judge failed: {error}"
        match self.on_failure:
            case "stop":
                raise error
            case "zero":
                return Score(0.0, why)
            case "half":
                return await self._by_outcome(why, rollout, offered)
        return Score(None, why)

    async def _by_outcome(self, why: str, rollout: Rollout, offered: Mapping[str, Any]) -> Score:
        is_reward = isinstance(self.when_right, Reward)
        found = self.when_right.offer(rollout, **offered) if is_reward else self.when_right(rollout)
        outcome = as_score(await value_of(found))
        if outcome.value is None:
            return Score(None, f"{why}; and whether the outcome is right cannot be told: {outcome.why}")
        best = self.when_right.best_for(rollout.sample) if is_reward else None
        is_right = outcome.value >= (1.0 if best is None else best)
        return Score(0.5 if is_right else 0.0, f"{why}; the outcome is {'right' if is_right else 'wrong'}")


def judged(
    name: str,
    *,
    judge: Judge | Literal["policy"],
    ask: Ask,
    read: Read,
    on_failure: OnFailure = "none",
    when_right: Reward | Callable[[Rollout], Any] | None = None,
    best: float | None = 1.0,
) -> Reward:
    """A reward that asks a judge about each rollout; all questions of a step are asked together.

    judge        who answers; "policy" is the model that is being trained
    ask          the question about a rollout; or a Score where none need be asked; None, nothing to judge, earns 0
    read         what a reply is worth: a number, a Score (its None stays None), or None where the reply cannot be read
    on_failure   when the judge fails, or its reply cannot be read: "none" is a Score of None (the rollout leaves its group),
                 "zero" is 0, "half" is 0.5 where `when_right` says that the outcome is right and else 0, "stop" ends the run
    when_right   for "half": a Reward (right from its `best` on) or a function of the rollout (right from 1 on)
    """
    function = Judged(judge=judge, question=ask, read=read, on_failure=on_failure, when_right=when_right)
    return Reward(name=name, function=function, best=best)


def _short(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else f"{text[:most]}..."
