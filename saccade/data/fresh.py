"""A folder of a data set being written: complete, or not there at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from saccade.core.sample import DataError


@contextlib.contextmanager
def fresh(folder: Path | str) -> Iterator[Path]:
    """A folder to write into, moved to its place when all went well. DataError if something is there already."""
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"{folder} exists already; remove it or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        beside.chmod(0o755)
        yield beside
        beside.rename(folder)
    except BaseException:  # also when stopped by hand: nothing half-written stays
        shutil.rmtree(beside, ignore_errors=True)
        raise
