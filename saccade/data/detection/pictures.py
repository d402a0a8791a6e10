"""The pictures of a data folder: finding them, and the size and turn that their headers tell.

Coordinates live in `Frame.PIXEL`, the upright picture that `Picture` shows. Annotators differ in whether their tool minded
the EXIF tag, and where the file declares a size it must be that of the picture as they saw it. `Seen.STORED` says that
they saw it as it is stored; then every coordinate is turned upright here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import PIL.Image

from saccade.core.sample import DataError

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
_ORIENTATION = 0x0112
_BOMB = PIL.Image.DecompressionBombError
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, _BOMB)

# Where a place (x, y) of a stored picture of width w and height h is in the upright one, by EXIF orientation.
_UPRIGHT = {
    1: lambda x, y, w, h: (x, y),
    2: lambda x, y, w, h: (w - x, y),
    3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y),
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


class Seen(StrEnum):
    """How the annotators saw pictures that carry an EXIF turn."""

    UPRIGHT = "upright"  # turned as the tag says: browsers, OpenCV, most tools; the default
    STORED = "stored"  # as the pixels lie in the file


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A picture file's stored size (width, height), its EXIF orientation (1 to 8), and how its annotator saw it."""

    path: Path
    stored: tuple[int, int]
    orientation: int
    seen: Seen

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) upright: what Picture.size is."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored

    @property
    def extent(self) -> tuple[int, int]:
        """(width, height) in which the annotation counts."""
        return self.stored if self.seen == Seen.STORED else self.size

    @property
    def is_turned(self) -> bool:
        """Whether the annotation's coordinates have to be turned."""
        return self.seen == Seen.STORED and self.orientation != 1

    def upright(self, x: float, y: float) -> tuple[float, float]:
        """A place of the annotation in the upright picture, to a millionth of a pixel."""
        if self.is_turned:
            x, y = _UPRIGHT[self.orientation](x, y, *self.stored)
        return round(x, 6), round(y, 6)

    def hold_against(self, declared: tuple[float, float], where: str) -> None:
        """DataError where the annotation was made on a picture of another size."""
        if declared == self.extent:
            return
        width, height = (int(side) if side == int(side) else side for side in declared)
        why = f"{where} declares {width}x{height} pixels, but {self.path.name} has {self.extent[0]}x{self.extent[1]}"
        other = Seen.UPRIGHT if self.seen == Seen.STORED else Seen.STORED
        if declared == (self.size if self.seen == Seen.STORED else self.stored):
            why += f" (EXIF orientation {self.orientation}): it was made on the {other} picture; read with seen='{other}'"
        raise DataError(why)


def shown(path: Path, seen: Seen | str) -> Shown:
    """A picture's header, without decoding its pixels. DataError if it is missing or no picture."""
    try:
        with PIL.Image.open(path) as image:
            turn = image.getexif().get(_ORIENTATION, 1)
            stored = image.size
    except FileNotFoundError:
        raise DataError(f"picture {path} does not exist") from None
    except _DAMAGED as error:
        raise DataError(f"picture {path} cannot be read: {error}") from None
    return Shown(path=path, stored=stored, orientation=turn if turn in _UPRIGHT else 1, seen=Seen(seen))


class Shelf:
    """The pictures of folders by stem, each folder listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def stems(self, folder: Path) -> dict[str, list[Path]]:
        """Stem -> its picture files, sorted; empty where there is no such folder."""
        if folder not in self._folders:
            found: dict[str, list[Path]] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if is_picture(path):
                    found.setdefault(path.stem, []).append(path)
            self._folders[folder] = found
        return self._folders[folder]

    def find(self, stem: str, folders: Iterable[Path]) -> Path | None:
        """The picture of this stem in the first folder that has one. DataError where that has two."""
        for folder in folders:
            paths = self.stems(folder).get(stem, [])
            if len(paths) > 1:
                raise DataError(f"{folder} has both {paths[0].name} and {paths[1].name}; which one is annotated?")
            if paths:
                return paths[0]
        return None


def counterparts(folder: Path, root: Path, ours: Sequence[str], theirs: Sequence[str]) -> list[Path]:
    """The folder itself, and those that lie as it does when a folder named as one of `ours` is one of `theirs` instead.

    Below root, `train/labels` is the counterpart of `train/images`, and `labels/train` of `images/train`; last name first.
    """
    names = folder.relative_to(root).parts
    found = [folder]
    for place in reversed(range(len(names))):
        if names[place].lower() in ours:
            found += [root.joinpath(*names[:place], name, *names[place + 1 :]) for name in theirs]
    return found


def files_below(folder: Path) -> list[Path]:
    """Every file at any depth, sorted, hidden ones left out; links to folders are followed, each folder once."""
    found, been = [], set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in been:
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(found)


def is_picture(path: Path) -> bool:
    """Whether a name is that of a picture; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def existing(folder: Path | str) -> Path:
    """The folder's absolute path. DataError where it is no folder."""
    path = Path(folder)
    if not path.is_dir():
        raise DataError(f"data folder {path} {'is a file, not a folder' if path.exists() else 'does not exist'}")
    return path.resolve()
