"""A run's folder as the page reads it: whatever is there, whole lines only, nothing outside the folder.

`run/files.py` refuses a damaged log, as a run must not go on from one. To look at a run nothing should refuse: bad lines
are passed over and counted.

    >>> source = Source(Path("runs/reason_rft-2026-11-20-1"))
    >>> for start, end, text in source.texts("metrics.jsonl"):
    ...     row = parsed(text)                                   # an object, or None
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from saccade.report.described import described

LONGEST_LINE = 64 * 2**20  # bytes; what is longer is no line of ours
LARGEST_OBJECT = 64 * 2**20  # bytes of summary.json and its like


class Source:
    """One run's folder. Opens regular files in it, also through links that stay in it."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.skipped: Counter[str] = Counter()  # file -> lines that could not be read, counted by those who read them
        self.refused: set[str] = set()  # names that lead out of the folder, or are no JSON

    @property
    def name(self) -> str:
        """What the run is called: its folder."""
        return self.path.resolve().name or "run"

    @property
    def holds_run(self) -> bool:
        """Whether there is anything that a run writes."""
        return any(
            (self.path / name).is_file() for name in ("command.json", "metrics.jsonl", "rollouts.jsonl", "summary.json")
        )

    def open(self, name: str) -> BinaryIO | None:
        """The file `name`, None where there is none, or where it is not a file of this folder."""
        path = self.path / name
        # realpath: a link may stand anywhere on the way, and one that leads to itself must not raise.
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path)):
            self.refused.add(name)
            return None
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe in its place must not block
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            return None
        return os.fdopen(handle, "rb")

    def object(self, name: str) -> dict[str, Any] | None:
        """The object in a JSON file, without parts of a wrong form; None where there is none.

        The name is among `refused` where it is damaged.
        """
        file = self.open(name)
        if file is None:
            return None
        with file:
            found = parsed(file.read(LARGEST_OBJECT))
        if found is None:
            self.refused.add(name)
            return None
        return described(name, found)

    def texts(self, name: str, *, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, int, bytes]]:
        """The whole lines of a log from byte `start`, up to `stop`: where each begins and ends, and its text.

        The text of an absurdly long one is empty. What a writer has not finished is not there yet.
        """
        file = self.open(name)
        if file is None:
            return
        with file:
            file.seek(start)
            while stop is None or start < stop:
                text = file.readline(LONGEST_LINE)
                end, is_long = start + len(text), len(text) == LONGEST_LINE
                while is_long and text and not text.endswith(b"\n"):
                    text = file.readline(LONGEST_LINE)
                    end += len(text)
                if not text.endswith(b"\n"):
                    return
                yield start, end, b"" if is_long else text
                start = end

    def is_being_written(self) -> bool:
        """Whether a process trains into the folder: it holds the lock. Taken for a moment, shared, to find out."""
        file = self.open(".lock")
        if file is None:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:  # a file system without locks
                return False
        return False

    def state(self) -> str:
        """finished, running or stopped."""
        if (self.path / "summary.json").is_file():
            return "finished"
        return "running" if self.is_being_written() else "stopped"

    def faults(self) -> list[str]:
        """What was passed over, as sentences."""
        said = []
        for name, count in sorted(self.skipped.items()):
            lines = "1 line" if count == 1 else f"{count:,} lines"
            said.append(
                f"{lines} of {name} cannot be read (damaged or edited) and {'is' if count == 1 else 'are'} left out."
            )
        for name in sorted(self.refused):
            said.append(f"{name} is left out: it is damaged, or a link that leads out of the run's folder.")
        return said


def parsed(text: bytes) -> dict[str, Any] | None:
    """The object that JSON text holds, with numbers of six digits and none that is not finite; None if it is no object."""
    try:
        found = json.loads(text, parse_float=_number, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _number(text: str) -> float | str:
    value = float(text)
    if not math.isfinite(value):
        return text
    return value if len(text) < 9 else float(f"{value:.6g}")
