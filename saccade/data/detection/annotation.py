"""One annotated object or point, and the plain values of a file that become one.

    >>> Annotation("cell", Box(3, 4, 30, 40, Frame.PIXEL), flags=("difficult",))       # a Labelled, with what its file said

Whoever wants boxes takes it for the Labelled that it is; whoever leaves the difficult ones out asks its `flags`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saccade.core.picture import Labelled, Point
from saccade.core.sample import DataError

Polygons = tuple[tuple[float, ...], ...]
"""Rings of x, y, x, y, ... in pixels of the upright picture."""

Outline = Polygons | Mapping[str, Any] | str | None
"""Polygons, a run-length code as its file has it, or the path of a mask; nothing is drawn or decoded."""


@dataclass(frozen=True)
class Annotation(Labelled):
    """A labelled box as its file gives it.

    `flags` of difficult, truncated, occluded, crowd, in this order; `outline` what bounds it more closely; `area` in
    pixels where the file gives one (COCO's is that of the outline and decides what counts as small).
    """

    flags: tuple[str, ...] = ()
    outline: Outline = field(default=None, hash=False)
    area: float | None = None


@dataclass(frozen=True)
class Mark(Point):
    """A point with a label."""

    label: str = ""


FLAGS = ("difficult", "truncated", "occluded", "crowd")


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A box in edge coordinates of the picture that its annotator saw, before it is held against the real picture."""

    label: str
    corners: tuple[float, float, float, float]  # x1, y1, x2, y2
    where: str  # file and place in it, for sentences
    flags: tuple[str, ...] = ()
    outline: Outline = None
    area: float | None = None


def number(value: Any, where: str) -> float:
    """A finite number out of JSON or text; DataError naming the place otherwise (true, NaN and "1,5" are none)."""
    if type(value) is float and math.isfinite(value):
        return value
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        if isinstance(value, str) and "_" in value:  # Python reads 1_000
            raise ValueError
        found = float(value)
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{where} must be a number, got {shortened(value)}")
    return found


def shortened(value: Any) -> str:
    """A value for a sentence, at most 60 characters of it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def text_of(path: Path, *, what: str = "annotation") -> str:
    """What a UTF-8 file holds. DataError naming it where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{what} {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{what} {path} cannot be read: {error}") from None
