"""Where a run happened: the code's revision, the versions of what it stands on, the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import saccade

PACKAGE = Path(saccade.__file__).parent
LIBRARIES = ("torch", "transformers", "peft")


def environment() -> dict[str, Any]:
    """What a reader of summary.json needs to run this again: flat, JSON-able, None where a thing is absent."""
    import torch

    return {
        "git_revision": (revision := _git("rev-parse", "HEAD") if _is_tracked() else None),
        "git_is_dirty": None if revision is None else bool(_git("status", "--porcelain", "--", ".")),
        "saccade": saccade.__version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _is_tracked() -> bool:
    # A package installed inside somebody else's checkout must not report their revision as ours.
    return _git("ls-files", "--error-unmatch", "__init__.py") is not None


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
