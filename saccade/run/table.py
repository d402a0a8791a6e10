"""The table at the end of a run: before -> after per held-out set, with 95 % intervals.

    >>> print_table([Row(name="counting", n=200, before=Estimate(0.48, 0.41, 0.55), after=Estimate(0.80, 0.74, 0.86))])
    held-out set    n  before                 after              change
    counting      200  48.0 [41.0, 55.0] → 80.0 [74.0, 86.0]   +32.0
    Shares in %, each with its 95 % interval.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from saccade.run.terminal import can_show, fit, width_of


@dataclass(frozen=True)
class Estimate:
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One held-out set before and after: shares from 0 to 1, shown in %, unless `is_share` is False."""

    name: str
    n: int
    before: Estimate | None
    after: Estimate | None
    is_share: bool = True


def print_table(rows: Sequence[Row], *, out: TextIO | None = None) -> None:
    """Print before -> after with 95 % intervals and the change; on a narrow terminal each row takes two lines."""
    out = out or sys.stdout
    width, arrow = width_of(out), "→" if can_show("→", out) else "->"
    cells = [(row.name, f"{row.n}", _shown(row.before, row), _shown(row.after, row), _change(row)) for row in rows]
    table = [("held-out set", "n", "before", "after", "change"), *cells]
    w_name, w_n, w_before, w_after, w_change = (max(map(len, column)) for column in zip(*table, strict=True))
    lines = [
        f"{name:<{w_name}}  {n:>{w_n}}  {before:>{w_before}} {arrow if line else ' ' * len(arrow)} "
        f"{after:>{w_after}}  {change:>{w_change}}"
        for line, (name, n, before, after, change) in enumerate(table)
    ]
    if max(map(len, lines)) > width:
        lines = [
            line
            for name, n, before, after, change in cells
            for line in (fit(f"{name} (n {n})", width), fit(f"  {before} {arrow} {after}  {change}", width))
        ]
    has_shares = any(row.is_share for row in rows)
    caption = "Shares in %, each with its 95 % interval." if has_shares else "With 95 % intervals."
    out.write("\n".join([*lines, *textwrap.wrap(caption, width)]) + "\n")
    out.flush()


def _shown(estimate: Estimate | None, row: Row) -> str:
    if estimate is None:
        return "-"
    scale, digits = (100, 1) if row.is_share else (1, 3)
    value, low, high = (f"{scale * x:.{digits}f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _change(row: Row) -> str:
    if row.before is None or row.after is None:
        return "-"
    change = row.after.value - row.before.value
    return f"{100 * change:+.1f}" if row.is_share else f"{change:+.3f}"
