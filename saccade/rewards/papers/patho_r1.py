"""The rewards of Patho-R1 (2505.11404): one sum for its GRPO branch, one for its DAPO branch.

    GRPO    0.1 F + 0.9 A           F 1 if the text is think then answer, A 1 if the letter is right, else 0
    DAPO    0.5 A' + 0.5 Len        each 1 where it is satisfied, else -1

    rewards = grpo_rewards()
    rewards = dapo_rewards(low=64, high=1024)

No RL code was released: the weights are second-hand (# S), the exact cases and the window of lengths inferred (# I).
The DAPO note can be read in two ways. By its parts, the default: A' and Len are +1 or -1 each (DAPO's own convention).
As one gate, `joint_gate=True`: 1 if the letter is right and the length allowed, else -1.

Departs: the letter is read wherever the last answer block says it clearly ("B", "B. Squamous", "the answer is B"), and
the format asks for one block of each kind, neither empty. How the original does either is not known.

Dynamic sampling must filter by correctness and not by the sum, or the length makes every group look informative.

Marks: # P paper, # C released code, # S second-hand, # I inferred, # O ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import multiple_choice
from saccade.rewards.length import SoftOverlong
from saccade.rewards.format import format_of
from saccade.rewards.published import Example, published
from saccade.rewards.read.tags import THINK_ANSWER

SYSTEM = "Patho-R1"

OPTIONS = "ABCDE"  # I
LOW, HIGH = 1, 2048  # I sampled tokens; 2048 is the reference inference's limit (C), the training window is unknown


@dataclass(frozen=True, kw_only=True)
class Letter:
    """1 if the last answer block chooses the gold option, else `wrong`."""

    wrong: float = 0.0
    options: str = OPTIONS

    def __call__(self, rollout: Rollout) -> Score:
        score = multiple_choice(self.options)(rollout)
        return replace(score, value=self.wrong) if score.value == 0 else score


@dataclass(frozen=True, kw_only=True)
class Window:
    """1 where so many tokens were sampled, else -1. # I"""

    low: int = LOW
    high: int = HIGH

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise ValueError(f"the window needs 0 <= low < high, got {self.low} to {self.high}")

    def __call__(self, rollout: Rollout) -> Score:
        is_inside = self.low <= rollout.n_sampled <= self.high
        return Score(1.0 if is_inside else -1.0, f"{rollout.n_sampled} tokens, allowed {self.low} to {self.high}")


@dataclass(frozen=True, kw_only=True)
class Joint:
    """1 if the letter is right and the length allowed, else -1. # I reading (b)"""

    letter: Letter
    length: Window

    def __call__(self, rollout: Rollout) -> Score:
        right, short = self.letter(rollout), self.length(rollout)
        if right.value is None:
            return right
        return Score(1.0 if right.value == 1 and short.value == 1 else -1.0, f"{right.why}; {short.why}")


_EXAMPLE = Example(text="<think>Keratin pearls, so squamous.</think>\n<answer>B</answer>", target="B")


@published(
    formula="1 if the whole text is a think block, then an answer block, neither empty, else 0",
    source="S",
    target="not read",
    example=_EXAMPLE,
)
def format() -> Reward:
    """F, named "format"."""
    return format_of(THINK_ANSWER)


@published(
    formula="1 if the last answer block chooses the gold option, else 0 (GRPO) or -1 (DAPO)",
    source="S",
    target="the option's letter",
    example=_EXAMPLE,
)
def accuracy(*, wrong: float = 0.0, options: str = OPTIONS) -> Reward:
    """A with `wrong=0`, A' with `wrong=-1`, named "accuracy"."""
    return Reward(name="accuracy", function=Letter(wrong=wrong, options=options))


@published(
    formula="1 if low <= tokens <= high, else -1; or, soft, 0 falling to -1 over the last `buffer` tokens before high",
    source="S, the cases I",
    target="not read",
)
def length(*, low: int = LOW, high: int = HIGH, buffer: int | None = None) -> Reward:
    """Len, named "length": a window, or with a `buffer` DAPO's soft overlong punishment up to `high`.

    It has no best figure, as it asks for no right answer.
    """
    function = Window(low=low, high=high) if buffer is None else SoftOverlong(limit=high, buffer=buffer)
    return Reward(name="length", function=function, best=None)


@published(
    formula="1 if the letter is right and low <= tokens <= high, else -1",
    source="S, this reading I",
    target="the option's letter",
    example=_EXAMPLE,
)
def joint(*, low: int = LOW, high: int = HIGH, options: str = OPTIONS) -> Reward:
    """The DAPO branch's reward, read as one gate, named "joint"."""
    return Reward(name="joint", function=Joint(letter=Letter(options=options), length=Window(low=low, high=high)))


def grpo_rewards(*, options: str = OPTIONS) -> Rewards:
    """0.9 A + 0.1 F. # S"""
    return weighted((accuracy(options=options), 0.9), (format(), 0.1))


def dapo_rewards(
    *, low: int = LOW, high: int = HIGH, buffer: int | None = None, joint_gate: bool = False, options: str = OPTIONS
) -> Rewards:
    """0.5 A' + 0.5 Len, or as one gate. # S"""
    if joint_gate:
        return weighted((joint(low=low, high=high, options=options), 1.0))
    return weighted((accuracy(wrong=-1.0, options=options), 0.5), (length(low=low, high=high, buffer=buffer), 0.5))
