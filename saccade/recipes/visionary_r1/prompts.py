"""The questions of Visionary-R1 in our words: one row of its data becomes one Sample.

    >>> sample = ask({"id": "train-00000", "picture": shown, "problem": "How many?", "answer": "3", "problem_type": "numerical"})
    >>> sample.kind, sample.target
    ('numerical', '3')

A system turn asks for a description of all that is there, for reasoning that builds on it, and for a short answer; the
user's turn is the picture and the question (specs/visionary_r1.md 1.2 gives what each must ask for).  # C  The embedded
model knows no system turns and few words: its questions end with a short form of the same.  # O
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from saccade.core.sample import DataError, Message, Sample

Form = Literal["info", "think"]
SYSTEM: dict[Form, str] = {
    "info": "First describe all that the picture shows, objects, numbers, text and how they relate, in <info> tags; then reason "
    "from this description step by step in <think> tags; then give the answer, a word or phrase, in <answer> tags.",
    "think": "First reason step by step in <think> tags; then give the answer, a word or phrase, in <answer> tags.",
}
SHORT: dict[Form, str] = {
    "info": "Describe inside <info> tags. Think inside <think> tags, then give the answer inside <answer> tags.",
    "think": "Think inside <think> tags, then give the answer inside <answer> tags.",
}
OF_ROW = ("id", "picture", "answer", "problem_type")


def ask(row: Mapping[str, Any], *, form: Form = "info", is_short: bool = False) -> Sample:
    """The Sample of one row of `saccade.data.visionary_r1`. DataError with what is wrong for a row that holds its `fault`.

    `target` is the gold answer without tags, `kind` the problem type, which says how answers are compared; `data` holds the
    bare problem, and what columns the row has beside the published ones.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    if is_short:
        messages = (Message("user", (row["picture"], f"{row['problem']} {SHORT[form]}")),)
    else:
        messages = (Message("system", (SYSTEM[form],)), Message("user", (row["picture"], row["problem"])))
    return Sample(
        id=row["id"],
        messages=messages,
        target=row["answer"],
        kind=row["problem_type"],
        data={key: value for key, value in row.items() if key not in OF_ROW},
    )


def gold_answer(sample: Sample, *, form: Form = "info") -> str:
    """The text that deserves full marks: the row's own caption and thought, or placeholders in their form."""
    if sample.solution is not None:
        return sample.solution
    caption, thought = sample.data.get("caption", "What the picture shows."), sample.data.get("thought", "It follows.")
    return written(caption, thought, sample.target, form=form)


def written(caption: str, thought: str, answer: str, *, form: Form) -> str:
    """An answer in its form; without an info block in the form "think"."""
    info = f"<info>{caption}</info>\n" if form == "info" else ""
    return f"{info}<think>{thought}</think><answer>{answer}</answer>"
