"""The questions of Reason-RFT in our words: one row of its data becomes one Sample.

    >>> sample = ask({"id": "clevr-math-0", "task": "counting", "image": ["0.png"], "problem": "How many?", "answer": "3"})
    >>> sample.kind, sample.target
    ('counting', '3')

Pictures come first, then the question, then the form of the answer (specs/reason_rft.md 6.2 gives what each must ask for).
There is no system turn.  # C
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saccade.core.picture import Picture
from saccade.core.sample import DataError, Message, Sample

FORM = "Think inside <think> tags, then give {what} inside <answer> tags."
COUNTING = "{problem} " + FORM.format(what="a number")
CHOICE = "{problem} " + FORM.format(what="the right letter")
OPEN = "{problem} " + FORM.format(what="a whole or decimal number")
FUNCTIONS = {  # C
    "change_size": ("small", "medium", "large"),
    "change_color": ("yellow", "gray", "cyan", "blue", "brown", "green", "red", "purple"),
    "change_material": ("glass", "metal", "rubber"),
    "change_shape": ("cube", "sphere", "cylinder"),
    "change_position": (
        "front", "behind", "left", "right", "front_left", "front_right", "behind_left", "behind_right",
    ),
}  # fmt: skip
SPATIAL = (
    "Two pictures, before and after 1 to 4 changes. {problem} Name each change as function(id, value): "
    + "; ".join(f"{function} {' '.join(values)}" for function, values in FUNCTIONS.items())
    + " of its old place. "
    + FORM.format(what="the calls")
)
LETTERS = ("A", "B", "C", "D")


def ask(row: Mapping[str, Any]) -> Sample:
    """The Sample of one row of `saccade.data.reason_rft`. Bad rows raise DataError or PictureError with what is wrong.

    `target` is the gold answer as text (without tags), `solution` the worked one, `kind` counting, structure or spatial.
    A row that the reader could not make sense of holds its `fault`. A row with `has_prompt` (a ShareGPT row) already says how to answer, and is asked as it stands.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    kind = task_of(row)
    answer = str(row["answer"]).strip()
    if not answer:
        raise DataError("the answer is empty")
    pictures = tuple(Picture.open(path) for path in row["image"])
    wanted = 2 if kind == "spatial" else 1
    if len(pictures) != wanted:
        raise DataError(f"a {kind} row needs {wanted} picture(s), got {len(pictures)}")
    text = str(row["problem"]).strip()
    if not row.get("has_prompt"):
        text = template(kind, answer).format(problem=text)
    is_choice = kind == "structure" and answer in LETTERS
    data = {"task": kind, "problem": row["problem"], "is_choice": is_choice, "split": row.get("split", "")}
    return Sample(
        id=str(row["id"]),
        messages=(Message("user", (*pictures, text)),),
        target=answer,
        kind=kind,
        solution=row.get("cot"),
        data=data,
    )


def template(kind: str, answer: str) -> str:
    """The prompt of a kind, with {problem} to be filled; structure asks for a letter when the gold answer is one."""
    match kind:
        case "counting":
            return COUNTING
        case "structure":
            return CHOICE if answer in LETTERS else OPEN
        case "spatial":
            return SPATIAL
    raise DataError(f"task is {kind!r}; have: counting, structure, spatial")


def task_of(row: Mapping[str, Any]) -> str:
    """Which of the three tasks a row belongs to: its `task` where the reader set one, else by its id as the original does."""
    if row.get("task"):
        return str(row["task"])
    name = str(row["id"]).lower()
    for mark, task in (("clevr", "counting"), ("geo", "structure"), ("trance", "spatial")):
        if mark in name:
            return task
    raise DataError(
        f"id {row['id']!r} names no task; it should contain clevr, geomath or trance, or the row have a task"
    )
