"""A picture, and the frames in which its coordinates can live.

A box without its frame is a bug waiting: the same four numbers mean different places in the original file, in the
resized image that the model saw, in fractions, and in thousandths. So boxes and points carry a `Frame`, and only a
`Picture`, which knows its sizes, converts between them:

    >>> picture = Picture.of(PIL.Image.new("RGB", (200, 100))).seen_at((100, 50))
    >>> box = Box(20, 10, 60, 30, Frame.MODEL)          # read from a model's answer
    >>> picture.convert(box, to=Frame.PIXEL)            # where that is in the original
    Box(x1=40.0, y1=20.0, x2=120.0, y2=60.0, frame=<Frame.PIXEL: 'pixel'>)
    >>> box.iou(Box(20, 10, 60, 30, Frame.UNIT))
    TypeError: cannot compare a box in the 'model' frame with one in the 'unit' frame; convert one through its Picture
"""

from __future__ import annotations

import functools
import hashlib
import io
import struct
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import PIL.Image


class PictureError(ValueError):
    """A picture that is missing or cannot be decoded; the message names it and says what is wrong."""


class Frame(StrEnum):
    """What a coordinate counts. Origin top left, x right, y down, in all four."""

    PIXEL = "pixel"  # pixels of the original picture
    MODEL = "model"  # pixels of the picture as the model's processor resized it
    UNIT = "unit"  # fractions of width and height, 0 to 1
    MILLE = "mille"  # thousandths of width and height, 0 to 1000


@dataclass(frozen=True)
class Point:
    """A place in one frame."""

    x: float
    y: float
    frame: Frame


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in one frame: (x1, y1) top left, (x2, y2) bottom right."""

    x1: float
    y1: float
    x2: float
    y2: float
    frame: Frame

    @property
    def area(self) -> float:
        """Width times height, 0 where the corners are swapped."""
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1. TypeError when the frames differ."""
        _same_frame(self, other)
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        both = max(0.0, width) * max(0.0, height)
        union = self.area + other.area - both
        return both / union if union > 0 else 0.0

    def contains(self, point: Point) -> bool:
        """Whether the point lies inside or on the edge. TypeError when the frames differ."""
        _same_frame(self, point)
        return self.x1 <= point.x <= self.x2 and self.y1 <= point.y <= self.y2


@dataclass(frozen=True)
class Labelled:
    """A box and what is in it: one object of a detection task, found or gold."""

    label: str
    box: Box


Shape = TypeVar("Shape", Box, Point)


def _same_frame(a: Box | Point, b: Box | Point) -> None:
    if a.frame != b.frame:
        kind = type(a).__name__.lower()
        raise TypeError(
            f"cannot compare a {kind} in the '{a.frame}' frame with one in the '{b.frame}' frame; "
            "convert one through its Picture"
        )


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image, loaded when first looked at, with the sizes that its frames need.

    `size` is (width, height) of the original; `model_size` is the size after the model's own resizing, None until a
    policy has told (`seen_at`). `sha` is a hash of the decoded pixels: it travels from the row to the rollout to the
    learner, and says at each that this is still the same picture. Pictures with equal pixels are equal.
    """

    path: Path | None = None
    data: bytes | None = None
    model_size: tuple[int, int] | None = None

    @classmethod
    def open(cls, path: Path | str) -> Picture:
        """The picture in a file, decoded once now so that a bad file is named here. PictureError if it is bad."""
        picture = cls(path=Path(path))
        picture.sha  # noqa: B018  decodes
        return picture

    @classmethod
    def of(cls, image: PIL.Image.Image) -> Picture:
        """The picture held by a PIL image, stored without loss."""
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG", compress_level=1)
        return cls(data=buffer.getvalue())

    @classmethod
    def encoded(cls, data: bytes) -> Picture:
        """The picture in an encoded file's bytes, decoded once now. PictureError if it is bad."""
        picture = cls(data=data)
        picture.sha  # noqa: B018  decodes
        return picture

    @property
    def name(self) -> str:
        """What a person would call it: the file, or the start of its hash."""
        return str(self.path) if self.path else f"picture {self.sha[:12]}"

    @property
    def image(self) -> PIL.Image.Image:
        """The decoded RGB image, turned upright by its EXIF tag. PictureError if it cannot be decoded."""
        return _decode(self.path, self.data)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in original pixels."""
        return _size_and_sha(self.path, self.data)[0]

    @property
    def sha(self) -> str:
        """SHA-256 over size and RGB pixels: independent of file name and file format."""
        return _size_and_sha(self.path, self.data)[1]

    def seen_at(self, model_size: tuple[int, int]) -> Picture:
        """The same picture, knowing the (width, height) at which the model sees it."""
        return replace(self, model_size=model_size)

    def convert(self, shape: Shape, *, to: Frame) -> Shape:
        """The same place in another frame. ValueError if the model frame is asked for and no model has seen it."""
        if shape.frame == to:
            return shape
        from_w, from_h = self._extent(shape.frame)
        to_w, to_h = self._extent(to)
        sx, sy = to_w / from_w, to_h / from_h
        if isinstance(shape, Point):
            return Point(shape.x * sx, shape.y * sy, to)
        return Box(shape.x1 * sx, shape.y1 * sy, shape.x2 * sx, shape.y2 * sy, to)

    def _extent(self, frame: Frame) -> tuple[float, float]:
        match frame:
            case Frame.PIXEL:
                return self.size
            case Frame.UNIT:
                return (1.0, 1.0)
            case Frame.MILLE:
                return (1000.0, 1000.0)
            case Frame.MODEL:
                if self.model_size is None:
                    raise ValueError(
                        f"{self.name} has no model frame: no policy has read it, or its family cuts pictures into tiles; ask "
                        "for pixel, unit or mille coordinates"
                    )
                return self.model_size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and (self.sha, self.model_size) == (other.sha, other.model_size)

    def __hash__(self) -> int:
        return hash((self.sha, self.model_size))


# What PIL raises for damaged files; the last four come from torn EXIF tags and headers.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)


# Decoded pictures that are kept: few, as a photograph takes tens of megabytes; policies keep what they made of them.
@functools.lru_cache(maxsize=32)
def _decode(path: Path | None, data: bytes | None) -> PIL.Image.Image:
    import PIL.Image
    import PIL.ImageOps

    try:
        with PIL.Image.open(path if path else io.BytesIO(data or b"")) as opened:
            image = PIL.ImageOps.exif_transpose(opened).convert("RGB")
    except FileNotFoundError:
        raise PictureError(f"picture {path} does not exist") from None
    except (*_DAMAGED, PIL.Image.DecompressionBombError) as error:
        raise PictureError(f"picture {path or 'in memory'} cannot be decoded: {error}") from error
    if path is not None and _first_seen.setdefault(path, _measured(image)) != _measured(image):
        raise PictureError(f"picture {path} has changed since it was first read; restore the file, or start a new run")
    return image


_first_seen: dict[Path, tuple[tuple[int, int], str]] = {}  # size and hash of each file's pixels


def _size_and_sha(path: Path | None, data: bytes | None) -> tuple[tuple[int, int], str]:
    if path is None:
        return _in_memory(data)
    if path not in _first_seen:
        _decode(path, None)
    return _first_seen[path]


@functools.lru_cache(maxsize=4096)
def _in_memory(data: bytes | None) -> tuple[tuple[int, int], str]:
    return _measured(_decode(None, data))


def _measured(image: PIL.Image.Image) -> tuple[tuple[int, int], str]:
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
    digest.update(image.tobytes())
    return image.size, digest.hexdigest()
