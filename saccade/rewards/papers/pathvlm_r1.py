"""The rewards of PathVLM-R1 (2504.09258): format, answer, and a judge's view of the reasoning.

    rewards = weighted((accuracy(), 1.0), (format(), 1.0))                                      # P, C stage 2
    rewards = weighted((accuracy(), 1.0), (format(), 1.0), (process(judge=server), 1.0))        # P, C stage 3

The answer block holds letter and text, "B) Squamous cell carcinoma". The process reward is

    r_proc = (S_integrity + S_knowledge) / 2       S = max(0, 1 - 0.4 n): 1, 0.6, 0.2, 0

n counts, for integrity, what is missing of image features, step-wise elimination of at least two options, and cited
medical knowledge; for knowledge, errors of definition, contradictions, and outdated or wrong criteria. A judge that
sees the picture names the two scores (the paper), or with `findings=True` answers six questions from which they are
counted (the revision).

Departs, each with its reason:
- The judge is not told whether the answer is right, nor the gold answer: in paper and code it is told both, and the
  process score then follows the outcome. `shows_gold=True` shows the gold with the revision's rule, that agreeing with
  it earns nothing.
- The model's text is quoted, so that it cannot instruct the judge.
- Where the judge fails, r_proc is 0.5 for a right answer and else 0, as in the paper; the released code gives 0.
  `on_failure` has more; "none" leaves the rollout out of its group.
- The format wants one block of each kind, neither empty.
- Accuracy wants letter and text, as in paper and code. That is harsh: a typing error in the text is a wrong answer.
  `by_letter=True` compares letters where both sides have one, as in the revision.

Retries, waiting and caching are the judge's own (`saccade/rewards/judges/`): the released code tries 3 times, waiting
1, 2 and 4 s. The paper's judge is GPT-4o at temperature 0.1 with at most 200 tokens, the revision's at 0 with seed 42.
Do not evaluate with the judge that trained.

Marks: # P paper or manuscript, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from saccade.core.picture import Picture
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import accuracy_by, golds_of
from saccade.rewards.format import format_of
from saccade.rewards.judges.judge import Judge, OnFailure, Question, Reply, judged
from saccade.rewards.judges.quote import quoted
from saccade.rewards.judges.rule import Rule
from saccade.rewards.published import Example, published
from saccade.rewards.read.choices import choice
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import Grammar, last_section, layout

SYSTEM = "PathVLM-R1"

OPTIONS = "ABCD"  # C
PENALTY = 0.4  # P, C; 0.3 to 0.5 are not told apart (P revision)
MAX_TOKENS = 512  # P the revision's second limit; 200 in the code is tight for findings with evidence

THINK_ANSWER = Grammar(tags=("think", "answer"), any_case=True)  # C


# format and answer


@published(
    formula="1 if the whole stripped text is a think block, then an answer block, tags in either case, else 0",
    source="C",
    target="not read",
    released="empty blocks, and blocks within blocks, pass",
    changed="one block of each, neither empty",
    example=Example(text="<think>Keratin pearls.</think>\n<answer>B) Squamous</answer>", target="B) Squamous"),
)
def format(*, as_released: bool = False) -> Reward:
    """r_fmt, named "format"."""
    return Reward(name="format", function=_released_format) if as_released else format_of(THINK_ANSWER)


def _released_format(rollout: Rollout) -> Score:
    reading = layout(_lower_tags(rollout.text.strip()), "think", "answer")
    return Score(float(reading.value is not None), reading.why or "think, then answer")


_TAG = re.compile(r"</?(?:think|answer)>", re.IGNORECASE | re.ASCII)


def _lower_tags(text: str) -> str:
    return _TAG.sub(lambda tag: tag[0].lower(), text)


def answer_of(text: str) -> Reading[str]:
    """The last answer block, its tags in either case."""
    return last_section(_lower_tags(text), "answer")


def same_answer(answer: str, gold: str) -> bool:
    """Whether both are the same letter and text, whitespace aside. # P, C"""
    return answer.split() == gold.split()


def same_letter(answer: str, gold: str) -> bool:
    """Whether the letters are the same, where both have one; else the texts, in either case. # C revision"""
    said, wanted = choice(answer, OPTIONS).value, choice(gold, OPTIONS).value
    if said is None or wanted is None:
        return same_answer(answer.casefold(), gold.casefold())
    return said == wanted


@published(
    formula="1 if the last answer block equals the gold, letter and text, whitespace aside, else 0",
    source="P, C",
    target="letter and text, 'B) Squamous', with or without answer tags, also after a think block",
    changed="nothing; by_letter=True compares letters where both have one (the revision), so that typing errors "
    "cost nothing",
    example=Example(text="<think>Keratin pearls.</think>\n<answer>B) Squamous</answer>", target="B) Squamous"),
)
def accuracy(*, by_letter: bool = False) -> Reward:
    """r_acc, named "accuracy"."""
    return accuracy_by(same_letter if by_letter else same_answer, read=answer_of)


# the judge of the reasoning


def process_score(*, missing: int, errors: int, penalty: float = PENALTY) -> float:
    """r_proc of 0 to 3 missing components and 0 to 3 kinds of error: the mean of max(0, 1 - penalty * n) of both."""
    return (max(0.0, 1 - penalty * missing) + max(0.0, 1 - penalty * errors)) / 2


_PARTS = {
    "has_image_features": "it describes what can be seen in this image and bears on the question",
    "eliminates_options": "it weighs at least two of the options one after the other and gives reasons for leaving them out",
    "cites_knowledge": "it names medical knowledge that links what is seen to the conclusion",
}
_ERRORS = {
    "wrong_definition": "it contradicts a basic definition of histology",
    "contradicts_itself": "two of its statements cannot both hold",
    "wrong_criteria": "it relies on diagnostic criteria that are outdated or false",
}
_SCORES: Mapping[str, Any] = {
    "type": "object",
    "properties": {"integrity_score": {"type": "number"}, "knowledge_score": {"type": "number"}},
    "required": ["integrity_score", "knowledge_score"],
}
_FINDINGS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "boolean", "description": text} for name, text in (_PARTS | _ERRORS).items()},
        "evidence": {"type": "array", "items": {"type": "string"}},
    },
    "required": [*_PARTS, *_ERRORS, "evidence"],
    "additionalProperties": False,
}
_TASK = (
    "You review how a student reasoned about a pathology image. You get the question, the image and the student's text. "
    "Judge the reasoning alone. Whether its final answer is right is not your concern and must change nothing."
)
_AGREEING = (
    "You also get the reference answer, to understand the case. Agreeing with it earns nothing by itself, and disagreeing "
    "costs nothing by itself."
)


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """What the judge is asked about a rollout. `tells_outcome` also says whether the answer is right (C; it leaks)."""

    findings: bool = False
    shows_gold: bool = False
    tells_outcome: Reward | None = None
    penalty: float = PENALTY
    max_tokens: int = MAX_TOKENS

    def __call__(self, rollout: Rollout) -> Question:
        parts = ["Question:", *_asked(rollout)]
        if self.shows_gold:
            parts += [f"Reference answer: {' '.join(golds_of(rollout.sample)[:1])}"]
        if self.tells_outcome is not None:
            parts += [f"The student's final answer is {'right' if self.tells_outcome(rollout).value else 'wrong'}."]
        parts += ["The student's text:", quoted(rollout.text)]
        schema = _FINDINGS if self.findings else _SCORES
        return Question.about(self.rules, *parts, schema=schema, max_tokens=self.max_tokens)

    @property
    def rules(self) -> str:
        """The system message."""
        lines = [_TASK, *([_AGREEING] if self.shows_gold else [])]
        parts = [f"- {name}: {text}" for name, text in _PARTS.items()]
        errors = [f"- {name}: {text}" for name, text in _ERRORS.items()]
        if self.findings:
            lines += ["For each of these, say true or false:", *parts, *errors]
            lines += ["Put into evidence the student's words that each finding rests on, at most 20 words each."]
        else:
            lines += [f"integrity_score starts at 1 and loses {self.penalty:g} for each of these that is missing:", *parts]
            lines += [f"knowledge_score starts at 1 and loses {self.penalty:g} for each of these errors:", *errors]
            lines += ["Neither falls below 0. Reply with one JSON object of the two scores and nothing else."]
        return "\n".join(lines)

    def read(self, reply: Reply, rollout: Rollout) -> Score:
        """r_proc out of the reply's data, which fits the schema."""
        data = reply.data
        if self.findings:
            missing = [name for name in _PARTS if not data[name]]
            errors = [name for name in _ERRORS if data[name]]
            value = process_score(missing=len(missing), errors=len(errors), penalty=self.penalty)
            return Score(value, f"missing: {', '.join(missing) or 'nothing'}; errors: {', '.join(errors) or 'none'}")
        integrity, knowledge = (min(1.0, max(0.0, float(data[name]))) for name in _SCORES["required"])
        return Score((integrity + knowledge) / 2, f"integrity {integrity:g}, knowledge {knowledge:g}")


def _asked(rollout: Rollout) -> list[str | Picture]:
    """The question as the student saw it: the user's messages, in reading order."""
    return [part for message in rollout.sample.messages if message.role == "user" for part in message.parts]


def _no_judge(question: Question) -> str:
    raise ValueError("the process reward needs a judge that sees pictures: process(judge=...); see rewards/judges/")


@published(
    formula="(S_integrity + S_knowledge) / 2, S = max(0, 1 - 0.4 n) for n missing components or kinds of error, by a judge",
    source="P, C",
    target="as accuracy; used where the judge fails",
    released="tells the judge the gold answer and whether the answer is right; a judge that fails gives 0",
    changed="the judge sees neither; one that fails gives 0.5 for a right answer, else 0 (the paper); the text is quoted",
)
def process(
    *,
    judge: Judge | Literal["policy"] = Rule(_no_judge, name="missing"),
    findings: bool = False,
    shows_gold: bool = False,
    penalty: float = PENALTY,
    max_tokens: int = MAX_TOKENS,
    on_failure: OnFailure = "half",
    by_letter: bool = False,
    as_released: bool = False,
) -> Reward:
    """r_proc, named "process". Without a judge it can be made but not asked. `by_letter`: as `accuracy`, for "half"."""
    right = accuracy(by_letter=by_letter)
    rubric = Rubric(
        findings=findings,
        shows_gold=shows_gold or as_released,
        tells_outcome=right if as_released else None,
        penalty=penalty,
        max_tokens=max_tokens,
    )
    on_failure = "zero" if as_released else on_failure
    when_right = right if on_failure == "half" else None
    return judged("process", judge=judge, ask=rubric, read=rubric.read, on_failure=on_failure, when_right=when_right)
