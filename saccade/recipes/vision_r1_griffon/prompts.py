"""The questions of Vision-R1 (Griffon) in our words: what a published problem asks for, put to a Qwen model, as one Sample.

    >>> asked("Look for objects. The category set includes 7, red.")
    ('detection', ('7', 'red'))
    >>> question("detection", ("7", "red"))
    'Locate all of 7, red. Coordinates in JSON.'
    >>> written([Labelled("7", Box(12, 30, 40, 60, Frame.MODEL))])
    '```json\\n[{"bbox_2d": [12, 30, 40, 60], "label": "7"}]\\n```'

The data set's problems are worded for Griffon; the released loader rewords them for Qwen2.5-VL and stops at a wording
that it does not know (# C). So does this: the three wordings are told by a mark each, what is asked for is kept, the
rest is ours. There is no system turn and there are no thinking tags: the completion is the list.  # C A category list
also names what the picture does not show; an object is labelled as it was asked for ("red cube" if so); where nothing
is there, the list is [].
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from saccade.core.picture import Frame, Labelled
from saccade.core.sample import DataError, Message, Sample

Kind = Literal["detection", "grounding", "referring"]

QUESTIONS: Mapping[str, str] = {
    "detection": "Locate all of {names}. Coordinates in JSON.",
    "grounding": "Locate every {names}. Coordinates in JSON.",
    "referring": "Locate the {names}. Coordinates in JSON.",
}
# What tells a Griffon-style problem's kind, and where what it asks for stands.  # C
MARKS: Mapping[str, re.Pattern[str]] = {
    "detection": re.compile(r"category set includes\s+(?P<names>.+?)\s*\.?\s*$", re.DOTALL),
    "referring": re.compile(r"point out\s+(?:the\s+)?(?P<names>.+)\s+in the (?:image|picture)\b", re.DOTALL),
    "grounding": re.compile(r"exact position of\s+(?P<names>.+)\s+in the (?:image|picture)\b", re.DOTALL),
}


def asked(problem: str) -> tuple[Kind, tuple[str, ...]]:
    """What a Griffon-style problem asks for: its kind, and the category names, or the one category or expression.

    DataError for a problem of no known wording.
    """
    for kind, mark in MARKS.items():
        if found := mark.search(problem):
            names = found["names"].split(",") if kind == "detection" else [found["names"]]
            kept = tuple(name.strip() for name in names if name.strip())
            if kept:
                return kind, kept  # type: ignore[return-value]
    raise DataError(
        f"the problem {problem[:80]!r} has no known wording; it should name a category set (\"category set includes a, b\"), "
        "ask for the \"exact position of a in the picture\", or to \"point out a in the image\""
    )


def question(kind: Kind, names: Sequence[str]) -> str:
    """What the model is asked: every object of several categories, or of one, or the objects that an expression means."""
    return QUESTIONS[kind].format(names=", ".join(names))


def written(things: Iterable[Labelled]) -> str:
    """The answer that names these things, their boxes rounded to whole pixels; [] for none. The boxes' frame is kept."""
    items = [
        {"bbox_2d": [round(v) for v in (t.box.x1, t.box.y1, t.box.x2, t.box.y2)], "label": t.label} for t in things
    ]
    return f"```json\n{json.dumps(items, ensure_ascii=False)}\n```"


def ask(row: Mapping[str, Any]) -> Sample:
    """The Sample of one row of `saccade.data.vision_r1_griffon`; `target` is its objects, in pixels of the stored picture.

    DataError for a row that the reader could make no sense of, and for a problem of unknown wording.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    kind, names = asked(row["problem"])
    return Sample(
        id=str(row["id"]),
        messages=(Message("user", (row["picture"], question(kind, names))),),
        target=row["objects"],
        kind=kind,
        data={"names": names, "problem": row["problem"], "split": row.get("split", "")},
    )


def gold_answer(sample: Sample) -> str:
    """The list that deserves full marks: every object in the order of its row, boxes in whole pixels of the picture as
    the model sees it."""
    (picture,) = sample.pictures
    return written(Labelled(t.label, picture.convert(t.box, to=Frame.MODEL)) for t in sample.target)
