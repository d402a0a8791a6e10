"""A run that grows, piece by piece: all of it once, then what is new since.

    >>> feed = Feed(Path("runs/reason_rft-2026-11-20-1"))
    >>> first = feed.news("")             # {"after": token, "whole": True, "run": {...}}
    >>> feed.news(first["after"])         # {"after": token, "whole": False, "run": {"metrics": [...], "groups": [...]}}

A token says how far each log was read and what stood there, so the feed keeps nothing per reader. Where that is no
longer so (the run was resumed and its logs cut back, or the folder was replaced) the answer is whole again.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
import zlib
from pathlib import Path
from typing import Any

from saccade.report import run_data
from saccade.report.fit import WEIGHED, Entry, chosen, read, scanned
from saccade.report.source import Source, parsed

OBJECTS = ("recipe.json", "command.json", "summary.json", "check.json")
MOST = 96_000_000  # bytes of a log that a browser is given
TAIL = 16384  # bytes before a mark by which a log is known to be the same: several steps
SETTLED = 2.0  # seconds without a write after which a step's lines are all there


class Gone(Exception):
    """The run's folder is not there; the message says so."""


class Feed:
    """What a page that follows a run asks for."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._traces = _Traces()

    def news(self, after: str) -> dict[str, Any]:
        """All that is new since the token `after`; everything, marked whole, if that token does not fit. Gone."""
        source = self._source()
        known = _read_token(after)
        is_whole = known is None or not self._goes_on(source, known)
        known = {"logs": {}, "objects": {}} if is_whole else known
        marks: dict[str, Any] = {"folder": os.stat(self.path).st_ino, "logs": {}, "objects": {}}
        run: dict[str, Any] = {}
        marks["state"] = source.state()  # before the logs are read: a run that is finished has said all
        if is_whole or marks["state"] != known.get("state"):
            run |= {"name": source.name, "state": marks["state"]}
        for name in OBJECTS:
            marks["objects"][name] = stamp = _stamp(self.path / name)
            if is_whole or stamp != known["objects"].get(name):
                run[name.removesuffix(".json")] = source.object(name)
        left_out: list[str] = []
        for name in WEIGHED:  # metrics first: a step's line says that its rollouts are all there
            start = known["logs"].get(name, [0, 0])[0]
            entries, left = self._new(source, name, start, is_writing=marks["state"] == "running")
            end = entries[-1].end if entries else start
            run |= _parts(name, list(read(source, name, entries if left is None else left[0])), is_whole=is_whole)
            left_out += [] if left is None else [left[1]]
            marks["logs"][name] = [end, _tail(source, name, end)]
        if not is_whole:
            source.refused.clear()  # said already
        left_out += source.faults() + (run_data.absent(source, run) if is_whole else [])
        if is_whole or left_out:
            run["left_out"] = left_out
        return {"after": _token(marks), "whole": is_whole, "run": run}

    def traces(self, group: str) -> list[dict[str, Any]] | None:
        """The token traces of a group, one per sibling; None where it has none. Gone."""
        return self._traces.of(self._source(), group)

    def _source(self) -> Source:
        if not self.path.is_dir():
            raise Gone(f"{self.path} is gone; this page goes on when it is back")
        return Source(self.path)

    def _goes_on(self, source: Source, known: dict[str, Any]) -> bool:
        if known["folder"] != os.stat(self.path).st_ino:
            return False
        return all(_tail(source, name, end) == tail for name, (end, tail) in known["logs"].items())

    def _new(
        self, source: Source, name: str, start: int, *, is_writing: bool
    ) -> tuple[list[Entry], tuple[list[Entry], str] | None]:
        """Entries from `start`, and if they are too many those to send and a sentence about the others."""
        entries = scanned(source, name, start=start)
        if name == "rollouts.jsonl" and entries and is_writing and not self._is_settled(source, entries[-1]):
            entries = entries[:-1]
        size = sum(entry.size for entry in entries)
        if size <= MOST:
            return entries, None
        some = chosen(entries, share=MOST / size)
        shown = f"{len(some):,} of {len(entries):,} parts of {name} are shown, evenly spaced"
        told = f"{shown}: it is too large to follow as a whole."
        return entries, (some, told)

    def _is_settled(self, source: Source, last: Entry) -> bool:
        """Whether the step of `last` has been logged to its end: all at once, and before its line of metrics."""
        try:
            if time.time() - os.stat(self.path / "rollouts.jsonl").st_mtime > SETTLED:
                return True
        except OSError:
            return True
        size = _size(self.path / "metrics.jsonl")
        ends = [parsed(text) or {} for _, _, text in source.texts("metrics.jsonl", start=max(0, size - 65536))]
        return any((row.get("run/stage"), row.get("run/step")) == last.unit for row in ends)


class _Traces:
    """Where each group's lines stand in tokens.jsonl, found once and followed as the file grows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._places: dict[str, list[Entry]] = {}
        self._end = 0
        self._tail: Any = None

    def of(self, source: Source, group: str) -> list[dict[str, Any]] | None:
        name = "tokens.jsonl"
        with self._lock:
            if self._end and _tail(source, name, self._end) != self._tail:
                self._forget()
            for entry in scanned(source, name, start=self._end):
                self._places.setdefault(entry.unit, []).append(entry)
                self._end = entry.end
            self._tail = _tail(source, name, self._end)
            places = list(self._places.get(group, ()))
        return run_data.by_group(read(source, name, places)).get(group)


def _parts(name: str, rows: list[dict[str, Any]], *, is_whole: bool) -> dict[str, Any]:
    """What the rows of a log are in the run's object; nothing where there are none, unless all is asked for."""
    if not rows and not is_whole:
        return {}
    if name == "rollouts.jsonl":
        return {"groups": list(run_data.folded(rows))}
    if name == "tokens.jsonl":
        return {"traced": list(dict.fromkeys(row["group"] for row in rows))}
    if name == "samples.jsonl":
        samples, totals = run_data.without_totals(rows)
        return {"samples": samples} | ({"totals": totals} if totals or is_whole else {})
    return {name.removesuffix(".jsonl"): rows}


def _token(marks: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(marks).encode())).decode()


def _read_token(text: str) -> dict[str, Any] | None:
    """What a token of ours says; None for any other text."""
    try:
        found = json.loads(zlib.decompressobj().decompress(base64.urlsafe_b64decode(text.encode("ascii")), 65536))
        logs, objects = dict(found["logs"]), dict(found["objects"])
        are_places = all(isinstance(end, int) and 0 <= end < 2**63 for end, _ in logs.values())
        is_sound = logs.keys() <= set(WEIGHED) and are_places
        return {**found, "logs": logs, "objects": objects, "folder": found["folder"]} if is_sound else None
    except (ValueError, TypeError, KeyError, RecursionError, zlib.error):
        return None


def _tail(source: Source, name: str, end: int) -> int | None:
    """A sum over the bytes that stand before `end`; None where the log is shorter."""
    file = source.open(name) if end else None
    if file is None:
        return None if end else 0
    with file:
        start = max(0, end - TAIL)
        file.seek(start)
        text = file.read(end - start)
    return zlib.crc32(text) if len(text) == end - start else None


def _stamp(path: Path) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
