"""The rewards of Med-R1 (2503.13939): the right letter, the format of three ways of thinking, and chest X-ray labels.

    rewards = weighted((accuracy(), 1.0), (format_think(), 1.0))        # C the sum, 0 to 2

    Think         <think>...</think><answer>C</answer>      format_think
    No-Think      <answer>C</answer>                        format_no_think
    Think-After   <answer>C</answer><think>...</think>      format_think_after, # I: its code was not released

Departs, each with its reason:
- Accuracy reads the option that the last answer block chooses: "C", "C)", "C. lung" and "the answer is C" are all C,
  over several lines too; text without an answer block is wrong. The released code asks math-verify about the whole
  completion, then wants the first single-line block, or else the whole bare text, to be the gold string: "C." is wrong,
  and so is a block over two lines.
- A format is one block of each kind, none empty, whitespace around them allowed. In the released code whitespace after
  the last block fails; empty blocks pass, as do blocks within blocks, so that No-Think may answer twice.
- Chest X-ray labels are compared as a set of whole labels. In the released code a label counts wherever its letters
  stand in the answer, so that "no Effusion" finds Effusion.
- A chest gold that says No Finding and something else cannot be scored.

Marks: # P paper, # C released code, # S second-hand, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Sample
from saccade.rewards.answers.accuracy import golds_of, last_answer, multiple_choice, short
from saccade.rewards.answers.symbolic import is_equal
from saccade.rewards.format import format_of, strict_format_of
from saccade.rewards.papers.released import first_on_a_line
from saccade.rewards.published import Example, published
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import ANSWER_ONLY, ANSWER_THINK, THINK_ANSWER, last_section, layout

SYSTEM = "Med-R1"

OPTIONS = "ABCD"  # C two or four options

NO_FINDING = "No Finding"
CHEST_LABELS = (  # C 14 of NIH's chest X-rays, and none of them; how the words of two are joined is I
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
    NO_FINDING,
)
_KNOWN: Mapping[str, str] = {label.lower().replace("_", " "): label for label in CHEST_LABELS}
_BETWEEN_LABELS = re.compile(r"[|,;/&\n]|\band\b")
_EDGES = " \t\r.:*-\"'()[]0123456789"


# the letter


def only_answer(text: str) -> Reading[str]:
    """The answer block, where the text is nothing else: for No-Think, text outside it leaves no answer. # S"""
    return ANSWER_ONLY.read(text).then(lambda blocks: Reading(blocks["answer"]))


def released_accuracy(rollout: Rollout) -> Score:
    """1 if math-verify says that completion and solution are equal, or the first answer on one line is the gold. # C

    Where there is no such block, the whole stripped text stands for it. Needs math-verify.
    """
    golds = golds_of(rollout.sample)
    if not golds:
        return Score(None, "the gold answer is empty")
    gold = golds[0]
    if is_equal(rollout.text, f"<answer> {gold} </answer>"):
        return Score(1.0, "equal to math-verify")
    answer = _released_answer(rollout.text)
    return Score(float(answer == gold), f"{short(answer)} for {short(gold)}")


def _released_answer(text: str) -> str:
    """The first answer block that stands on one line, else the whole text; stripped."""
    found = first_on_a_line(text, "answer").value
    return text.strip() if found is None else found


_LETTER = Example(text="<think>The left lung is bright.</think>\n<answer>C</answer>", target="<answer> C </answer>")


@published(
    formula="1 if the last answer block chooses the gold option, else 0",
    source="P, S",
    target="the option's letter, with or without answer tags",
    released="math-verify on whole texts, then the first block on one line, else the whole text, as a string: 'C.' is wrong",
    changed="reads the letter that the block chooses, over several lines too",
    example=_LETTER,
)
def accuracy(*, options: str = OPTIONS, answer_only: bool = False, as_released: bool = False) -> Reward:
    """The accuracy term, named "accuracy"; `answer_only` for the No-Think variant."""
    if as_released:
        return Reward(name="accuracy", function=released_accuracy)
    return multiple_choice(options, read=only_answer if answer_only else last_answer)


# the formats


@published(
    formula="1 if the whole text is a think block, then an answer block, else 0",
    source="P, C",
    target="not read",
    released="whitespace around the whole fails; empty blocks, and blocks within blocks, pass",
    changed="exactly one block of each, none empty, whitespace around them allowed",
    example=_LETTER,
)
def format_think(*, as_released: bool = False) -> Reward:
    """The format term of Think, named "format"."""
    return strict_format_of("think", "answer") if as_released else format_of(THINK_ANSWER)


@published(
    formula="1 if the whole text is an answer block, else 0",
    source="P, C",
    target="not read",
    released="a trailing newline fails, two answer blocks pass",
    changed="exactly one block, not empty, whitespace around it allowed",
    example=Example(text="<answer>C</answer>", target="C"),
)
def format_no_think(*, as_released: bool = False) -> Reward:
    """The format term of No-Think, named "format"."""
    return Reward(name="format", function=_released_no_think) if as_released else format_of(ANSWER_ONLY)


def _released_no_think(rollout: Rollout) -> Score:
    reading = layout(rollout.text.lstrip(), "answer")  # C whitespace may lead, not follow
    return Score(float(reading.value is not None), reading.why or "is answer")


@published(
    formula="1 if the whole text is an answer block, then a think block, else 0",
    source="S, the pattern I",
    target="not read",
    example=Example(text="<answer>C</answer>\n<think>The left lung is bright.</think>", target="C"),
)
def format_think_after() -> Reward:
    """The format term of Think-After, named "format"."""
    return format_of(ANSWER_THINK)


# chest X-rays: several labels at once


@dataclass(frozen=True, kw_only=True)
class ChestLabels:
    """One point for each gold label that the answer names; 0 if it names a known label that is not gold. # C

    A gold of No Finding earns 0.25 instead. The answer is the last answer block, cut at |, commas, semicolons, slashes,
    &, ends of line and "and"; a part counts if it is one of the 15 labels, in either case and with spaces or
    underscores. Other parts are no labels: "no Effusion" names nothing.
    """

    no_finding: float = 0.25  # C

    def __call__(self, rollout: Rollout) -> Score:
        gold, why = gold_labels(rollout.sample)
        if gold is None:
            return Score(None, why)
        block = last_section(rollout.text, "answer")
        if block.value is None:
            return Score(0.0, block.why)
        said = labels_of(block.value)
        wrong = sorted(said - gold)
        if wrong:
            return Score(0.0, f"names {wrong[0]}, which is not gold")
        found = self.no_finding * (NO_FINDING in said) if NO_FINDING in gold else float(len(said))
        return Score(found, f"{len(said)} of {len(gold)} labels")

    def best_for(self, sample: Sample) -> float | None:
        """As many points as there are gold labels."""
        gold, _ = gold_labels(sample)
        if gold is None:
            return None
        return self.no_finding if NO_FINDING in gold else float(len(gold))


def labels_of(text: str) -> frozenset[str]:
    """Which of the 15 labels the text names, each as a part of its own."""
    parts = (part.strip(_EDGES).lower().replace("_", " ") for part in _BETWEEN_LABELS.split(text))
    return frozenset(_KNOWN[part] for part in parts if part in _KNOWN)


def gold_labels(sample: Sample) -> tuple[frozenset[str] | None, str]:
    """The labels of the gold "Mass|Effusion", or None and why they cannot be read."""
    parts = _parts(sample)
    odd = [part for part in parts if part.lower().replace("_", " ") not in _KNOWN]
    if not parts or odd:
        return None, f"the gold label {odd[0]!r} is none of the 15" if odd else "the gold answer has no label"
    gold = frozenset(_KNOWN[part.lower().replace("_", " ")] for part in parts)
    if NO_FINDING in gold and len(gold) > 1:
        return None, "the gold answer says No Finding and something else"
    return gold, ""


def _parts(sample: Sample) -> list[str]:
    return [part.strip() for gold in golds_of(sample)[:1] for part in gold.split("|") if part.strip()]


def released_chest_labels(rollout: Rollout) -> Score:
    """The same points, where a label counts if its letters stand anywhere in the answer. # C; the answer block is I"""
    gold = _parts(rollout.sample)
    if not gold:
        return Score(None, "the gold answer has no label")
    answer = _released_answer(rollout.text)
    total = 0.0
    for label in gold:
        if label == NO_FINDING:
            total = 0.25 if NO_FINDING in answer else 0.0
            break
        total += label in answer
    wrong = [label for label in CHEST_LABELS if label in answer and label not in gold]
    if wrong:
        return Score(0.0, f"names {wrong[0]}, which is not gold")
    return Score(total, f"{total:g} for {len(gold)} labels")


@published(
    formula="1 for each gold label named, 0.25 for No Finding; 0 if another known label is named",
    source="C",
    target="labels joined by |, with or without answer tags",
    released="a label counts if its letters stand anywhere in the answer: 'no Effusion' names Effusion",
    changed="whole labels, compared as sets",
    example=Example(text="<think>Fluid and a mass.</think><answer>Effusion | Mass</answer>", target="Mass|Effusion"),
)
def chest_labels(*, as_released: bool = False) -> Reward:
    """The accuracy term of the chest X-ray variant, named "labels"; its best is the number of gold labels."""
    function = released_chest_labels if as_released else ChestLabels()
    return Reward(name="labels", function=function, best=None)
