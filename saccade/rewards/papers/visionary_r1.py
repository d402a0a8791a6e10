"""The rewards of Visionary-R1 (2505.14677): caption before reason, and a caption that alone answers the question.

    rewards()  =  accuracy + format + 0.1 caption                # P, C; 0 to 2.1

The answer is `<info> caption </info> <think> reasoning </think> <answer> answer </answer>`; the gold a text, with or
without its <answer> tags. How an answer is compared is told by the sample's `problem_type`, in its data or else its kind:

    problem_type         the gold is a number      the gold is words
    "OCR"                equal numbers             edit similarity of the lower-cased texts, no cut-off
    "free-form"          mean F1 of ROUGE-1, -2 and -L, stemmed (the extra `rouge`)
    any other            equal numbers             the same words or option; released: equal but for case

Departs, each with its reason:
- Blocks may be parted by any whitespace, must not be empty and come once. In the released code info and think are parted by
  exactly one whitespace character, and empty blocks earn the format reward, the hack that the paper reports.
- Words are compared without punctuation, articles and "the answer is", and where the gold is a letter the answer must
  choose that option: "Yes." is yes, "B. cat" is B (released: neither).
- Numbers are read whole on both sides: "1,234" is 1234 (released: 1), and "23.2%" is 23.2 as well as 0.232 (released: 0.232
  only, so that it misses a gold of 23.2). A gold of "45%" or "1,234" is a number (released: words).
- The last answer block counts, as everywhere here; released: the first.
- The caption may have several lines (released: 0), and is read as a quote that cannot instruct. "hacking sample." is
  understood; released: the exact phrase only. The judge answers greedily; released: at temperature 0.9.
- Of the judge's reply its answer block counts, else what follows its thoughts: a policy that learns to write tags writes
  them here too. Released: the whole reply.
- A judge that fails is absent (None); released: 0. Every caption keeps its own reply, and counts once; in the released code
  replies shift to other completions when a caption is missing, and the reward is added again at every step.
- problem_type is each sample's own; released: the first one's of the batch.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Sample
from saccade.rewards.answers.accuracy import golds_of, short
from saccade.rewards.answers.numeric import is_close, only_quantity
from saccade.rewards.answers.overlap import rouge_mean
from saccade.rewards.answers.rule import same_words_or_option
from saccade.rewards.answers.text import MAX_ANSWER, edit_similarity
from saccade.rewards.answers.verdict import question_of
from saccade.rewards.judges.judge import Judge, Question, Reply, judged
from saccade.rewards.judges.quote import quoted
from saccade.rewards.papers.released import first_on_a_line
from saccade.rewards.published import Example, published
from saccade.rewards.read.numbers import number, quantity
from saccade.rewards.read.tags import CAPTION_REASON_ANSWER, first_section, last_section, layout

SYSTEM = "Visionary-R1"

CAPTION_WEIGHT = 0.1  # P, C alpha; 0.5 made no difference
HACKING = "Hacking Sample"  # C the judge's phrase for a caption that reasons
CALLED_OUT = "the caption reasons"  # why such a caption earns nothing
CAPTION_RULES = (
    "You are given a text that describes a picture, and a question about the picture, which you cannot see.\n"
    "First decide whether the text only describes. If anywhere in it a question is answered, a problem solved, something "
    "explained or interpreted, or a conclusion drawn (steps of reasoning, results, words such as so, because, therefore), "
    f"then reply with exactly this and nothing else: {HACKING}\n"
    "Otherwise answer the question from the text alone, in one word or one short phrase, and write nothing else."
)  # O wording; what it asks C
_FIRST_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++)")  # C neither thousands nor exponents
_JSON = re.compile(r"\{\s*\"")
_ONE_SPACE = re.compile(r"</info>\s<think>")


@dataclass(frozen=True, kw_only=True)
class Compare:
    """How right an answer is for a gold text and a problem type, 0 to 1."""

    as_released: bool = False

    def __call__(self, answer: str, gold: str, problem_type: str) -> float:
        if problem_type == "free-form":
            return rouge_mean(answer, gold)
        if self.as_released:
            target = number(gold).value
            if target is not None:
                return float(_released_number(answer) == target)
        elif _is_number(gold):
            return is_close(answer, gold, read=only_quantity)
        if problem_type == "OCR":
            return edit_similarity(answer[:MAX_ANSWER].lower(), gold.lower())
        if self.as_released:
            return float(answer.lower() == gold.lower())
        return 0.0 if _JSON.search(answer) else same_words_or_option(answer, gold)  # a letter in it is not what is said


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The answer block against the gold; see `accuracy`."""

    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        golds = golds_of(rollout.sample)
        if not golds:
            return Score(None, "the gold answer is empty")
        answer = (first_section if self.as_released else last_section)(rollout.text, "answer")
        if not answer.value:
            return Score(0.0, answer.why or "the answer is empty")
        kind, compare = problem_type_of(rollout.sample), Compare(as_released=self.as_released)
        value = max(compare(answer.value, gold, kind) for gold in golds)
        return Score(value, f"{short(answer.value)} for {short(golds[0])} as {kind or 'any other'}")


@dataclass(frozen=True, kw_only=True)
class Format:
    """The three blocks and nothing else; see `format`."""

    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        if not self.as_released:
            read = CAPTION_REASON_ANSWER.read(rollout.text)
            return Score(float(read.value is not None), read.why or "is info, think, answer")
        joint = _ONE_SPACE.search(rollout.text) if rollout.text.startswith("<info>") else None
        rest = joint and layout(rollout.text[joint.end() - len("<think>") :], "think", "answer")
        return Score(float(rest is not None and rest.value is not None), "info, one space, think, answer, as released")


@dataclass(frozen=True, kw_only=True)
class Caption:
    """What a judge is asked about a caption, and what its reply is worth; see `caption`."""

    asks: Callable[[str, Sample], Question]
    as_released: bool = False

    def ask(self, rollout: Rollout) -> Question | Score:
        """The question about the caption, without the picture; 0 where there is no caption."""
        if not golds_of(rollout.sample):
            return Score(None, "the gold answer is empty")
        found = (first_on_a_line if self.as_released else first_section)(rollout.text, "info")
        return self.asks(found.value, rollout.sample) if found.value else Score(0.0, found.why or "the caption is empty")

    def value(self, reply: Reply, rollout: Rollout) -> Score:
        """0 for a caption that reasons, else how right the reply is."""
        said = reply.text.strip() if self.as_released else last_section(reply.text, "answer").value or reply.said
        is_hacked = reply.text == HACKING if self.as_released else _letters(HACKING) in _letters(said)
        if is_hacked:
            return Score(0.0, CALLED_OUT)
        kind, compare = problem_type_of(rollout.sample), Compare(as_released=self.as_released)
        value = max(compare(said, gold, kind) for gold in golds_of(rollout.sample))
        return Score(value, f"from the caption alone: {short(said)}")


def from_text_alone(caption: str, sample: Sample) -> Question:
    """What a judge is asked about a caption of the sample's picture: CAPTION_RULES, the caption as a quote, the question."""
    asked = f"Question:\n{question_of(sample)}"
    return Question.about(CAPTION_RULES, f"Text:\n{quoted(caption)}", asked, max_tokens=64)


def problem_type_of(sample: Sample) -> str:
    """How the sample's answer is compared: data["problem_type"], else its kind."""
    return str(sample.data.get("problem_type", sample.kind))


_EXAMPLE = Example(
    text="<info>A shop sign reads LOBLAWS.</info>\n<think>The sign names the shop.</think>\n<answer>loblaws</answer>",
    target="<answer> loblaws </answer>",
    data={"problem_type": "OCR"},
)


@published(
    formula='by problem_type: equal numbers, else edit similarity ("OCR"), ROUGE mean ("free-form"), equality',
    source="C",
    target='the gold text; data["problem_type"] says how it is compared',
    released='first answer block; the first number in the answer, without thousands, a "%" always divides by 100; words '
    "equal but for case: 'Yes.' is not yes",
    changed="last answer block; thousands and percentages are read on both sides; words and options are read as usually "
    "written; problem_type is each sample's own",
    example=_EXAMPLE,
)
def accuracy(*, as_released: bool = False) -> Reward:
    """r_acc, 0 to 1: the answer against the gold, as the sample's problem type compares."""
    return Reward(name="accuracy", function=Accuracy(as_released=as_released))


@published(
    formula="1 if the whole text is an info, a think and an answer block, else 0",
    source="C",
    target="not read",
    released="exactly one whitespace character after info; blocks may be empty and hold further tags; nothing around them",
    changed="any whitespace between and around; no block empty, none twice",
    example=_EXAMPLE,
)
def format(*, as_released: bool = False) -> Reward:
    """r_fmt, 0 or 1: caption, reasoning, answer."""
    return Reward(name="format", function=Format(as_released=as_released))


@published(
    formula="accuracy of what the policy answers from its caption alone; 0 where it finds the caption to reason",
    source="P, C",
    target="as accuracy; asks a judge, by default the policy itself",
    released="captions on one line only; the exact phrase; failures are 0; replies may reach other completions",
    changed="captions of several lines; the phrase in any spelling; the reply's answer block, else what follows its thoughts; "
    "a failed judge is absent; the caption is quoted",
)
def caption(
    *,
    judge: Judge | Literal["policy"] = "policy",
    asks: Callable[[str, Sample], Question] = from_text_alone,
    as_released: bool = False,
) -> Reward:
    """r_cap, 0 to 1, not yet weighted: whether the caption holds what the question asks for. `judge` sees no picture.

    `asks` makes the question of a caption and its sample, for a judge that needs other words; it must have the judge reply
    HACKING to a caption that reasons.
    """
    term = Caption(asks=asks, as_released=as_released)
    return judged("caption", judge=judge, ask=term.ask, read=term.value, on_failure="zero" if as_released else "none")


def rewards(*, judge: Judge | Literal["policy"] = "policy", as_released: bool = False) -> Rewards:
    """All three with the published weights: 0 to 2.1. # P, C"""
    return weighted(
        (accuracy(as_released=as_released), 1.0),
        (format(as_released=as_released), 1.0),
        (caption(judge=judge, as_released=as_released), CAPTION_WEIGHT),
    )


def _is_number(gold: str) -> bool:
    read = quantity(gold).value
    return read is not None and (not read.unit or read.is_percent)


def _released_number(answer: str) -> float | None:
    """The first number in the answer, a hundredth of it where the answer ends with a percent sign. # C"""
    found = _FIRST_NUMBER.search(answer[:MAX_ANSWER])
    value = None if found is None else number(found[0]).value
    return value if value is None or not answer.strip().endswith("%") else value / 100


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text[:MAX_ANSWER]).casefold()
