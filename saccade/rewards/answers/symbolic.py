"""Whether two pieces of text name the same mathematical value, by math-verify, in a process that can be killed.

    >>> is_equal("so it is \\\\frac{1}{2}", "0.5")
    True

Symbolic algebra on model text can run for ever or eat all memory, and a signal-based timeout works neither in threads
nor inside C code. So separate processes do it, with a memory limit; one that takes too long is killed, and its successor
gets ready while other work goes on. Equal text and plain numbers are decided without them. `is_equal_async` says the same
while other rewards go on.

math-verify finds values inside prose: "it cannot be 8" equals 8. Ask it about answers, not about whole completions,
unless a paper's numbers depend on it.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.util
import json
import os
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from saccade.rewards.read.numbers import number

SECONDS = 2.0  # O ordinary comparisons take a few milliseconds
START_SECONDS = 60.0  # O importing sympy takes a second; a busy machine may need many
WORKERS = 2  # O one slow comparison does not hold the others; each takes about 100 MB
MAX_TEXT = 100_000  # O characters; what is longer is equal to nothing but itself


class SymbolicError(RuntimeError):
    """Symbolic comparison cannot be done at all; the message says what to do."""


def is_equal(text: str, gold: str, *, seconds: float = SECONDS) -> bool:
    """Whether `text` names the value of `gold`; False also where that could not be decided within `seconds`.

    SymbolicError if it takes math-verify to decide and that is not installed.
    """
    text, gold = text.strip(), gold.strip()
    plainly = _plainly_equal(text, gold)
    return _workers.ask(text, gold, seconds) if plainly is None else plainly


async def is_equal_async(text: str, gold: str, *, seconds: float = SECONDS) -> bool:
    """The same as `is_equal`; while it takes its time, others that wait in the same event loop go on."""
    text, gold = text.strip(), gold.strip()
    plainly = _plainly_equal(text, gold)
    if plainly is not None:
        return plainly
    return await asyncio.get_running_loop().run_in_executor(_threads(), _workers.ask, text, gold, seconds)


def _plainly_equal(text: str, gold: str) -> bool | None:
    """The verdict on equal text, on two plain numbers, and on what is too long; None where algebra has to decide."""
    if text == gold:
        return True
    a, b = number(text).value, number(gold).value
    if a is not None and b is not None:
        return round(a, 6) == round(b, 6)  # C math-verify's own rounding
    return False if max(len(text), len(gold)) > MAX_TEXT else None


class _Workers:
    """A few worker processes, each started when first needed. Any thread may ask."""

    def __init__(self) -> None:
        self._forget()

    def ask(self, text: str, gold: str, seconds: float) -> bool:
        """The verdict of the worker that was free last, waiting for one; the wait does not count."""
        worker = self._free.get()
        try:
            return worker.ask(text, gold, seconds)
        finally:
            self._free.put(worker)

    def stop(self) -> None:
        """End all processes; one is started anew when next needed."""
        for worker in self._all:
            worker.stop()

    def _forget(self) -> None:
        self._all = [_Worker() for _ in range(WORKERS)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._all:
            self._free.put(worker)


class _Worker:
    """At most one process, asked by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._pipe: Connection | None = None
        self._is_ready = False

    def ask(self, text: str, gold: str, seconds: float) -> bool:
        """The process's verdict; False when it dies or takes longer than `seconds`."""
        if self._process is None:
            self._launch()
        if not self._is_ready:
            self._await_ready()
        try:
            self._pipe.send_bytes(json.dumps([text, gold, seconds]).encode())
            if self._pipe.poll(seconds):
                return json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            pass  # it died, of its memory limit or of a stack overflow
        self.stop()
        self._launch()
        return False

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
        self.__init__()

    def _launch(self) -> None:
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

    def _await_ready(self) -> None:
        try:
            self._is_ready = self._pipe.poll(START_SECONDS) and self._pipe.recv_bytes() == b"ready"
        except (EOFError, OSError):
            pass
        if not self._is_ready:
            self.stop()
            raise SymbolicError("math-verify is installed but does not start; try: python -c 'import math_verify'")


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="symbolic")


def _forget() -> None:
    """A forked child must not read its parent's verdicts, and has none of its threads."""
    _workers._forget()
    _threads.cache_clear()


_workers = _Workers()
atexit.register(_workers.stop)
os.register_at_fork(after_in_child=_forget)
