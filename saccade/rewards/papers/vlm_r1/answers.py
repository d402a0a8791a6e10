"""VLM-R1's accuracies of answers in words: choices, yes and no, numbers, mathematics, a judge, and the default of them
all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from saccade.core.reward import Reward, as_score, value_of
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import Same, accuracy_by, golds_of, last_answer
from saccade.rewards.answers.numeric import is_close
from saccade.rewards.answers.rule import says_the_same
from saccade.rewards.answers.symbolic import is_equal
from saccade.rewards.answers.text import edit_similarity
from saccade.rewards.answers.verdict import verified
from saccade.rewards.judges.judge import Judge, OnFailure
from saccade.rewards.papers.vlm_r1.reading import SYSTEM as SYSTEM
from saccade.rewards.papers.vlm_r1.reading import answer_or_text, clean_text
from saccade.rewards.published import Example, published
from saccade.rewards.read.choices import choice
from saccade.rewards.read.choices import yes_no as read_yes_no
from saccade.rewards.read.numbers import number, quantity

OPTIONS = "ABCDEFGHIJ"  # O the released code takes any letter


def same_option(answer: str, gold: str) -> bool:
    """Whether the answer explicitly chooses the gold option."""
    chosen = choice(answer, OPTIONS).value
    return chosen is not None and chosen == choice(gold, OPTIONS).value


def released_option(text: str) -> str | None:
    """The letter by the released heuristics: one that stands before punctuation or the end. # C

    Of several the highest score wins: 1 for each cue word within 20 characters, 2 in the last 30 % of the text, 1 for
    punctuation next to it; then the last (# I, as are the cue words).
    """
    text = text.upper()
    found = list(_LONE_LETTER.finditer(text))
    if len(found) <= 1:
        return found[0][1] if found else None
    best, best_score = None, -1
    for match in found[:1000]:
        near = text[max(0, match.start() - 20) : match.end() + 20]
        score = sum(cue in near for cue in _CUES) + 2 * (match.start() > 0.7 * len(text))
        score += match.end() < len(text) and text[match.end()] in ".,?!:;"
        if score >= best_score:
            best, best_score = match[1], score
    return best


_LONE_LETTER = re.compile(r"(?<![A-Z])([A-Z])(?=[.,?!:;]|$)")
_CUES = ("ANSWER", "CORRECT", "CHOOSE", "CHOICE", "OPTION", "SELECT")  # I


def released_same_option(answer: str, gold: str) -> bool:
    """Whether both yield the same letter by the released heuristics. # C"""
    chosen = released_option(answer)
    return chosen is not None and chosen == released_option(gold)


def _same_verdict(answer: str, gold: str) -> bool:
    said = read_yes_no(answer).value
    return said is not None and said == read_yes_no(gold).value


def _released_same_verdict(answer: str, gold: str) -> bool:
    first, wanted = (_YES_NO.search(side.lower()) for side in (answer, gold))
    return (first and first[0]) == (wanted and wanted[0])  # C none in both is equal


_YES_NO = re.compile(r"yes|no")


def _same_clean(answer: str, gold: str) -> bool:
    return clean_text(answer) == clean_text(gold)


def _same_float(answer: str, gold: str) -> bool:
    value = number(answer).value
    return value is not None and value == number(gold).value


def default_value(answer: str, gold: str) -> float:
    """1 where the two say the same; else 0 for a gold that is a number or an option; else how alike they are by edits."""
    if says_the_same(answer, gold):
        return 1.0
    if quantity(gold).value is not None:
        return is_close(answer, gold)
    if len(gold) == 1 and gold.upper() in OPTIONS:
        return float(same_option(answer, gold))
    return edit_similarity(clean_text(answer), clean_text(gold))


def released_default_value(answer: str, gold: str) -> float:
    """The released chain: math-verify; a gold with a digit as numbers, else by edits; an option; else by edits. # C"""
    if is_equal(answer, gold):
        return 1.0
    alike = edit_similarity(clean_text(answer), clean_text(gold))
    if any(character.isdigit() for character in gold):
        return 1.0 if _same_float(clean_text(answer), clean_text(gold)) else alike
    if released_option(gold) is not None:
        return float(released_same_option(answer, gold))
    return alike


@dataclass(frozen=True, kw_only=True)
class JudgedOrSame:
    """The judge's verdict; where the judge fails, whether the strings are equal. # C"""

    judged: Reward

    async def __call__(self, rollout: Rollout) -> Score:
        score = as_score(await value_of(self.judged(rollout)))
        golds, answer = golds_of(rollout.sample), answer_or_text(rollout.text).value
        if score.value is not None or not golds:
            return score
        return Score(float(answer in golds), f"{score.why}; compared as strings")


def _example(answer: str, target: str) -> Example:
    return Example(text=f"<think>It is seen.</think>\n<answer>{answer}</answer>", target=target)


def _by(same: Same, released: Same, as_released: bool, **options: Any) -> Reward:
    if as_released:
        return accuracy_by(released, read=answer_or_text)
    return accuracy_by(same, read=last_answer, **options)


@published(
    formula="1 if the answer chooses the gold option, else 0",
    source="C",
    target="the option's letter",
    released="a lone letter before punctuation or the end, the best by cue words: 'B)' is none",
    changed="explicit choices only; no answer block is 0",
    example=_example("B) two", "B"),
)
def mcq(*, as_released: bool = False) -> Reward:
    """Multiple choice, named "accuracy"."""
    return _by(same_option, released_same_option, as_released, readable=lambda gold: choice(gold, OPTIONS))


@published(
    formula="1 if answer and gold are both yes or both no, else 0",
    source="C",
    target="yes or no",
    released="the first yes or no in each, inside words too; none in both is 1",
    changed="an answer without either is 0, a gold without either cannot be scored",
    example=_example("No, there is no dent", "No"),
)
def yes_no(*, as_released: bool = False) -> Reward:
    """Yes or no, named "accuracy"."""
    return _by(_same_verdict, _released_same_verdict, as_released, readable=read_yes_no)


@published(
    formula="1 if answer and gold are the same in lower case, on one line, without full stops at the end, else 0",
    source="C",
    target="a text",
    released="without an answer block the whole text is the answer",
    changed="no answer block is 0",
    example=_example("No Defect.", "no defect"),
)
def all_match(*, as_released: bool = False) -> Reward:
    """The whole answer, named "accuracy"."""
    return _by(_same_clean, _same_clean, as_released)


@published(
    formula="1 if the answer is the gold number, else 0",
    source="C, there only inside default",
    target="a number, as text or not",
    released="float equality",
    changed="thousands, percents and units are read",
    example=_example("1,024", "1024"),
)
def numeric(*, as_released: bool = False) -> Reward:
    """A number, named "accuracy"."""
    return _by(is_close, _same_float, as_released, readable=quantity)


@published(
    formula="1 if the answer is the gold, as text or as mathematics, else 0",
    source="C",
    target="a text or formula",
    released="math-verify on the answer, prose or not",
    changed="prose around a value is not that value; in a process that can be killed",
    example=_example("\\frac{1}{2}", "0.5"),
)
def math(*, as_released: bool = False) -> Reward:
    """Mathematics, named "accuracy". Needs math-verify where the texts differ."""
    return _by(says_the_same, is_equal, as_released)


@published(
    formula="1 if the same mathematics; a number or option must be met; other answers 1 - edits / length",
    source="C",
    target="a text",
    released="a wrong number earns what its letters have in common with the gold",
    changed="no partial credit for numbers",
    example=_example("a red kite", "A red kite"),
)
def default(*, as_released: bool = False) -> Reward:
    """What a sample without a method gets, named "accuracy"."""
    return _by(default_value, released_default_value, as_released)


@published(
    formula="1 if the judge finds answer and gold the same, else 0",
    source="C",
    target="a text",
    released="where the judge fails, whether the strings are equal",
    changed="a judge that fails gives no score (`on_failure`); the answer is quoted so that it cannot instruct the judge",
)
def llm(*, judge: Judge | None = None, on_failure: OnFailure = "none", as_released: bool = False) -> Reward:
    """A judge's verdict, named "accuracy". Without a judge, equal texts are asked for (# C what it falls back to)."""
    if judge is None:
        return all_match()
    reward = verified(judge=judge, on_failure="none" if as_released else on_failure, name="accuracy")
    return Reward(name="accuracy", function=JudgedOrSame(judged=reward)) if as_released else reward
