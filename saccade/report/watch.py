"""`saccade train --watch`: the live page in a process of its own, so that no training is slowed or stopped by it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import saccade

PATIENCE = 15.0  # seconds to start in
FAREWELL = 8.0  # seconds to end in


@contextmanager
def watched(run: Path, *, port: int | None = None) -> Iterator[str]:
    """Serve the run's page while this lasts; gives a sentence for a person: where it is, or why it is not.

    The process ends with this one, also if this one is killed: it waits for the end of its standard input.
    """
    process, sentence = _started(run, port)
    try:
        yield sentence
    finally:
        if process is not None:
            process.stdin.close()
            try:
                process.wait(FAREWELL)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _started(run: Path, port: int | None) -> tuple[subprocess.Popen[bytes] | None, str]:
    words = [sys.executable, "-m", "saccade.report.serve", str(run), *([] if port is None else ["--port", str(port)])]
    package = str(Path(saccade.__file__).parents[1])
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        # A session of its own: Ctrl-C is for the training.
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
    except OSError as error:
        return None, f"the page cannot be served ({error.strerror or error}); the training goes on without it"
    is_ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    said = process.stdout.readline().decode(errors="replace").strip() if is_ready else "error: it did not start in time"
    if said.startswith("http://"):
        return process, f"the page of this run: {said}"
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    why = said.removeprefix("error: ") or "it ended at once"
    return None, f"the page cannot be served ({why}); the training goes on without it"
