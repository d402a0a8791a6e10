"""Calls of a tool, as Mobile-R1 and Qwen's mobile_use write them: JSON in a tool_call section.

    >>> said = '{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [5, 6]}}'
    >>> call = tool_call(f"<tool_call>{said}</tool_call>").value
    >>> call.name, call.arguments["action"], call.point("coordinate", frame=Frame.PIXEL).value
    ('mobile_use', 'click', Point(x=5, y=6, frame=<Frame.PIXEL: 'pixel'>))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saccade.core.picture import Frame, Point
from saccade.rewards.read.boxes import point_of
from saccade.rewards.read.literals import literal, whole_literal
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import last_section


@dataclass(frozen=True)
class ToolCall:
    """A tool by its name, and the arguments that it gets: JSON values."""

    name: str
    arguments: dict[str, Any]

    def point(self, key: str, *, frame: Frame) -> Reading[Point]:
        """The point under this argument: "coordinate"; where a swipe ends is "coordinate2"."""
        if key not in self.arguments:
            return Reading(None, f"no {key}")
        value = self.arguments[key]
        if type(value) is str:  # some models quote the list
            value = whole_literal(value).value
        read = point_of(value, frame)
        return read if read.value is not None else Reading(None, f"{key} is {read.why}")


def tool_call(text: str) -> Reading[ToolCall]:
    """The call in the last tool_call section: a dict with a "name" and a dict of "arguments", in single or double quotes."""
    return last_section(text, "tool_call").then(literal).then(_call)


def _call(value: Any) -> Reading[ToolCall]:
    if type(value) is not dict:
        return Reading(None, "the tool call is no dict")
    name, arguments = value.get("name"), value.get("arguments")
    if type(name) is not str or not name.strip():
        return Reading(None, "the tool call has no name")
    if type(arguments) is str:  # as some servers write it: JSON within JSON
        arguments = whole_literal(arguments).value
    if type(arguments) is not dict:
        return Reading(None, "the tool call has no arguments")
    if not all(type(key) is str for key in arguments):
        return Reading(None, "an argument of the tool call has no name")
    return Reading(ToolCall(name.strip(), arguments))
