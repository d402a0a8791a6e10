"""GUI-R1's answers as the released code reads them: one pattern for each field, and a layout that an empty list has. # C"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from saccade.core.picture import Frame, Point
from saccade.core.rollout import Score
from saccade.rewards.papers.gui_r1.action import lacks_text
from saccade.rewards.read.actions import NO_TEXT, Action
from saccade.rewards.read.literals import whole_literal
from saccade.rewards.read.numbers import number
from saccade.rewards.read.tags import first_section

_NAME = re.compile(r"'action':\s*+'(\w++)'")
_TEXT = re.compile(r"'input_text':\s*+'([^'\n]*+)'")
_PAIR = re.compile(r"\[([0-9]++),\s*+([0-9]++)\]")


def released_action(text: str) -> Action:
    """The action as the released code reads it, by one pattern for each field: total, as there is a default for all. # C

    A name with a slash or in double quotes is "no action"; the text ends at its first quotation mark; the point is the
    last `[digits, digits]` within braces on a line, and [0, 0] where there is none.
    """
    block = first_section(text, "answer").value or ""
    name, said = _NAME.search(block), _TEXT.search(block)
    x, y = _point(block)
    return Action(name[1] if name else "no action", Point(x, y, Frame.MODEL), said[1] if said else NO_TEXT)


def released_format(text: str) -> Score:
    """1 if the first answer block is a list of well-formed actions, be it empty; read as a literal, never evaluated. # C"""
    found = first_section(text, "answer").then(whole_literal)
    if not isinstance(found.value, list):
        return Score(0.0, found.why or "not a list")
    return Score(float(all(_is_well_formed(action) for action in found.value)), f"{len(found.value)} actions")


def _is_well_formed(action: Any) -> bool:
    if not isinstance(action, dict) or not {"action", "point", "input_text"} <= action.keys():
        return False
    name, point, text = action["action"], action["point"], action["input_text"]
    is_point = isinstance(point, (list, tuple)) and len(point) >= 2 and all(isinstance(value, int) for value in point[:2])
    return isinstance(name, str) and isinstance(text, str) and is_point and not lacks_text(name, text)


def _point(block: str) -> tuple[float, float]:
    for line in block.split("\n"):
        pairs = deque(_PAIR.finditer(line, line.find("{") + 1, line.rfind("}") + 1), maxlen=1) if "{" in line else ()
        for pair in pairs:
            x, y = (number(figure).value for figure in pair.groups())
            return (0.0, 0.0) if x is None or y is None else (x, y)
    return (0.0, 0.0)
