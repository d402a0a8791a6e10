"""How long a call takes, for limits that hold on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(call: Callable[[], object], *, enough: float, tries: int = 4) -> float:
    """The least processor time of a few tries; no further ones once it is below `enough`.

    A collection of garbage or a first import can make any one call slow; what is slow by nature is slow every time.
    """
    least = float("inf")
    for _ in range(tries):
        start = time.process_time()
        call()
        least = min(least, time.process_time() - start)
        if least < enough:
            break
    return least
