r"""The questions of VL-Rethinker in our words: one row of its data becomes one Sample.

    >>> row = {"id": "MMK12-7", "benchmark": "MMK12", "question": "What is 3+4?", "image": [], "answer": r"\boxed{7}"}
    >>> ask(row, instruction=PUBLISHED.reason).messages[0].text
    'What is 3+4?\n\nReason step by step, then give the answer as \\boxed{answer}.'

Pictures, question, a blank line, and the instruction of the stage (specs/vl_rethinker.md 6.1). There is no system
turn.  # C
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from saccade.algo.rethinking import BARE, CORRECTION, QUESTION, VERIFICATION
from saccade.core.sample import DataError, Message, Sample
from saccade.data.parquet import picture

_TURNS = (f"{BARE}, ", f"{QUESTION} ", f"{CORRECTION} ", f"{VERIFICATION} ")


@dataclass(frozen=True)
class Instructions:
    """What follows the question in stage 1 and in stage 2."""

    reason: str
    rethink: str


PUBLISHED = Instructions(
    reason="\n\nReason step by step, then give the answer as \\boxed{answer}.",
    rethink="\n\nReason step by step. Question, check and correct yourself on the way, as with \"Wait\" or \"Wait, is that so?\". Then give "
    "the answer as \\boxed{answer}.",
)
# In the words and tags that the embedded model was taught, one for both stages: it cannot spell a box, and other words before its
# answer spoil what it reads. `{what}` is what the answer is to be.  # O
_TAUGHT = " Think inside <think> tags, then give {what} inside <answer> tags."
EMBEDDED_ONES = Instructions(reason=_TAUGHT, rethink=_TAUGHT)


def ask(row: Mapping[str, Any], *, instruction: str) -> Sample:
    r"""The Sample of one row of `saccade.data.vl_rethinker`, with an instruction after its question.

    `target` is the gold answer as the row has it, in \boxed{}; `kind` the benchmark. DataError or PictureError for a
    bad row.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    pictures = tuple(picture(cell) for cell in row["image"])
    words = instruction.replace("{what}", _what(row))
    columns = {name: row[name] for name in ("question", "category", "source", "split", "pass_rates") if row.get(name)}
    return Sample(
        id=str(row["id"]),
        messages=(Message("user", (*pictures, f"{row['question']}{words}")),),
        target=row["answer"],
        kind=row["benchmark"],
        data=columns,
    )


def _what(row: Mapping[str, Any]) -> str:
    if re.fullmatch(r"\\boxed\{[A-Z]\}", row["answer"]):
        return "the right letter"
    return "a whole or decimal number" if row["category"] == "geometry" else "a number"


def ask_with_solution(row: Mapping[str, Any], *, instruction: str) -> Sample:
    """A row of the warm-up with what is to be imitated: one with a mistake turns to the right solution, in one of four
    ways by `number`."""
    attempt, solution = row.get("attempt"), row.get("solution")
    sample = ask(row, instruction=instruction)
    if solution is None:
        raise DataError("has no solution")
    turn = _TURNS[row["number"] % len(_TURNS)]
    return replace(sample, solution=f"{attempt}{turn}{solution}" if attempt else solution)
