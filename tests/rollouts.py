"""Rollouts, groups and experience in a line each, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from saccade.core.experience import Experience
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample


def sample_of(name: str = "s", *, kind: str = "") -> Sample:
    return Sample(id=name, messages=(Message("user", ("?",)),), target="7", kind=kind)


SAMPLE = sample_of()


def rollout_of(
    reward: float | None,
    *,
    tokens: int = 1,
    text: str = "",
    scores: Mapping[str, Score] | None = None,
    stop: Stop = Stop.EOS,
    sample: Sample = SAMPLE,
) -> Rollout:
    """A scored rollout of so many sampled tokens, with log-probs -1, -2, ..."""
    return Rollout(
        sample=sample,
        text=text,
        token_T=tuple(range(tokens)),
        logp_T=tuple(-1.0 - t for t in range(tokens)),
        is_sampled_T=(True,) * tokens,
        stop=stop,
        scores=scores or {},
        reward=reward,
    )


def group_of(*siblings: Rollout | float | None, sample: Sample = SAMPLE) -> Group:
    """A group of rollouts, or of one-token rollouts with these rewards."""
    rollouts = (one if isinstance(one, Rollout) else rollout_of(one, sample=sample) for one in siblings)
    return Group(sample=sample, rollouts=tuple(rollouts))


def with_terms(reward: float | None, *, tokens: int = 1, weight: float = 1.0, **terms: float | None) -> Rollout:
    """A rollout with these reward terms."""
    return rollout_of(reward, tokens=tokens, scores={name: Score(value, weight=weight) for name, value in terms.items()})


def judged(reward: float | None, *, tokens: int = 2) -> Rollout:
    """Something for every credit function to look at: a total, a term of that value, a step of it, and a second term."""
    steps = () if reward is None else ((tokens - 1, reward),)
    other = None if reward is None else -(reward**2)
    return rollout_of(reward, tokens=tokens, scores={"work": Score(reward, steps=steps), "style": Score(other)})


def group_judged(*rewards: float | None, tokens: int = 2) -> Group:
    return group_of(*(judged(reward, tokens=tokens) for reward in rewards))


def experience_of(advantage: float | np.ndarray, *, reward: float | None = 0.0, tokens: int = 2, name: str = "") -> Experience:
    return Experience(rollout=rollout_of(reward, tokens=tokens, text=name), advantage=advantage)
