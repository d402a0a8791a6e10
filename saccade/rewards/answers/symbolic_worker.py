"""The process behind `symbolic.is_equal`, a script of its own: reads [text, gold, seconds], answers true or false.

It imports nothing of saccade and exits when its parent does; in the middle of a question, a second after its time is up.
Run as: python symbolic_worker.py FILE_DESCRIPTOR
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

MEMORY = 2 << 30  # O bytes; sympy itself needs about a tenth


def main() -> None:
    """Answer until the other end closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from math_verify import parse, verify

    logging.disable()  # it warns at every call that no timeout is set; the parent is the timeout
    pipe = Connection(int(sys.argv[1]))
    pipe.send_bytes(b"ready")
    while True:
        try:
            text, gold, seconds = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds + 1)  # ends this process, should its parent be no more
        pipe.send_bytes(json.dumps(_is_equal(text, gold, parse, verify)).encode())
        signal.setitimer(signal.ITIMER_REAL, 0)


def _is_equal(text: str, gold: str, parse: Callable[..., Any], verify: Callable[..., bool]) -> bool:
    try:
        values = [parse(side, parsing_timeout=None) for side in (gold, text)]
        return bool(verify(*values, timeout_seconds=None))
    except (RecursionError, MemoryError):
        return False


if __name__ == "__main__":
    main()
