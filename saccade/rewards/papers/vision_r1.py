"""The rewards of Vision-R1 (2503.06749, Osilly): the hard formatting result reward, and those of the Zero baseline.

    rewards = weighted((hard(), 1.0))                       # P: 1 if the format AND the answer are right, else 0
    rewards = weighted((format(), 1.0), (accuracy(), 1.0))              # P the Zero baseline, 1 to 1
    rewards = weighted((format(stock=True), 0.5), (accuracy(stock=True), 0.5))          # C EasyR1's stock reward
    rewards = weighted((format_boxed(), 0.1), (accuracy_boxed(), 0.9))                  # C EasyR1's for mathematics

The output is `<think> ... </think><answer> Final Answer:X </answer>`; the words before X may be missing. A text that
was cut off lacks its last tag and earns nothing: there is no other punishment for length.

The RL code was never released. How the answer is compared is inferred (# I): a gold that is a letter, A to J, as the
option that the answer chooses, everything else as mathematics. `stock=True` is the reward of the framework that
Vision-R1 says it used, as vendored in GUI-R1 (# C; that Vision-R1 took it is # I): its answer is the first block on one
line, else the whole text.

Departs, each with its reason:
- The comparison, also for the stock reading, is math-verify's in a process that can be killed; EasyR1 uses mathruler.
- The format wants one block of each kind, neither empty; whitespace around the whole is allowed, which the stock one
  refuses.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import Same, accuracy_by
from saccade.rewards.answers.rule import is_the_same, says_the_same, says_the_same_or_chooses
from saccade.rewards.format import format_of, strict_format_of
from saccade.rewards.mix import all_of
from saccade.rewards.papers.released import first_on_a_line
from saccade.rewards.published import Example, published
from saccade.rewards.read.latex import boxed
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import THINK_ANSWER, THINK_THEN_TEXT, final_answer, last_section

SYSTEM = "Vision-R1"

OPTIONS = "ABCDEFGHIJ"  # I


def same_answer(answer: str, gold: str) -> bool:
    """Whether the answer chooses the gold option, where the gold is one ("B", "B. cat"), or both say the same. # I"""
    return bool(says_the_same_or_chooses(answer, final_answer(gold).value or "", options=OPTIONS))


def answer_of(text: str) -> Reading[str]:
    """The last answer block, without a leading "Final Answer:"."""
    return last_section(text, "answer").then(final_answer)


def stock_answer_of(text: str) -> Reading[str]:
    """The first answer block that opens and closes on one line, else the whole text. # C"""
    found = first_on_a_line(text, "answer")
    return Reading(text.strip()) if found.value is None else found


def _format_boxed(rollout: Rollout) -> Score:
    reading = THINK_THEN_TEXT.read(rollout.text)
    box = reading.then(lambda blocks: boxed(blocks["after"]))
    return Score(float(box.value is not None), box.why or "laid out as asked for")


_EXAMPLE = Example(text="<think>6 * 7 = 42</think>\n<answer> Final Answer:42 </answer>", target="42")
_BOXED_EXAMPLE = Example(text="<think>6 * 7 = 42</think>\nIt is \\boxed{42}.", target="42")


@published(
    formula="1 if the format is right and the answer is, else 0 (HFRRF)",
    source="P, how answers are compared I",
    target="the answer or the option's letter, also in answer tags and after 'Final Answer:'",
    example=_EXAMPLE,
)
def hard(*, same: Same = same_answer) -> Reward:
    """The hard formatting result reward, named "hard". Where the format is wrong, the answer is not looked at."""
    return all_of(format(), accuracy(same=same), name="hard")


@published(
    formula="1 if the whole text is a think block, then an answer block, neither empty, else 0",
    source="P, the pattern I",
    target="not read",
    released="EasyR1's, `stock=True`: whitespace around the whole fails, empty blocks and blocks within blocks pass",
    example=_EXAMPLE,
)
def format(*, stock: bool = False) -> Reward:
    """The Zero baseline's format term, named "format"."""
    return strict_format_of("think", "answer") if stock else format_of(THINK_ANSWER)


@published(
    formula="1 if the last answer block, without 'Final Answer:', is the gold option or the same mathematics, else 0",
    source="P, how answers are compared I",
    target="the answer or the option's letter, also in answer tags and after 'Final Answer:'",
    released="EasyR1's, `stock=True`: the first block on one line, else the whole text; 'Final Answer:' stays in it",
    changed="compared by math-verify in a process that can be killed",
    example=_EXAMPLE,
)
def accuracy(*, same: Same = same_answer, stock: bool = False) -> Reward:
    """The Zero baseline's result term, named "accuracy"."""
    if stock:
        return accuracy_by(is_the_same, read=stock_answer_of)
    return accuracy_by(same, read=answer_of, readable=final_answer)


@published(
    formula="1 if the whole text is a think block, then text with a box in it, else 0",
    source="C EasyR1, that it served here I",
    target="not read",
    released="an empty think block passes",
    changed="one think block, not empty, and a box that is closed and not empty",
    example=_BOXED_EXAMPLE,
)
def format_boxed() -> Reward:
    """The format term of EasyR1's mathematics reward, weight 0.1, named "format"."""
    return Reward(name="format", function=_format_boxed)


@published(
    formula="1 if the last box holds the same mathematics as the gold, else 0",
    source="C EasyR1, that it served here I",
    target="the answer",
    released="compared by mathruler",
    changed="compared by math-verify in a process that can be killed",
    example=_BOXED_EXAMPLE,
)
def accuracy_boxed() -> Reward:
    """The accuracy term of EasyR1's mathematics reward, weight 0.9, named "accuracy"."""
    return accuracy_by(says_the_same, read=boxed)
