"""Function calls in a text: func(object, value).

    >>> calls("change_color(0, 'red') then change_size( 1 ,small)")
    [Call(func='change_color', object_id='0', value='red'), Call(func='change_size', object_id='1', value='small')]
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

MAX_CALLS = 10_000  # O

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


def calls(text: str) -> list[Call]:
    """Every func(object_id, value) in the text, in order, repeats included; spaces and quotes are optional.

    The first 10,000 of them: no answer has more, and text of nothing else must not take its time.
    """
    return [Call(*match.groups()) for match in itertools.islice(_CALL.finditer(text), MAX_CALLS)]
