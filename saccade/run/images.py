"""A run's pictures as files, each once, by its hash: as it is where it was trained on, else small."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from saccade.core.picture import Picture
from saccade.run.files import WRITING, write_atomically

LONGEST = 640  # pixels of a preview's longer side
QUALITY = 80  # of its WebP


class Gallery:
    """The folders `pictures` and `previews` of a run. What is there is never written again."""

    def __init__(self, run: Path) -> None:
        self._pictures, self._previews = run / "pictures", run / "previews"

    def open(self) -> None:
        """Make the folders, and clear away what a kill left half written."""
        for folder in (self._pictures, self._previews):
            folder.mkdir(exist_ok=True)
            for leftover in folder.glob(f".*{WRITING}*"):
                leftover.unlink()

    def keep(self, picture: Picture) -> Path:
        """Keep a picture as it is; its file."""
        path = self._pictures / f"{picture.sha}.png"
        if not _is_whole(path):
            write_atomically(path, _png(picture), sync=False)
        return path

    def keep_small(self, pictures: Iterable[Picture]) -> None:
        """Keep small versions of those that are not kept as they are."""
        for picture in pictures:
            path = self._previews / f"{picture.sha}.webp"
            if not _is_whole(path) and not _is_whole(self._pictures / f"{picture.sha}.png"):
                write_atomically(path, _preview(picture), sync=False)


def _is_whole(path: Path) -> bool:
    """A power cut may leave an empty file."""
    return path.exists() and path.stat().st_size > 0


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    picture.image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _preview(picture: Picture) -> bytes:
    """As WebP, made smaller where its longer side is over LONGEST."""
    image = picture.image
    if max(image.size) > LONGEST:
        image = image.copy()
        image.thumbnail((LONGEST, LONGEST))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=2)  # half the time of the default, files 5 % larger
    return buffer.getvalue()
