"""`saccade view` and `saccade view --live`: which runs, where to, and the browser."""

from __future__ import annotations

import math
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from saccade.report.source import Source
from saccade.report.write import MEGABYTE, SIZE, SMALLEST, write_page


class Refused(ValueError):
    """What was asked for cannot be shown; the message says what can."""


def show(runs: Sequence[Path], *, out: Path | None = None, megabytes: float | None = None, opens: bool = True) -> None:
    """Write the page of one or two runs, say so, and open it where there is a screen. Refused, RunError."""
    _check_runs(runs, most=2)
    size = SIZE if megabytes is None else _bytes(megabytes)
    target = out or default_page(runs)
    if target.is_dir():
        raise Refused(f"--out {target} is a folder; name a file in it, such as {target / 'view.html'}")
    if not target.resolve().parent.is_dir():
        raise Refused(f"--out {target}: there is no folder {target.resolve().parent}")
    written = write_page(runs, target, size=size)
    print(
        f"wrote {written.path} ({written.size / MEGABYTE:.1f} MB)"
        + ("; it does not hold everything:" if written.left_out else "")
    )
    for sentence in written.left_out:
        print(f"  {sentence}")
    if opens:
        open_browser(target.resolve().as_uri())


def follow(runs: Sequence[Path], *, port: int | None = None, opens: bool = True) -> None:
    """Serve a run's page on 127.0.0.1 until Ctrl-C. Refused."""
    from saccade.report.serve import serving

    _check_runs(runs, most=1)
    with serving(runs[0], port=port) as server:
        print(f"{runs[0]} is at {server.address} (Ctrl-C ends this)", flush=True)
        if opens:
            open_browser(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def default_page(runs: Sequence[Path]) -> Path:
    """view.html in the run's folder; of two, view-A-B.html in that of the first."""
    names = [Source(run).name for run in runs]
    return runs[0] / ("view.html" if len(runs) == 1 else f"view-{'-'.join(names)}.html")


def open_browser(address: str) -> None:
    """Open an address where somebody sits before a screen; else do nothing."""
    has_screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_screen and sys.stdout.isatty():
        webbrowser.open(address)


def _check_runs(runs: Sequence[Path], *, most: int) -> None:
    if len(runs) > most:
        can = "one run, or two side by side" if most == 2 else "one run"
        raise Refused(f"a page shows {can}, got {len(runs)}: {', '.join(map(str, runs))}")
    for run in runs:
        if not run.exists():
            raise Refused(f"{run} does not exist; name the folder of a run, such as one in runs/")
        if not run.is_dir():
            raise Refused(f"{run} is a file; name the folder of the run")
        if not Source(run).holds_run:
            raise Refused(f"{run} holds no run (no metrics.jsonl, rollouts.jsonl or command.json is in it)")
    if len({run.resolve() for run in runs}) < len(runs):
        raise Refused(f"{runs[0]} and {runs[1]} are the same run; name two that differ, or one")


def _bytes(megabytes: float) -> int:
    if not math.isfinite(megabytes) or megabytes * MEGABYTE < SMALLEST:
        raise Refused(f"--size is in MB and at least {SMALLEST / MEGABYTE:g}, got {megabytes:g}")
    return int(megabytes * MEGABYTE)
