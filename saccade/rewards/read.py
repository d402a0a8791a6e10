"""What stands in a piece of model text: tagged sections, whole layouts, numbers, function calls.

    >>> first_section("<think>2+2</think> <answer> 4 </answer>", "answer")
    '4'
    >>> layout("<think>2+2</think>\\n<answer>4</answer>", "think", "answer")
    ('2+2', '4')
    >>> number("-3.50"), number("3 apples"), numbers("from -3 to 4.5")
    (-3.5, None, [-3.0, 4.5])
    >>> calls("change_color(0, 'red') then change_size( 1 ,small)")
    [Call(func='change_color', object_id='0', value='red'), Call(func='change_size', object_id='1', value='small')]

A regular expression here never gives back what it took (possessive quantifiers) where giving back could be tried
again and again, and starts a word only at a word's beginning: that keeps every function linear.
"""

from __future__ import annotations

import functools
import math
import re
from typing import NamedTuple

from saccade.core.rollout import section as last_section

__all__ = ["Call", "calls", "first_section", "last_section", "layout", "number", "numbers"]

MAX_NUMBER = 64  # O characters; no answer needs more, and a million digits are not a number but an attack

_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_WHOLE_NUMBER = re.compile(rf"[+-]?{_NUMBER}")
_ANY_NUMBER = re.compile(rf"(?:(?<![\w.)])[+-])?{_NUMBER}")
_CALL = re.compile(
    r"(?<!\w)(?P<func>\w++)\("
    r"\s*+['\"]?(?P<object_id>\w++)['\"]?\s*+,"
    r"\s*+['\"]?(?P<value>\w++)['\"]?\s*+\)"
)


class Call(NamedTuple):
    """A function applied to an object with a value, all three as written."""

    func: str
    object_id: str
    value: str

    def __str__(self) -> str:
        return f"{self.func}({self.object_id}, {self.value})"


def first_section(text: str, tag: str) -> str | None:
    """The stripped text from the first <tag> to the next </tag>, None where there is no such pair.

    Its counterpart `last_section` (which is core's `section`) takes the last closing tag and the opening one before it.
    """
    start = text.find(f"<{tag}>")
    if start < 0:
        return None
    start += len(tag) + 2
    end = text.find(f"</{tag}>", start)
    return text[start:end].strip() if end >= 0 else None


def layout(text: str, *tags: str) -> tuple[str, ...] | None:
    """The contents of the blocks that make up the WHOLE text, in this order, with only whitespace between blocks.

    None where the text is laid out otherwise; nothing may stand before the first block or after the last. A block ends
    where the next one can begin, so contents may hold tags themselves. Says the same as the full match of
    `<a>(.*?)</a>\\s*<b>(.*?)</b>` with a dot that matches newlines, in linear time.
    """
    opening, closing = f"<{tags[0]}>", f"</{tags[-1]}>"
    if not (text.startswith(opening) and text.endswith(closing)):
        return None
    contents, start = [], len(opening)
    for tag, following in zip(tags, tags[1:], strict=False):
        joint = _joint(tag, following).search(text, start)
        if joint is None:
            return None
        contents.append(text[start : joint.start()])
        start = joint.end()
    return (*contents, text[start : len(text) - len(closing)])


def number(text: str) -> float | None:
    """The number that the whole stripped text is: digits, sign, decimal point, exponent. None for anything else.

    Stricter than `float`: no nan, no inf or overflow to it, no underscores, no digits outside ASCII.
    """
    text = text.strip()
    if len(text) > MAX_NUMBER or not _WHOLE_NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def numbers(text: str) -> list[float]:
    """Every number in the text, in order. A sign counts unless it follows a word or a bracket ("7-3" is 7 and 3)."""
    values = (float(found) for found in _ANY_NUMBER.findall(text) if len(found) <= MAX_NUMBER)
    return [value for value in values if math.isfinite(value)]


def calls(text: str) -> list[Call]:
    """Every func(object_id, value) in the text, in order, repeats included; spaces and quotes are optional."""
    return [Call(**match.groupdict()) for match in _CALL.finditer(text)]


@functools.cache
def _joint(tag: str, following: str) -> re.Pattern[str]:
    return re.compile(rf"</{re.escape(tag)}>\s*+<{re.escape(following)}>")
