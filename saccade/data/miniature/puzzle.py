"""One generated problem: its pictures, its words, its worked solution, and the truth it was drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SIDE = 112  # pixels of width and height of every generated picture  # O


@dataclass(frozen=True, kw_only=True)
class Puzzle:
    """A problem as a generator makes it.

    `pictures` are uint8 arrays [SIDE, SIDE, 3]; `thought` is the shortest correct reasoning that leads to `answer`;
    `truth` holds what was drawn, enough to recompute the answer without the generator's own arithmetic.
    """

    pictures: tuple[np.ndarray, ...]
    problem: str
    thought: str
    answer: str
    truth: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cot(self) -> str:
        """The worked solution in the form that the recipes ask for."""
        return f"<think>{self.thought}</think><answer>{self.answer}</answer>"
