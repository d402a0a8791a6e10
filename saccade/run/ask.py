"""`ask`: the policy that is being trained answers the questions of its own rewards, all of a step in a few batches.

    >>> @reward
    ... async def caption_helps(rollout, ask):
    ...     asked = Question.about("Answer from the text.", quoted(caption), question)
    ...     reply = await ask(asked.messages, max_tokens=32)
    ...     return reply.strip() == rollout.sample.target

Answers are greedy, so that one caption is not worth two different rewards; `temperature=` samples them instead. The weights are
those that the step's rollouts were sampled with. JudgeFailed where a question holds what the model reads as a picture.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saccade.core.exchange import note
from saccade.core.sample import Message, Sample
from saccade.policy.spec import Sampling
from saccade.rewards.judges.judge import JudgeFailed
from saccade.rewards.judges.wave import Wave
from saccade.run.seeds import derive

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy

MAX_TOKENS = 256  # O


@dataclass(frozen=True)
class _Asked:
    """One question and how its answer is drawn."""

    messages: tuple[Message, ...]
    sampling: Sampling


def asking(policy: Policy, *, seed: int) -> Callable[..., Awaitable[str]]:
    """`ask(messages, *, max_tokens=256, temperature=0.0) -> str` for rewards that name it."""
    wave: Wave[_Asked] = Wave(functools.partial(_answers, policy, seed))

    async def ask(messages: Sequence[Message], *, max_tokens: int = MAX_TOKENS, temperature: float = 0.0) -> str:
        reply = await wave(_Asked(tuple(messages), Sampling(max_tokens=max_tokens, temperature=temperature)))
        note("policy", messages, reply)
        return reply

    return ask


def answers_of(policy: Policy) -> Callable[..., list[str | Exception]]:
    """Another vision-language model as a judge that sees pictures, greedily, in this process.

    >>> judge = Local(answers_of(TransformersPolicy.load(ModelSpec(path="Qwen/Qwen2.5-VL-7B-Instruct"))), name="qwen2.5-vl-7b")
    """

    def answers(messages: Sequence[Sequence[Message]], *, max_tokens: int) -> list[str | Exception]:
        sampling = Sampling(max_tokens=max_tokens, temperature=0.0)
        return _answers(policy, 0, [_Asked(tuple(told), sampling) for told in messages])

    return answers


def _answers(policy: Policy, seed: int, asked: Sequence[_Asked]) -> list[str | Exception]:
    """An answer to each, in order. What is asked greedily by several is answered once."""
    first: dict[tuple[_Asked, int | None], int] = {}
    same = [first.setdefault((one, i if one.sampling.temperature else None), i) for i, one in enumerate(asked)]
    found: dict[int, str | Exception] = {}
    for sampling in dict.fromkeys(one.sampling for one in asked):
        samples = [_sample(i, asked[i]) for i in first.values() if asked[i].sampling == sampling]
        refusals = [_refusal(policy, sample) for sample in samples]
        read = [sample for sample, refusal in zip(samples, refusals, strict=True) if refusal is None]
        groups = policy.sample(read, n=1, sampling=sampling, seed=derive(seed, str(sampling))) if read else []
        found |= {s.target: refusal for s, refusal in zip(samples, refusals, strict=True) if refusal}
        found |= {group.sample.target: group.rollouts[0].text for group in groups}
    return [found[i] for i in same]


def _sample(place: int, one: _Asked) -> Sample:
    return Sample(id=f"ask/{place}", messages=one.messages, target=place)


def _refusal(policy: Policy, sample: Sample) -> JudgeFailed | None:
    from saccade.policy.reader import PictureMismatch  # here: it loads transformers, which no recipe needs to be built

    try:
        policy.check(sample)
    except PictureMismatch as error:
        return JudgeFailed(f"the policy cannot be asked: {error}")
    return None
