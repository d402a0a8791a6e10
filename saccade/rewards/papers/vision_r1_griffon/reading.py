"""The boxes in an answer of Vision-R1, as we read them and as the released code does."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from saccade.core.picture import Box, Frame, Labelled
from saccade.rewards.geometry.boxes import is_proper
from saccade.rewards.read.boxes import boxes

UNREADABLE = object()


@dataclass(frozen=True)
class Predictions:
    """The boxes of an answer that have an area, and how many items it wrote, boxes or not."""

    found: tuple[Labelled, ...]
    n_written: int


def predictions(text: str, *, frame: Frame = Frame.MODEL) -> Predictions:
    """The answer's boxes, in a fence or bare; none where there are none."""
    read = boxes(text, frame=frame).value
    if read is None:
        return Predictions((), 0)
    return Predictions(tuple(thing for thing in read if is_proper(thing.box)), read.n_written)


def released_predictions(text: str, *, frame: Frame = Frame.MODEL) -> Predictions:
    """The answer's boxes as the released code reads them: strict JSON, else single objects in one exact spelling. # C

    Items that are no box vanish. The spelling's spaces are # I.
    """
    found = []
    value = loaded(without_fence(text))
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict) and isinstance(item.get("bbox_2d"), list):
            found.append((item.get("label"), item["bbox_2d"]))
    kept = [thing for thing in (_released_box(label, row, frame) for label, row in found) if thing is not None]
    if not kept:
        rows = [(match[5], match.group(1, 2, 3, 4)) for match in _COMPACT.finditer(text)]
        kept = [thing for thing in (_released_box(label, row, frame) for label, row in rows) if thing is not None]
    return Predictions(tuple(kept), len(kept))


_COORDINATE = r"([0-9]{1,3}|1000)"
_COMPACT = re.compile(
    rf'\{{"bbox_2d": \[{_COORDINATE}, {_COORDINATE}, {_COORDINATE}, {_COORDINATE}\], "label": "([^"\n]{{0,200}})"\}}'
)


def _released_box(label: Any, row: Sequence[Any], frame: Frame) -> Labelled | None:
    try:
        x1, y1, x2, y2 = (int(value) for value in row)
    except (TypeError, ValueError, OverflowError):
        return None
    return Labelled(str(label), Box(x1, y1, x2, y2, frame)) if x1 < x2 and y1 < y2 else None


def without_fence(text: str) -> str:
    """The text without the markdown fence around it: an opening line, and everything from the closing mark on."""
    text = text.strip()
    if not text.startswith("```"):
        return text
    _, _, body = text.partition("\n")
    return body.partition("```")[0].strip()


def loaded(text: str) -> Any:
    """The JSON that the text is, UNREADABLE where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE
