"""Where the embedded miniature data sets are written once, and found again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from saccade.core.sample import DataError


def miniature(name: str, write: Callable[..., Path], **options: int) -> Path:
    """The folder of an embedded data set in its published format, made by `write(folder, **options)` on first use.

    It lies under $SACCADE_CACHE, or ~/.cache/saccade, in a folder named by its options and by the code and the screens that it is drawn
    from, so that a changed generator never meets old pictures.
    """
    root = Path(os.environ.get("SACCADE_CACHE") or Path.home() / ".cache" / "saccade")
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    here = Path(__file__).parent
    for source in sorted([*here.glob("*.py"), *here.glob("*.parquet")]):
        digest.update(source.read_bytes())
    folder = root / "data" / f"{name}-{digest.hexdigest()[:12]}"
    if not folder.exists():
        try:
            write(folder, **options)
        except (DataError, OSError) as error:
            if not folder.exists():  # else another process was faster
                why = getattr(error, "strerror", None) or error
                raise DataError(
                    f"cannot write the embedded data into {folder}: {why}; set SACCADE_CACHE to a folder with room"
                ) from error
    return folder
