"""Pictures of a run as small WebP files: as large as fit into a page of limited size, made in parallel threads.

>>> fitted = fit_pictures([(source, sha), ...], room=4_000_000)
>>> fitted.webp["d48a..."]                                   # bytes
>>> fitted.side                                              # 640: the long side of none is larger
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from saccade.report.fit import evenly
from saccade.report.source import Source

SHA = re.compile(r"[0-9a-f]{64}")
STEPS = ((640, 80), (448, 78), (320, 75), (224, 72), (160, 65))  # long side in pixels, WebP quality
EXACT_UP_TO, FEW_COLOURS = 160, 256  # small drawings are kept without loss where that takes little more
LARGEST_FILE = 64 * 2**20  # bytes
LARGEST_PICTURE = 80_000_000  # pixels
JUDGED_BY = 40  # pictures by which the size of all is estimated


@dataclass(frozen=True)
class Fitted:
    """Pictures that fit: sha to WebP bytes.

    `shrunk` are smaller than their originals; `absent` and `unreadable` have no file that can be shown.
    """

    webp: dict[str, bytes]
    side: int
    shrunk: frozenset[str]
    absent: frozenset[str]
    unreadable: frozenset[str]


def fit_pictures(wanted: Sequence[tuple[Source, str]], *, room: int) -> Fitted:
    """The pictures as large as `room` (bytes, as they stand in the page) allows, the first of them before the last."""
    steps = _promising(wanted, room=room)
    for side, quality in steps:
        webp: dict[str, bytes] = {}
        bad: dict[str, str] = {}
        shrunk: set[str] = set()
        for (_, sha), made in zip(wanted, _all_made(wanted, side, quality), strict=True):
            if isinstance(made, str):
                bad[sha] = made
            else:
                webp[sha] = made[0]
                shrunk |= {sha} if made[1] else set()
        if sum(map(in_page, webp.values())) <= room:
            break
    kept: dict[str, bytes] = {}
    for sha, data in webp.items():
        room -= in_page(data)
        if room < 0:
            break
        kept[sha] = data
    names = {why: frozenset(sha for sha, other in bad.items() if other == why) for why in ("absent", "unreadable")}
    return Fitted(kept, side, frozenset(shrunk & kept.keys()), **names)


def smallest_need(wanted: Sequence[tuple[Source, str]]) -> int:
    """About how many bytes of the page they take when they are as small as may be."""
    return _estimate(wanted, *STEPS[-1])


def in_page(data: bytes) -> int:
    """Bytes that a picture takes in the page: base64, its name and quotes."""
    return 4 * ((len(data) + 2) // 3) + 70


def opened(source: Source, sha: str) -> tuple[bytes, Image.Image] | None:
    """A picture's file, the original or else the preview, and the picture in it, not yet decoded; None where there is none."""
    if not SHA.fullmatch(sha):
        return None
    for name in (f"pictures/{sha}.png", f"previews/{sha}.webp"):
        file = source.open(name)
        if file is None:
            continue
        with file:
            data = file.read(LARGEST_FILE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=("PNG", "WEBP"))
        if image.width * image.height > LARGEST_PICTURE:
            raise ValueError(f"{name} has {image.width} x {image.height} pixels")
        return data, image
    return None


def thumbnail(image: Image.Image, *, side: int, quality: int) -> bytes:
    """The picture as WebP, its long side at most `side` pixels."""
    small = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    if max(small.size) > side:
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    found = _webp(small, quality=quality, method=2)
    if max(small.size) <= EXACT_UP_TO and small.getcolors(FEW_COLOURS):
        exact = _webp(small, lossless=True, quality=40, method=2)
        if len(exact) <= 1.5 * len(found):
            return exact
    return found


def _promising(wanted: Sequence[tuple[Source, str]], *, room: int) -> list[tuple[int, int]]:
    """The steps to try, judged by some of the pictures: the largest that should fit and those below it.

    Where none should, the one that takes least.
    """
    if len(wanted) <= JUDGED_BY:
        return list(STEPS)
    sizes = [_estimate(wanted, *step) for step in STEPS]
    fits = next((n for n, size in enumerate(sizes) if size <= room), None)
    least = min(range(len(STEPS)), key=sizes.__getitem__)
    return (
        [STEPS[least]]
        if fits is None
        else [STEPS[n] for n in range(fits, len(STEPS)) if n == fits or sizes[n] < sizes[fits]]
    )


def _estimate(wanted: Sequence[tuple[Source, str]], side: int, quality: int) -> int:
    some = evenly(wanted, JUDGED_BY)
    sizes = [in_page(made[0]) for made in _all_made(some, side, quality) if not isinstance(made, str)]
    return round(sum(sizes) / len(some) * len(wanted)) if some else 0


def _all_made(wanted: Iterable[tuple[Source, str]], side: int, quality: int) -> Iterator[tuple[bytes, bool] | str]:
    # The work is done in Pillow's C code, which lets other threads run.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        yield from threads.map(lambda one: _made(*one, side=side, quality=quality), wanted)


def _made(source: Source, sha: str, *, side: int, quality: int) -> tuple[bytes, bool] | str:
    """WebP bytes and whether they are smaller than the original; or why there are none."""
    try:
        found = opened(source, sha)
        if found is None:
            return "absent"
        data, image = found
        image.load()
        is_larger = max(image.size) > side
        if image.format == "WEBP" and not is_larger:
            return data, False
        return thumbnail(image, side=side, quality=quality), is_larger
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ):  # what Pillow says of files that are no pictures
        return "unreadable"


def _webp(image: Image.Image, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **how)
    return buffer.getvalue()
