"""What VLM-R1's rewards read: answer blocks, boxes with their count, and both as the released code reads them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from saccade.core.picture import Box, Frame, Labelled
from saccade.rewards.read.boxes import boxes
from saccade.rewards.read.literals import fences, likely, literal
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import last_section

SYSTEM = "VLM-R1"

_EMPTY = re.compile(r"\s*\[\s*\]\s*")
_NEWLINE = re.compile(r"(?<=\s)\n|\n")


def answer_or_text(text: str) -> Reading[str]:
    """The last answer block, else the whole stripped text. # C"""
    block = last_section(text, "answer")
    return block if block.value is not None else Reading(text.strip())


def clean_text(text: str) -> str:
    """The answer, else the text, on one line, in lower case, without full stops at its end. # C"""
    answer = answer_or_text(text).value or ""
    joined = _NEWLINE.sub(lambda newline: "" if newline.start() and answer[newline.start() - 1].isspace() else " ", answer)
    return joined.strip().rstrip(".").lower()


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The boxes of an answer, how many items it wrote, and whether it says in so many words that there is nothing."""

    found: tuple[Labelled, ...] = ()
    n_written: int = 0
    says_nothing: bool = False


def detections(text: str, frame: Frame) -> Reading[Detections]:
    """The boxes of the last answer block: a list, fenced or bare, or the word None. A reason where there is neither."""
    return last_section(text, "answer").then(lambda block: detections_in(block, frame))


def detections_in(text: str, frame: Frame) -> Reading[Detections]:
    """The boxes of this whole text. An empty list says that there are none where it stands alone, or in a fence."""
    read = boxes(text, frame=frame)
    if read.value is None:
        return Reading(None, read.why)
    says_nothing = not read.value.n_written
    if says_nothing and not read.value.says_none and not any(_EMPTY.fullmatch(part) for part in likely(text)):
        return Reading(None, "an empty list amid other things")
    return Reading(Detections(found=read.value.found, n_written=read.value.n_written, says_nothing=says_nothing))


def released_detections(text: str, frame: Frame) -> Reading[Detections]:
    """The boxes of the last JSON fence of the last answer block; without a fence there are none. # C

    An item without four numbers or a label counts as written (# I: the released code fails on it, which scores 0).
    """
    block = last_section(text, "answer")
    if block.value is None:
        return Reading(None, block.why)
    fenced = fences(block.value, "json")
    items = literal(fenced[-1]).value if fenced else None
    items = items if isinstance(items, list) else []
    found = [thing for thing in (_released_item(item, frame) for item in items) if thing is not None]
    return Reading(Detections(found=tuple(found), n_written=len(items), says_nothing=block.value == "None"))


def _released_item(item: object, frame: Frame) -> Labelled | None:
    row = item.get("bbox_2d") if isinstance(item, dict) else None
    if not isinstance(row, list) or len(row) != 4 or not all(type(value) in (int, float) for value in row):
        return None
    return Labelled(str(item.get("label", "")), Box(*row, frame))


def folded(things: Sequence[Labelled]) -> list[Labelled]:
    """The things with their labels stripped and in one case."""
    return [Labelled(" ".join(thing.label.casefold().split()), thing.box) for thing in things]
