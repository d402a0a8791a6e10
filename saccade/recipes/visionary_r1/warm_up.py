"""What the tiny model is shown before its reinforcement learning: the form, several habits, and how to judge a
caption.  # O

The paper needs nothing of this: its base model can describe, reason and judge. The embedded model can read digits and add
them up. A short imitation shows it captions, in habits that leave something to be learnt:

    careful  40 %   the digits in the caption, the sum worked out
    lazy     40 %   nothing in the caption; what the note says, or a guess
    half     10 %   the digits in the caption, and still what the note says, or a guess
    hidden   10 %   the sum worked out in the caption, nothing in the thought

six in ten of them in the form with a caption and the others in the one without, so that all arms begin with the same
weights. And to judge, from text alone: to work out the answer from a caption that holds the digits, to answer "?" where
it holds none, and to call out one that reasons. All is said in words that the tiny model knows: it spells new ones
letter by letter, and badly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from saccade.core.reward import reward
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Message, Sample
from saccade.recipes.visionary_r1.prompts import Form, ask, written
from saccade.rewards.judges.judge import Question, Reply
from saccade.rewards.papers.visionary_r1 import CALLED_OUT, HACKING, Caption

HABITS = {"careful": 0.4, "lazy": 0.4, "half": 0.1, "hidden": 0.1}
FORMS: dict[Form, float] = {"info": 0.6, "think": 0.4}  # the longer form is harder to keep to
VAGUE = ("the digits", "all the digits")
UNKNOWN = "?"
CASES = {"full": 0.7, "vague": 0.2, "reasons": 0.1}
JUDGED = "judged"  # the kind of the samples about a caption


def briefly(caption: str, sample: Sample) -> Question:
    """What the tiny model is asked about a caption: the caption and the bare question, without the picture, and no
    rules."""
    return Question(messages=(Message("user", (f"{caption} {sample.data['problem']}",)),), max_tokens=48)


def habits(rows: Sequence[Mapping[str, Any]], *, seed: int) -> list[Sample]:
    """The rows as samples with a solution each, in one of the FORMS and of the HABITS."""
    rng = np.random.default_rng([seed, 1])
    forms, chosen = (rng.choice(list(of), p=list(of.values()), size=len(rows)).tolist() for of in (FORMS, HABITS))
    return [
        replace(ask(row, form=form, is_short=True), solution=_in_habit(rng, habit, row, form=form))
        for row, form, habit in zip(rows, forms, chosen, strict=True)
    ]


def captions_to_judge(
    rows: Sequence[Mapping[str, Any]], *, cases: Mapping[str, float] = CASES, seed: int
) -> list[Sample]:
    """Samples about a caption of each row, without its picture, asked as the caption reward asks; in one of the cases."""
    rng = np.random.default_rng([seed, 2])
    chosen = rng.choice(list(cases), p=list(cases.values()), size=len(rows)).tolist()
    return [_to_judge(rng, case, row) for row, case in zip(rows, chosen, strict=True)]


def _in_habit(rng: np.random.Generator, habit: str, row: Mapping[str, Any], *, form: Form) -> str:
    caption, thought = row["caption"], row["thought"]
    glance = f"It is {thought.rpartition('=')[2]}."
    match habit:
        case "lazy":
            caption, thought = str(rng.choice(VAGUE)), glance
        case "half":
            thought = glance
        case "hidden" if form == "info" and thought != caption:
            caption, thought = thought, glance
    return written(caption, thought, row["answer"], form=form)


def _to_judge(rng: np.random.Generator, case: str, row: Mapping[str, Any]) -> Sample:
    reply = f"<think>{row['thought']}</think><answer>{row['answer']}</answer>"
    caption = row["caption"]
    match case:
        case "vague":
            caption, reply = str(rng.choice(VAGUE)), UNKNOWN
        case "reasons":
            caption = row["thought"] if row["thought"] != caption else f"The answer is {row['answer']}."
            reply = HACKING
    asked = ask(row, is_short=True)
    return Sample(
        id=f"{row['id']} {case}",
        messages=briefly(caption, asked).messages,
        target=row["answer"] if case == "full" else reply,
        kind=JUDGED,
        solution=reply,
        data={"case": case, "asked": asked},
    )


@dataclass(frozen=True)
class _Judges:
    """See `judges_well`."""

    def __call__(self, rollout: Rollout) -> Score:
        asked = replace(rollout, sample=rollout.sample.data["asked"])
        found = Caption(asks=briefly).value(Reply(rollout.text), asked)
        match rollout.sample.data["case"]:
            case "full":
                return found
            case "vague":
                return Score(float(Reply(rollout.text).said == UNKNOWN), found.why)
        return Score(float(found.why == CALLED_OUT), found.why)


judges_well = reward(_Judges(), name="judges_well")
"""Of a reply about a caption, 0 to 1: what a full one earns by it; whether a vague one is told, and one that reasons called out."""
