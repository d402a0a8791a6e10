"""What a reader gives back: a value, or None and the reason why there is none.

    >>> Reading.of(7), Reading.none("no answer block")
    (Reading(value=7, why=''), Reading(value=None, why='no answer block'))
    >>> last_section("<answer> (B) </answer>", "answer").then(choice)       # a reader of what another one read
    Reading(value='B', why='')
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """A value that stood in a text, or None; `why` says in a few words why there is none."""

    value: Value | None
    why: str = ""

    @classmethod
    def of(cls, value: Value) -> Reading[Value]:
        """This was read."""
        return cls(value)

    @classmethod
    def none(cls, why: str) -> Reading[Value]:
        """Nothing could be read, for this reason."""
        return cls(None, why)

    def __bool__(self) -> bool:
        raise TypeError("a Reading is neither true nor false, as 0 and '' can be read; ask for .value is None")

    def then(self, reader: Callable[[Value], Reading[Other]]) -> Reading[Other]:
        """What `reader` reads in the value; a reason is passed on."""
        return Reading(None, self.why) if self.value is None else reader(self.value)
