"""What happened when a policy tried a sample, and what it was worth.

    >>> rollout = Rollout(sample=sample, text="<think>3+4=7</think><answer>7</answer>", token_T=(9, 4, 2),
    ...                   logp_T=(-0.1, -0.7, -0.2), is_sampled_T=(True, True, True), stop=Stop.EOS)
    >>> rollout.section("answer")
    '7'
    >>> group = Group(sample=sample, rollouts=(rollout, other))     # siblings share the prompt and its pictures
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from saccade.core.exchange import Exchange
from saccade.core.picture import Picture
from saccade.core.sample import EMPTY, Sample


class Stop(StrEnum):
    """Why a rollout ended."""

    EOS = "eos"  # the policy said it was done
    LENGTH = "length"  # the token limit cut it off
    WORLD = "world"  # the environment ended the episode


@dataclass(frozen=True)
class Score:
    """What one reward thought of one rollout. None means it could not tell: absent is not zero.

    `steps` are the parts of a process reward: (which sampled token ends the step, counted from 0; the step's own score).
    `weight` is the term's in the rollout's reward; a weighted sum sets it. `route` names what decided, where a reward has
    several ways to decide (rewards/mix.py). `asked` is what judges were asked on the way to it, and replied: it makes no
    difference to what the score is worth.
    """

    value: float | None
    why: str = ""
    steps: tuple[tuple[int, float], ...] = ()
    weight: float = 1.0
    route: str = ""
    asked: tuple[Exchange, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One attempt at a sample.

    The three `_T` tuples describe the branch, everything after the prompt, in order: token ids; the sampler's log-prob of
    each at the sampling temperature (0.0 where nothing was sampled); and whether the policy sampled it (an environment's
    reply is in the branch but was not). `text` is the branch decoded without special tokens. `pictures` are the pictures
    that the policy encoded, in reading order, with their sizes as it saw them. `output` is what a policy that does not
    write text made instead, such as a box.
    """

    sample: Sample
    text: str
    token_T: tuple[int, ...]
    logp_T: tuple[float, ...]
    is_sampled_T: tuple[bool, ...]
    stop: Stop
    pictures: tuple[Picture, ...] = ()
    output: Any = None
    scores: Mapping[str, Score] = field(default_factory=lambda: EMPTY)
    reward: float | None = None

    def __post_init__(self) -> None:
        if not len(self.token_T) == len(self.logp_T) == len(self.is_sampled_T):
            lengths = (len(self.token_T), len(self.logp_T), len(self.is_sampled_T))
            raise ValueError(f"token_T, logp_T and is_sampled_T must be equally long, got {lengths}")

    @property
    def is_truncated(self) -> bool:
        """Whether the token limit cut it off."""
        return self.stop is Stop.LENGTH

    @property
    def picture_shas(self) -> tuple[str, ...]:
        """The hashes of its pictures' pixels: what the learner must encode, too."""
        return tuple(picture.sha for picture in self.pictures)

    @property
    def n_sampled(self) -> int:
        """How many tokens the policy sampled."""
        return sum(self.is_sampled_T)

    @property
    def sampled_logp_T(self) -> tuple[float, ...]:
        """The sampler's log-probs of the tokens that were sampled, and of no others."""
        return tuple(logp for logp, is_sampled in zip(self.logp_T, self.is_sampled_T, strict=True) if is_sampled)

    def section(self, tag: str) -> str | None:
        """The stripped text of the last <tag>...</tag>, None where there is no whole one."""
        return section(self.text, tag)

    def scored(self, scores: Mapping[str, Score], reward: float | None) -> Rollout:
        """The same rollout with its scores and their total."""
        return replace(self, scores=scores, reward=reward)


@dataclass(frozen=True, kw_only=True)
class Group:
    """The siblings of one sample: attempts that share its prompt and pictures."""

    sample: Sample
    rollouts: tuple[Rollout, ...]

    @property
    def rewards(self) -> tuple[float | None, ...]:
        """The siblings' rewards, in order."""
        return tuple(rollout.reward for rollout in self.rollouts)

    @property
    def is_flat(self) -> bool:
        """Whether all rewards that exist are equal, so that nothing can be learned from the difference."""
        known = [reward for reward in self.rewards if reward is not None]
        return len(known) < 2 or max(known) == min(known)


def section(text: str, tag: str) -> str | None:
    """The stripped text of the last whole <tag>...</tag> in `text`, None where there is none. Linear in the length."""
    end = text.rfind(f"</{tag}>")
    start = text.rfind(f"<{tag}>", 0, end) if end >= 0 else -1
    return text[start + len(tag) + 2 : end].strip() if start >= 0 else None
