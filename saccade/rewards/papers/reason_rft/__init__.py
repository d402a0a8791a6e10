"""The rewards of Reason-RFT: format and accuracy, which train it, and the optional reasoning-step and length terms.

    rewards = weighted((accuracy(), 1.0), (format(), 1.0))         # C the released default

Accuracy is told by the sample's kind:

    counting     Discrete        the answer is the gold string                                  0 or 1
    structure    Mathematical    letters exactly, numbers within a cosine tolerance             0 to 1
    spatial      FunctionCalls   overlap of two sets of func(object, value)                     0 to 1, or below

Departs, each with its reason:
- A completion without an answer block has accuracy 0. In the released code its whole text may match, and math-verify
  finds numbers in prose: "it cannot be 8" is then right for 8.
- The last answer block counts; in the released code the first, so that a provisional answer in the reasoning is graded.
- The format takes one block of each, not empty, and whitespace around them; the released full match takes empty blocks and
  several, and no whitespace around the whole.
- Structure has the paper's tolerance; in the released code it is commented out in favour of Discrete.
- Calls are paired by maximum matching (`matching.py`): greedy pairing hangs on hash order and can miss credit.
- A gold of 0 can be met; in the released code it divides by zero and scores 0.
- The evaluator reads answers over several lines, which the released one of the spatial task does not.

`as_released=True` does as the released code does.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from saccade.core.reward import Reward, reward
from saccade.core.rollout import Group, Rollout, Score
from saccade.rewards.format import format_of, strict_format_of
from saccade.rewards.papers.reason_rft.graders import (
    FULL_ONLY,
    PARTIAL,
    PENALTY,
    ByKind,
    Credits,
    Discrete,
    FunctionCalls,
    Grader,
    Mathematical,
    Same,
    SameValue,
    gold_of,
    same_text_or_number,
)
from saccade.rewards.published import Example, published
from saccade.rewards.read.tags import Grammar, first_section, last_section
from saccade.rewards.answers.symbolic import is_equal

__all__ = [
    "FULL_ONLY",
    "PARTIAL",
    "PENALTY",
    "Credits",
    "Discrete",
    "FunctionCalls",
    "Mathematical",
    "SameValue",
    "accuracy",
    "evaluation",
    "format",
    "length_reward",
    "reasoning_steps",
]

SYSTEM = "Reason-RFT"

_STEP = re.compile(r"Step [0-9]++:|^[0-9]++\.|\n[-*]|First,|Second,|Next,|Finally,", re.MULTILINE)


@published(
    formula="1 if the whole text is a think block, whitespace, an answer block; else 0",
    source="P, C",
    target="not read",
    released="the full match: empty blocks, and blocks within blocks, pass; whitespace around the whole fails",
    changed="one block of each, not empty, whitespace around them allowed",
    example=Example(text="<think>3+4=7</think>\n<answer>7</answer>", target="7"),
)
def format(*, has_caption: bool = False, as_released: bool = False) -> Reward:
    """The format reward. `has_caption`: the research variant, summary and caption before the two. # C"""
    tags = ("summary", "caption", "think", "answer") if has_caption else ("think", "answer")
    return strict_format_of(*tags) if as_released else format_of(Grammar(tags=tags))


@published(
    formula="by kind: counting, equal strings; structure, a letter or a number within a cosine tolerance of 5 to 20 %; "
    "spatial, variety / max(|P|, |S|) * credits of the paired calls",
    source="P, C",
    target="the gold string, with or without answer tags",
    released="no tolerance, the first answer block, and a text without tags may match by math-verify",
    changed="the last answer block, and 0 without one; calls are paired best, not in hash order; a gold of 0 can be met",
    example=Example(text="<think>3+4=7</think><answer>7</answer>", target="7", kind="counting"),
)
def accuracy(
    *,
    counting: Grader | None = None,
    structure: Grader | None = None,
    spatial: Grader | None = None,
    as_released: bool = False,
) -> Reward:
    """The accuracy reward of the three tasks; as released it needs math-verify. Replace a grader for another variant:

    >>> accuracy(spatial=FunctionCalls(credits=PARTIAL))
    """
    given = {"counting": counting, "structure": structure, "spatial": spatial}
    chosen = {kind: grader for kind, grader in given.items() if grader is not None}
    return Reward(name="accuracy", function=replace(_RELEASED if as_released else _OURS, **chosen))


_OURS = ByKind(counting=Discrete(), structure=Mathematical(), spatial=FunctionCalls())  # P, C full credit only
_RELEASED = ByKind(
    counting=Discrete(untagged=is_equal, block=first_section),
    structure=Discrete(untagged=is_equal, block=first_section),
    spatial=FunctionCalls(reads_untagged=True, block=first_section),
)  # C


def evaluation(*, same: Same = same_text_or_number, as_released: bool = False) -> Reward:
    """What the evaluator calls accuracy. Named "accuracy". # C

    Counting and structure: 0 or 1. Spatial: the partial score, without the cost of repeats, so that its mean over a
    test set is a mean of partial credits and not a share of right answers. Untagged text counts in all three. `same`
    compares (answer, gold): equal strings or numbers (# O), or with math-verify, `symbolic.is_equal` (# C). The last answer
    block counts, as in training (# O); as released the first.
    """
    block = first_section if as_released else last_section
    value = SameValue(same=same, block=block)
    spatial = FunctionCalls(credits=PARTIAL, punishes_repeats=False, reads_untagged=True, block=block)
    return accuracy(counting=value, structure=value, spatial=spatial)


@published(
    formula="min(1, k / 3) for k step markers",
    source="C",
    target="not read",
    changed="nothing; it counts markers, not steps, and is easily gamed",
    example=Example(text="Step 1: look. Step 2: count. Finally, answer.", target="7"),
)
def steps() -> Reward:
    """The optional reasoning-step reward, `reasoning_steps`."""
    return reasoning_steps


@reward
def reasoning_steps(rollout: Rollout) -> Score:
    """min(1, k / 3) for k step markers: "Step 1:", a line's "1.", a line's - or *, First, Second, Next, Finally. # C

    Optional, and easily gamed: it counts markers, not steps.
    """
    k = len(_STEP.findall(rollout.text))
    return Score(min(1.0, k / 3), f"{k} step markers")


@dataclass(frozen=True, kw_only=True)
class ShorterIsBetter:
    """scale * lambda for a right answer, scale * min(0, lambda) for a wrong one, by length within the group. # C

        lambda = 0.5 - (length - shortest) / (longest - shortest)         lengths in characters

    0 where all siblings are equally long, before `starts_at` of the training, and for the spatial task. The released
    code starts at global step 800, of about 2,390 for counting (33,400 samples, 14 a step). # I
    """

    scale: float = 0.05  # C
    starts_at: float = 1 / 3  # I training progress, 0 to 1

    def __call__(self, group: Group, *, progress: float) -> list[Score]:
        length_G = [len(rollout.text) for rollout in group.rollouts]
        shortest, longest = min(length_G), max(length_G)
        if group.sample.kind == "spatial":
            return [Score(0.0, "not for spatial")] * len(length_G)
        if progress < self.starts_at or shortest == longest:
            return [Score(0.0, "not yet" if progress < self.starts_at else "all equally long")] * len(length_G)
        scores = []
        for rollout, length in zip(group.rollouts, length_G, strict=True):
            short = 0.5 - (length - shortest) / (longest - shortest)
            is_right = same_text_or_number(last_section(rollout.text, "answer").value or "", gold_of(rollout))
            why = f"{length} characters, {shortest} to {longest}, {'right' if is_right else 'wrong'}"
            scores.append(Score(self.scale * (short if is_right else min(0.0, short)), why))
        return scores


@published(
    formula="scale * l if right, scale * min(0, l) if wrong; l = 0.5 - (length - shortest) / (longest - shortest) among "
    "siblings",
    source="C",
    target="the gold string",
    changed="it begins at a third of the training; the released code at global step 800",
)
def length_reward(*, scale: float = 0.05, starts_at: float = 1 / 3) -> Reward:
    """The optional length term, over a group; see ShorterIsBetter."""
    return Reward(name="length", function=ShorterIsBetter(scale=scale, starts_at=starts_at), scope="group", best=None)
