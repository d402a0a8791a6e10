"""What a check found, as values: findings by part of the recipe, and a verdict.

    >>> finding = Finding(level="error", kind="gold", what="accuracy: the gold answer earns 0 of 1", rows=("count/3",), of=200)
    >>> Checked(recipe="mine", parts=(Part(name="stage rl", findings=(finding,)),)).is_sound
    False
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    `kind` is a word to select by: gold, unreadable, unreachable, above, constant, hacked, raises, random, slow, unchecked, targets, rows,
    apart, unopened, small, large, shape, content, leak, near, repeated, tokens, model (docs/check.md). `rows` are the ids of all rows
    that it is about (for pairs "train-id = held-out id"), `of` how many were looked at, 0 where that says nothing. `whys` are the
    rows' own reasons, where each has one.
    """

    level: Level
    kind: str
    what: str
    rows: tuple[str, ...] = ()
    whys: tuple[str, ...] = ()
    of: int = 0
    advice: str = ""

    @property
    def count(self) -> int:
        """How many rows it is about."""
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stage, an evaluation, the pictures or the tokens: what was looked at, and what was found."""

    name: str
    about: str = ""
    findings: tuple[Finding, ...] = ()

    def count(self, level: Level) -> int:
        """How many findings of a level it has."""
        return sum(finding.level == level for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Everything that was found about a recipe. It is sound where nothing is an error."""

    recipe: str
    parts: tuple[Part, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of all parts."""
        return tuple(finding for part in self.parts for finding in part.findings)

    @property
    def is_sound(self) -> bool:
        """Whether there is no error."""
        return not self.count("error")

    def count(self, level: Level) -> int:
        """How many findings of a level there are."""
        return sum(part.count(level) for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = [
            {**asdict(part), "findings": [{**asdict(finding), "count": finding.count} for finding in part.findings]}
            for part in self.parts
        ]
        counts = {f"{level}s": self.count(level) for level in ("error", "warning", "note")}
        return {"recipe": self.recipe, "is_sound": self.is_sound, **counts, "parts": parts}


def listed(names: Sequence[str], *, most: int = 3) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
