"""What to do next on a screen: GUI-R1's list of actions.

    >>> actions("[{'action': 'click', 'point': [123, 300], 'input_text': 'no input text'}]", frame=Frame.MODEL).value
    (Action(name='click', point=Point(x=123, y=300, frame=<Frame.MODEL: 'model'>), text=None),)
    >>> actions('[{"action": "type", "point": [-100, -100], "input_text": "it\\'s [5, 6]"}]', frame=Frame.MODEL).value
    (Action(name='type', point=None, text="it's [5, 6]"),)
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from saccade.core.picture import Frame, Point
from saccade.rewards.read.boxes import point_of
from saccade.rewards.read.literals import likely, literals, whole_literal
from saccade.rewards.read.reading import Reading

NO_POINT = (-100, -100)  # C GUI-R1's way to say that an action has no place
NO_TEXT = "no input text"  # C and no text


@dataclass(frozen=True)
class Action:
    """An action by its name, as written; where and with what text, None where the model says that it has none."""

    name: str
    point: Point | None = None
    text: str | None = None


def actions(text: str, *, frame: Frame) -> Reading[tuple[Action, ...]]:
    """The actions in the text: the first list of dicts with an "action", or one such dict alone; any quotes, fenced or bare.

    Only the name is a must. A point that is missing, NO_POINT or no two numbers is None, so is a text that is missing,
    NO_TEXT or no text. The empty list is no actions, a value. For the form that the prompt asks for see
    `whole_actions`.
    """
    why = ""
    for value in itertools.chain.from_iterable(map(literals, likely(text))):
        items = [value] if type(value) is dict else value
        if not items or type(items[0]) is dict and "action" in items[0]:
            read = _all_of(items, frame)
            if read.value is not None:
                return read
            why = why or read.why
    return Reading(None, why or "no list of actions")


def whole_actions(text: str, *, frame: Frame) -> Reading[tuple[Action, ...]]:
    """The actions that the whole stripped text is a list of; None, with the reason, for any other form.

    Each has a text under "action" and under "input_text", and two integers under "point".
    """
    value = whole_literal(text)
    if value.value is None:
        return Reading(None, value.why)
    if type(value.value) is not list:
        return Reading(None, "not a list")
    for i, item in enumerate(value.value):
        if wrong := _misformed(item):
            return Reading(None, f"item {i + 1} {wrong}")
    return _all_of(value.value, frame)


def _misformed(item: Any) -> str:
    if type(item) is not dict:
        return "is no dict"
    missing = [key for key in ("action", "point", "input_text") if key not in item]
    if missing:
        return f"has no {missing[0]}"
    if type(item["action"]) is not str or type(item["input_text"]) is not str:
        return "has an action or input_text that is no text"
    place = item["point"]
    is_place = type(place) in (list, tuple) and len(place) == 2 and all(type(number) is int for number in place)
    return "" if is_place else "has a point that is not two integers"


def _all_of(items: list[Any], frame: Frame) -> Reading[tuple[Action, ...]]:
    found = []
    for i, item in enumerate(items):
        name = item.get("action") if type(item) is dict else None
        if type(name) is not str or not name.strip():
            return Reading(None, f"item {i + 1} of the list has no action")
        found.append(Action(name.strip(), _place(item.get("point"), frame), _said(item.get("input_text"))))
    return Reading(tuple(found))


def _place(value: Any, frame: Frame) -> Point | None:
    place = point_of(value, frame).value
    return None if place is None or (place.x, place.y) == NO_POINT else place


def _said(value: Any) -> str | None:
    if type(value) in (int, float):
        return str(value)
    return None if type(value) is not str or value.strip().lower() == NO_TEXT else value
