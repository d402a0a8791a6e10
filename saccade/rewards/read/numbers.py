"""Numbers in a text: the whole text as one, or every one that stands in it."""

from __future__ import annotations

import math
import re

from saccade.rewards.read.reading import Reading

MAX_NUMBER = 64  # O characters; no answer needs more, and a million digits are not a number but an attack

_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_WHOLE_NUMBER = re.compile(rf"[+-]?{_NUMBER}")
_ANY_NUMBER = re.compile(rf"(?:(?<![\w.)])[+-])?{_NUMBER}")


def number(text: str) -> Reading[float]:
    """The number that the whole stripped text is: digits, sign, decimal point, exponent.

    Stricter than `float`: no nan, no inf or overflow to it, no underscores, no digits outside ASCII.
    """
    text = text.strip()
    if len(text) > MAX_NUMBER or not _WHOLE_NUMBER.fullmatch(text):
        return Reading(None, "not a plain number")
    value = float(text)
    return Reading(value) if math.isfinite(value) else Reading(None, "a number beyond all bounds")


def numbers(text: str) -> list[float]:
    """Every number in the text, in order. A sign counts unless it follows a word or a bracket ("7-3" is 7 and 3)."""
    values = (float(found) for found in _ANY_NUMBER.findall(text) if len(found) <= MAX_NUMBER)
    return [value for value in values if math.isfinite(value)]
