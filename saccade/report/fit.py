"""Which lines of a log go into a file of limited size: evenly spaced ones, chosen before they are read.

So a log of gigabytes is never in memory.

    >>> entries = scanned(source, "rollouts.jsonl")              # one per step
    >>> kept = chosen(entries, share=0.25)                       # every fourth step, the first and the last among them
    >>> rows = list(read(source, "rollouts.jsonl", kept))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from saccade.report.sound import sound
from saccade.report.source import Source, parsed

SAMPLED = 4 * 2**20  # bytes of a log by which its packed size is judged


class Entry(NamedTuple):
    """Lines that stand together and are kept or left out together.

    `unit` says what they belong to (a step, a sample); units are spaced evenly within their `family` (a set). None is
    always kept.
    """

    start: int
    end: int
    family: str
    unit: Any

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.start


Label = Callable[[dict[str, Any]], tuple[str, Any]]
# How our own lines of rollouts.jsonl begin: enough to place one, at ten times the speed of reading it.
BEGIN = re.compile(rb'\{"step": (\d{1,15}), "stage": "([\w.-]*)", "group": "([\w./-]*)"')


def _metric(row: dict[str, Any]) -> tuple[str, Any]:
    is_step = "run/total_steps" in row and not any(key.startswith(("eval/", "health/")) for key in row)
    return "", row["run/total_steps"] if is_step else None


LABELS: dict[str, Label] = {
    "metrics.jsonl": _metric,
    "rollouts.jsonl": lambda row: ("", (row.get("stage"), row.get("step"))),
    "tokens.jsonl": lambda row: ("", row.get("group")),
    "evaluations.jsonl": lambda row: (str(row.get("set")), row.get("sample")),
    "samples.jsonl": lambda row: (str(row.get("set")), None if "totals" in row else row.get("sample")),
}


WEIGHED = {
    "metrics.jsonl": 2.0,
    "rollouts.jsonl": 4.0,
    "tokens.jsonl": 1.0,
    "evaluations.jsonl": 2.0,
    "samples.jsonl": 1.0,
}
"""The logs, and how much of the room each may take where they do not all fit, against the others."""


def scanned(source: Source, name: str, *, start: int = 0, label: Label | None = None) -> list[Entry]:
    """The log's entries from byte `start` on, in order; neighbours of one unit are one entry."""
    label = label or LABELS[name]
    entries: list[Entry] = []
    for begin, end, text in source.texts(name, start=start):
        family, unit = _placed(name, text, label)
        last = entries[-1] if entries else None
        if last is not None and unit is not None and (last.family, last.unit, last.end) == (family, unit, begin):
            entries[-1] = last._replace(end=end)
        else:
            entries.append(Entry(begin, end, family, unit))
    return entries


def _placed(name: str, text: bytes, label: Label) -> tuple[str, Any]:
    if label is LABELS["rollouts.jsonl"] and (match := BEGIN.match(text)):
        return "", (match[2].decode(), int(match[1]))
    row = parsed(text)
    if row is None:
        return "", None
    family, unit = label(row)
    return family, str(unit) if isinstance(unit, (list, dict)) else unit


def chosen(entries: Sequence[Entry], *, share: float) -> list[Entry]:
    """Entries of about this share of each family's units, evenly spaced, the first and the last among them."""
    if share >= 1:
        return list(entries)
    units: dict[str, dict[Any, None]] = {}
    for entry in entries:
        if entry.unit is not None:
            units.setdefault(entry.family, {})[entry.unit] = None
    kept = {family: set(evenly(list(some), int(share * len(some)))) for family, some in units.items()}
    return [entry for entry in entries if entry.unit is None or entry.unit in kept[entry.family]]


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """`n` of the items, evenly spaced, the first and the last among them; of one, the last.

    >>> evenly("abcdefg", 3)
    ['a', 'd', 'g']
    """
    if n >= len(items):
        return list(items)
    if n <= 1:
        return list(items[-1:]) if n == 1 else []
    return [items[round(step * (len(items) - 1) / (n - 1))] for step in range(n)]


def read(source: Source, name: str, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """The sound rows of these entries; others are counted in the source."""
    for start, end in _joined(entries):
        for _, _, text in source.texts(name, start=start, stop=end):
            found = parsed(text)
            row = None if found is None else sound(name, found)
            if row is None:
                source.skipped[name] += 1
            else:
                yield row


def fair(room: float, needs: Mapping[Any, float], *, weights: Mapping[Any, float]) -> dict[Any, float]:
    """`room` dealt out: nobody gets more than is needed, and those that need more than their part get parts by weight.

    >>> fair(10, {"a": 1, "b": 20, "c": 60}, weights={"a": 1, "b": 1, "c": 2})
    {'a': 1, 'b': 3.0, 'c': 6.0}
    """
    parts: dict[Any, float] = {}
    waiting = sum(weights[name] for name in needs)
    for name in sorted(needs, key=lambda name: needs[name] / weights[name]):
        parts[name] = min(needs[name], room * weights[name] / waiting)
        room -= parts[name]
        waiting -= weights[name]
    return parts


def _joined(entries: Iterable[Entry]) -> Iterator[tuple[int, int]]:
    """Byte ranges, neighbours as one, so that a whole log is read in one go."""
    begin = end = None
    for entry in entries:
        if end != entry.start:
            if end is not None:
                yield begin, end
            begin = entry.start
        end = entry.end
    if end is not None:
        yield begin, end
