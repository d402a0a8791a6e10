r"""The questions of VL-Rethinker in our words: one row of its data becomes one Sample.

    >>> row = {"id": "words-00001", "benchmark": "words", "question": "What is the sum of 3 and 4?", "image": [], "answer": r"\boxed{7}"}
    >>> ask(row).messages[0].text
    'What is the sum of 3 and 4?\n\nThink, then give the answer inside \\boxed{}.'

Pictures, question, a blank line, and the instruction of the stage (specs/vl_rethinker.md 6.1). There is no system turn.  # C
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saccade.algo.rethinking import BARE, CORRECTION, QUESTION, VERIFICATION
from saccade.core.sample import DataError, Message, Sample
from saccade.data.parquet import picture

REASON = r"Think, then give the answer inside \boxed{}."
RETHINK = r'Think, say "Wait" and check, then give the answer inside \boxed{}.'
_TURNS = (f"{BARE}, ", f"{QUESTION} ", f"{CORRECTION} ", f"{VERIFICATION} ")


def ask(row: Mapping[str, Any], *, rethinks: bool = False) -> Sample:
    r"""The Sample of one row of `saccade.data.vl_rethinker`, with the instruction of stage 2 where it `rethinks`.

    `target` is the gold answer as the row has it, in \boxed{}; `kind` the benchmark. DataError or PictureError for a bad row.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    pictures = tuple(picture(cell) for cell in row["image"])
    text = f"{row['question']}\n\n{RETHINK if rethinks else REASON}"
    columns = {name: row[name] for name in ("category", "source", "split", "pass_rates") if row.get(name)}
    return Sample(
        id=str(row["id"]),
        messages=(Message("user", (*pictures, text)),),
        target=row["answer"],
        kind=row["benchmark"],
        data=columns,
    )


def ask_again(row: Mapping[str, Any]) -> Sample:
    """The same with the instruction of stage 2, to question oneself."""
    return ask(row, rethinks=True)


def ask_with_solution(number: int, row: Mapping[str, Any]) -> Sample:
    """A row of the warm-up with what is to be imitated, numbered for variety: those with a mistake turn to the right solution.

    Mistakes are mended under the instruction of stage 2 alone; the others stand under either.
    """
    attempt, solution = row.get("attempt"), row.get("solution")
    sample = ask(row, rethinks=bool(attempt) or number % 2 == 0)
    if solution is None:
        raise DataError("has no solution")
    turn = _TURNS[number % len(_TURNS)]
    return Sample(
        id=sample.id,
        messages=sample.messages,
        target=sample.target,
        kind=sample.kind,
        solution=f"{attempt}{turn}{solution}" if attempt else solution,
        data=sample.data,
    )
