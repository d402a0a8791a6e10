"""The rewards of WeThink (2506.07905): a rule or a judge by the kind of question, and format.

    rewards(judge=...)  =  0.7 accuracy + 0.3 format                   # S the two weights; 0 to 1

data["reward"] of the sample, or else its kind, is the data set's own flag and says who decides on the last answer block:

    rule     multiple choice and fill-in: the same letter, words, number or formula            0 or 1         I
    model    descriptive: a judge beside the gold, wrong, right in part, right                 0, 0.5 or 1    S; the tiers I

Departs, or fills in what was never published (the framework, the tiers), each with its reason:
- A judge that fails, or whose reply cannot be read, leaves the rollout out of its group. A zero would punish it for the
  judge.
- The judge sees question, gold and answer, and neither picture nor reasoning, which could persuade it.
- Blocks must not be empty and come once, so that the format term cannot be had for tags alone.

Marks: # P paper, # C released code, # S second-hand, # I inferred, # O ours.
"""

from __future__ import annotations

from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.sample import Sample
from saccade.rewards.answers.accuracy import accuracy_by
from saccade.rewards.answers.rule import says_the_same_or_chooses
from saccade.rewards.answers.verdict import verified
from saccade.rewards.format import format_of
from saccade.rewards.judges.judge import Judge
from saccade.rewards.mix import routed
from saccade.rewards.published import Example, published
from saccade.rewards.read.tags import THINK_ANSWER

SYSTEM = "WeThink"

ACCURACY_WEIGHT, FORMAT_WEIGHT = 0.7, 0.3  # S
TIERS = (0.0, 0.5, 1.0)  # I wrong, partly right, right
OPTIONS = "ABCDEFGH"  # O

_EXAMPLE = Example(
    text="<think>The bar for May is the tallest.</think>\n<answer>B</answer>", target="B", data={"reward": "rule"}
)


def same_by_rule(answer: str, gold: str) -> float:
    """1 if both choose the same letter, where the gold is one ("B", "B. cat"), or else say the same; 0 if not. # I"""
    return says_the_same_or_chooses(answer, gold, options=OPTIONS)


def decider_of(sample: Sample) -> str:
    """Who decides on the sample: data["reward"], else its kind; "rule" or "model"."""
    return str(sample.data.get("reward", sample.kind))


@published(
    formula="by the data set's flag: a rule's 0 or 1, or a judge's 0, 0.5 or 1",
    source="S; the rule and the tiers I",
    target='the gold answer, a text; data["reward"] is "rule" or "model"',
    changed="a judge that fails is absent; it sees no reasoning",
    example=_EXAMPLE,
)
def accuracy(*, judge: Judge | None = None, tiers: tuple[float, ...] = TIERS) -> Reward:
    """R_acc, 0 to 1, logged by route. Without a judge only "rule" samples can be scored, and others end the run by name."""
    routes = {"rule": accuracy_by(same_by_rule, name="rule")}
    if judge is not None:
        routes["model"] = verified(judge=judge, tiers=tiers, name="model")
    return routed(decider_of, routes, name="accuracy")


@published(
    formula="1 if the whole text is a think and an answer block, else 0",
    source="I",
    target="not read",
    changed="no block empty, none twice; whitespace around them is no fault",
    example=_EXAMPLE,
)
def format() -> Reward:
    """R_fmt, 0 or 1."""
    return format_of(THINK_ANSWER)


def rewards(*, judge: Judge | None = None, tiers: tuple[float, ...] = TIERS) -> Rewards:
    """0.7 accuracy + 0.3 format. # S"""
    return weighted((accuracy(judge=judge, tiers=tiers), ACCURACY_WEIGHT), (format(), FORMAT_WEIGHT))
