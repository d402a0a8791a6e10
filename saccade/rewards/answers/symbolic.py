"""Whether two pieces of text name the same mathematical value, by math-verify, in a process that can be killed.

    >>> is_equal("so it is \\\\frac{1}{2}", "0.5")
    True

Symbolic algebra on model text can run for ever or eat all memory, and a signal-based timeout works neither in threads
nor inside C code. So a separate process does it, with a memory limit; it is killed when an answer takes too long, and
started anew when next needed. Equal text and plain numbers are decided without it.

math-verify finds values inside prose: "it cannot be 8" equals 8. Ask it about answers, not about whole completions,
unless a paper's numbers depend on it.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from saccade.rewards.read.numbers import number

SECONDS = 2.0  # O ordinary comparisons take a few milliseconds
START_SECONDS = 60.0  # O importing sympy takes a second; a busy machine may need many


class SymbolicError(RuntimeError):
    """Symbolic comparison cannot be done at all; the message says what to do."""


def is_equal(text: str, gold: str, *, seconds: float = SECONDS) -> bool:
    """Whether `text` names the value of `gold`; False also where that could not be decided within `seconds`.

    SymbolicError if it takes math-verify to decide and that is not installed.
    """
    text, gold = text.strip(), gold.strip()
    if text == gold:
        return True
    a, b = number(text).value, number(gold).value
    if a is not None and b is not None:
        return round(a, 6) == round(b, 6)  # C math-verify's own rounding
    return _worker.ask(text, gold, seconds)


class _Worker:
    """At most one worker process, started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def ask(self, text: str, gold: str, seconds: float) -> bool:
        """The worker's verdict; False when it dies or takes longer than `seconds`."""
        with self._lock:
            if self._process is None:
                self._start()
            try:
                self._pipe.send_bytes(json.dumps([text, gold]).encode())
                if self._pipe.poll(seconds):
                    return json.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                pass  # it died, of its memory limit or of a stack overflow
            self._stop()
            return False

    def _start(self) -> None:
        if importlib.util.find_spec("math_verify") is None:
            raise SymbolicError("symbolic comparison needs math-verify: pip install math-verify")
        self._pipe, theirs = Pipe()
        script = Path(__file__).with_name("symbolic_worker.py")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        deadline = time.monotonic() + START_SECONDS
        try:
            is_ready = self._pipe.poll(deadline - time.monotonic()) and self._pipe.recv_bytes() == b"ready"
        except (EOFError, OSError):
            is_ready = False
        if not is_ready:
            self._stop()
            raise SymbolicError("math-verify is installed but does not start; try: python -c 'import math_verify'")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
        self._forget()

    def _forget(self) -> None:
        self._process: subprocess.Popen | None = None
        self._pipe: Connection | None = None


_worker = _Worker()
atexit.register(_worker._stop)
os.register_at_fork(after_in_child=_worker._forget)  # a forked child must not read its parent's verdicts
