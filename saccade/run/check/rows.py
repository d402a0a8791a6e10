"""Rows that could not become samples, by their reasons, and samples that are not trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saccade.core.sample import BadRow, Refusal, Task, left_out_of, said_of_left_out
from saccade.run.check.findings import Finding, Level

MOST_REASONS = 8  # O findings of their own; what is left over is one more
Told = set[tuple[str, str]]  # (id, why) of the rows that a finding was made of


def of_refusals(refusals: Sequence[Refusal], told: Told) -> list[Finding]:
    """Errors about sets of which a run would make no task. All their bad rows are `told` from then on."""
    findings = []
    for refusal in dict.fromkeys(refusals):  # a recipe may read a set twice
        name = f"{refusal.name} ({refusal.split})"
        if refusal.of:
            what = f"{name}: cannot be read, and at most {refusal.max_bad_share:.0%} of the rows may be so"
            findings += _by_reason(refusal.bad_rows, of=refusal.of, level="error", what=what, advice="mend or remove them")
        else:
            findings.append(Finding(level="error", kind="rows", what=f"{name}: there are no rows", advice="look at its file"))
        told |= {(row.id, row.why) for row in refusal.bad_rows}
    return findings


def of_bad_rows(task: Task, told: Told) -> list[Finding]:
    """Warnings about the few bad rows of a task, without those that were `told` before."""
    new = [row for row in task.bad_rows if (row.id, row.why) not in told]
    told |= {(row.id, row.why) for row in new}
    what = "cannot be read and are left out"
    return _by_reason(new, of=len(task) + len(task.bad_rows), level="warning", what=what, advice="mend or remove them")


def of_no_rows(task: Task, *, is_trained: bool) -> list[Finding]:
    """A stage without rows is an error, as it does not start; an evaluation without rows measures nothing."""
    if len(task):
        return []
    return [Finding(level="error" if is_trained else "warning", kind="rows", what="has no rows", advice="give it a larger set")]


def of_left_out(tasks: Sequence[Task]) -> list[Finding]:
    """A note of the samples that are not trained on, as a held-out set shows the same: all of them over all stages."""
    sentence = said_of_left_out(tasks)
    return [Finding(level="note", kind="apart", what=sentence, rows=left_out_of(tasks))] if sentence else []


def _by_reason(rows: Sequence[BadRow], *, of: int, level: Level, what: str, advice: str) -> list[Finding]:
    reasons: dict[str, list[BadRow]] = {}
    for row in rows:
        reasons.setdefault(_without_id(row), []).append(row)
    ordered = sorted(reasons.values(), key=len, reverse=True)

    def about(why: str, rows: Sequence[BadRow]) -> Finding:
        ids, whys = tuple(row.id for row in rows), tuple(row.why for row in rows)
        return Finding(level=level, kind="rows", what=f"{what}: {why[:240]}", rows=ids, whys=whys, of=of, advice=advice)

    findings = [about(rows[0].why if len(rows) == 1 else _without_id(rows[0]), rows) for rows in ordered[:MOST_REASONS]]
    if rest := [row for rows in ordered[MOST_REASONS:] for row in rows]:
        n = len(ordered) - MOST_REASONS
        findings.append(about(f"{n} further reason{'s' * (n > 1)}, such as {rest[0].why}", rest))
    return findings


def _without_id(row: BadRow) -> str:
    """The reason, alike for rows that differ in their ids and in where they stand in a file."""
    return re.sub(r"\brow \d+\b", "row N", re.sub(rf"\b{re.escape(row.id)}\b", "ID", row.why))
