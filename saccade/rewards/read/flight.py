"""Commands of flight: CognitiveDrone's four numbers [Vx, Vy, Vz, yaw] in the frame of the drone's body.

    >>> flight("[0.3, 0, -0.05, 0.31]")
    Reading(value=Flight(vx=0.3, vy=0, vz=-0.05, yaw=0.31), why='')
    >>> flight("[0.3, 0, -0.05]")
    Reading(value=None, why='3 numbers, not 4')
"""

from __future__ import annotations

import itertools
import re
from typing import Any, NamedTuple

from saccade.rewards.read.literals import likely, literals, whole_literal
from saccade.rewards.read.reading import Reading


class Flight(NamedTuple):
    """Forward, left and up, and the turn about the upward axis; in the units that the prompt asks for."""

    vx: float
    vy: float
    vz: float
    yaw: float


_KEYS = (("vx",), ("vy",), ("vz",), ("yaw", "omega", "ω", "yaw_rate", "w"))  # O how models spell the keys, in lower case
_BARE = re.compile(r"\s*+\(?[0-9eE+\-.,\s]++\)?\s*+")


def flight(text: str) -> Reading[Flight]:
    """The command in the text: the first list of exactly four numbers, or dict with vx, vy, vz and yaw in any case.

    Or the whole text, if it is four numbers with commas between, with or without parentheses. A list of another length
    is no command.
    """
    if _BARE.fullmatch(text):
        return whole_literal(f"[{text.strip().strip('()')}]").then(_four)
    why = ""
    for value in itertools.chain.from_iterable(map(literals, likely(text))):
        read = _flight(value)
        if read.value is not None:
            return read
        why = why or read.why
    return Reading(None, why or "no list of four numbers")


def _flight(value: Any) -> Reading[Flight]:
    if type(value) is dict:
        lower = {key.lower(): item for key, item in value.items() if type(key) is str}
        found = [next((lower[key] for key in keys if key in lower), None) for keys in _KEYS]
        if any(item is None for item in found):
            inner = [item for item in value.values() if type(item) is list]
            return _flight(inner[0]) if len(inner) == 1 else Reading(None, "a dict without vx, vy, vz and yaw")
        return _four(found)
    if len(value) == 1 and type(value[0]) in (list, tuple, dict):
        return _flight(value[0])
    return _four(value)


def _four(values: list[Any]) -> Reading[Flight]:
    if not all(type(value) is int or type(value) is float for value in values):
        return Reading(None, "not all are numbers")
    if len(values) != 4:
        return Reading(None, f"{len(values)} numbers, not 4")
    return Reading(Flight(*values))
