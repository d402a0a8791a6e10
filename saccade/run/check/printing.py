"""What a check found, for a terminal: a line per part, a line or two per finding, and the verdict."""

from __future__ import annotations

import sys
import textwrap
from typing import TextIO

from saccade.run.check.findings import Checked, Finding, Level, Part, listed
from saccade.run.terminal import fit, printable, width_of

LEVELS: tuple[Level, ...] = ("error", "warning", "note")


def print_checked(checked: Checked, *, seconds: float, out: TextIO | None = None) -> None:
    """The parts, the findings with the worst first, and whether the recipe is sound."""
    out = out or sys.stdout
    width = min(120, width_of(out))
    name_width = max(len(part.name) for part in checked.parts)
    lines = [line for part in checked.parts for line in _summary(part, name_width, width)]
    for level in LEVELS:
        for part in checked.parts:
            found = [finding for finding in part.findings if finding.level == level]
            for finding in found:
                lines += ["", *_lines(finding, part, width)] if level != "note" else _lines(finding, part, width)
        if level == "warning" and checked.count("note"):
            lines.append("")
    lines += ["", _verdict(checked, seconds)]
    out.write("\n".join(lines) + "\n")
    out.flush()


def _summary(part: Part, name_width: int, width: int) -> list[str]:
    """Its name, its worst and what was looked at; on further lines what the first cannot hold."""
    head = f"{fit(part.name, max(8, width - 50)):{min(name_width, max(8, width - 50))}}  {_mark(part):10}  "
    return _wrapped(head, part.about, width) if part.about else [head.rstrip()]


def _mark(part: Part) -> str:
    for level in LEVELS[:2]:
        if n := part.count(level):
            return f"{n} {level}{'s' * (n > 1)}"
    return "ok"


def _lines(finding: Finding, part: Part, width: int) -> list[str]:
    """What it is, of which rows, and what to do."""
    where = "" if part.name in ("pictures", "tokens") else f"{part.name}: "
    lines = _wrapped(f"{finding.level:7}  ", where + finding.what, width)
    tail = []
    if finding.rows:
        of = f"{finding.count:,} of {finding.of:,}" if finding.of else f"{finding.count:,}"
        tail.append(f"{of}: {listed(finding.rows)}")
    if finding.level == "note":  # on one line, as nothing need be done
        share = f"{finding.count:,} of {finding.of:,}, " if finding.of else ""
        of = f" ({share}such as {finding.rows[0]})" if finding.rows else ""
        advice = f"; {finding.advice}" if finding.advice else ""
        return _wrapped(f"{finding.level:7}  ", where + finding.what + of + advice, width)
    for text in tail:
        lines += _wrapped(" " * 9, text, width)
    if finding.advice:
        lines += _wrapped(" " * 9 + "-> ", finding.advice, width)
    return lines


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text), max(30, width), initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def _verdict(checked: Checked, seconds: float) -> str:
    counts = [(checked.count(level), level) for level in LEVELS[:2]]
    said = " and ".join(f"{n} {level}{'s' * (n > 1)}" for n, level in counts if n)
    verdict = "sound" if checked.is_sound else "NOT sound"
    return f"{checked.recipe} is {verdict}{': ' + said if said else ''}  ({seconds:.0f} s)"
