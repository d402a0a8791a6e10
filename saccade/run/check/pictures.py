"""Whether pictures open and are as a model can see them, and whether training shows what is held out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import PIL.Image

from saccade.core.picture import Picture, PictureError
from saccade.core.sample import Sample
from saccade.data.duplicates import SIDE, Appearances, Look, appearance, joined, near_pairs
from saccade.run.check.findings import Finding, Part

LEAST_SIDE = 28  # pixels; # P one vector of Qwen2-VL, which enlarges what is smaller
MOST_PIXELS = 50_000_000  # O
MOST_ASPECT = 200  # C Qwen2-VL's processor refuses what is longer
_ORIENTATION = 0x0112  # EXIF
_READ_WHOLE = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB"}  # modes of which RGB keeps what can be seen


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a picture: its size and pixels' hash, how the file holds it, and what it looks like."""

    size: tuple[int, int]
    sha: str
    mode: str
    is_turned: bool
    is_blank: bool
    look: Look


Key = tuple
Places = dict[Key, tuple[Picture, list[str]]]  # every picture, and the ids of the rows that show it


def picture_part(train: Sequence[Sample], held_out: Mapping[str, Sequence[Sample]]) -> Part:
    """Everything about the pictures of what is trained on and of each held-out set, by its name."""
    places = _places([*train, *(sample for samples in held_out.values() for sample in samples)])
    seen, findings = _all_seen(places)
    findings += _of_sizes(seen, places)
    findings += _of_content(seen, places)
    shown = _by_sha(train, seen)
    for name, samples in held_out.items():
        findings += _leaks(name, shown, _by_sha(samples, seen), {s.sha: s for s in seen.values()})
        findings += _same_questions(name, train, samples)
    findings += _repeated(_by_sha(train, seen), "training")
    return Part(name="pictures", about=_about(seen), findings=tuple(findings))


def unopened(samples: Sequence[Sample]) -> set[str]:
    """Ids of samples with a picture that cannot be decoded."""
    return {sample.id for sample in samples if any(_fault(picture) is not None for picture in sample.pictures)}


def _fault(picture: Picture) -> str | None:
    try:
        picture.size  # noqa: B018  decodes, the first time
    except PictureError as error:
        return str(error)
    return None


def _key(picture: Picture) -> Key:
    return (picture.path, picture.data)


def _places(samples: Sequence[Sample]) -> Places:
    found: Places = {}
    for sample in samples:
        for picture in sample.pictures:
            _, ids = found.setdefault(_key(picture), (picture, []))
            if sample.id not in ids[-1:]:
                ids.append(sample.id)
    return found


def _all_seen(places: Places) -> tuple[dict[Key, Seen], list[Finding]]:
    """Every picture that opens, and a finding about those that do not."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:  # decoding leaves Python's lock
        looks = list(pool.map(_look, [picture for picture, _ in places.values()]))
    seen = {key: look for key, look in zip(places, looks, strict=True) if isinstance(look, Seen)}
    bad = [(key, look) for key, look in zip(places, looks, strict=True) if isinstance(look, str)]
    if not bad:
        return seen, []
    rows = tuple(row for key, _ in bad for row in places[key][1])
    advice = "mend or remove these files"
    return seen, [Finding(level="error", kind="unopened", what=bad[0][1], rows=rows, of=len(places), advice=advice)]


def _look(picture: Picture) -> Seen | str:
    """What is known of it, or why it does not open."""
    try:
        image, size, sha = picture.image, picture.size, picture.sha
    except PictureError as error:
        return str(error)
    try:
        mode, is_turned = _as_stored(picture)
    except OSError as error:  # it was decoded before
        return f"picture {picture.path} cannot be read any more: {error.strerror or error}"
    is_blank = all(low == high for low, high in image.getextrema())
    return Seen(size=size, sha=sha, mode=mode, is_turned=is_turned, is_blank=is_blank, look=appearance(image))


def _as_stored(picture: Picture) -> tuple[str, bool]:
    """(mode, whether EXIF turns it) of the file, without decoding it."""
    if picture.path is None:
        return "RGB", False
    with warnings.catch_warnings(), PIL.Image.open(picture.path) as image:
        warnings.simplefilter("ignore")
        return image.mode, image.getexif().get(_ORIENTATION, 1) not in (0, 1)


def _of_sizes(seen: Mapping[Key, Seen], places: Places) -> Iterator[Finding]:
    """Pictures that are too small, large or long to be seen well."""
    kinds = (
        ("small", lambda w, h: min(w, h) < LEAST_SIDE, f"under {LEAST_SIDE} pixels high or wide", "a model sees next to nothing"),
        ("large", lambda w, h: w * h > MOST_PIXELS, f"more than {MOST_PIXELS // 10**6} megapixels", "shrink them once, on disk"),
        ("shape", lambda w, h: max(w, h) > MOST_ASPECT * min(w, h), f"over {MOST_ASPECT} times as long as wide", "cut them"),
    )
    for kind, is_so, what, advice in kinds:
        keys = [key for key, one in seen.items() if is_so(*one.size)]
        if keys:
            sizes = sorted({seen[key].size for key in keys}, key=lambda size: size[0] * size[1])
            first = "x".join(map(str, sizes[0] if kind == "small" else sizes[-1]))
            rows = _rows(keys, places)
            what = f"pictures {what}, such as {first}"
            yield Finding(level="warning", kind=kind, what=what, rows=rows, of=len(seen), advice=advice)


def _of_content(seen: Mapping[Key, Seen], places: Places) -> Iterator[Finding]:
    """Pictures of one colour, and those of which the file holds more than is seen."""
    kinds = (
        ("warning", lambda one: one.is_blank, "pictures of a single colour", "look at these files"),
        (
            "warning",
            lambda one: one.mode not in _READ_WHOLE,
            "pictures lose something as RGB (transparency, or more than 8 bits)",
            "save them as RGB the way they should look",
        ),
        (
            "note",
            lambda one: one.is_turned,
            "pictures are turned upright by their EXIF tag",
            "gold boxes must count in the turned picture",
        ),
    )
    for level, is_so, what, advice in kinds:
        keys = [key for key, one in seen.items() if is_so(one)]
        if keys:
            modes = sorted({seen[key].mode for key in keys} - _READ_WHOLE)
            yield Finding(
                level=level,
                kind="content",
                what=what + (f": {', '.join(modes)}" if "RGB" in what else ""),
                rows=_rows(keys, places),
                of=len(seen),
                advice=advice,
            )


def _rows(keys: Sequence[Key], places: Places) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row for key in keys for row in places[key][1]))


def _by_sha(samples: Sequence[Sample], seen: Mapping[Key, Seen]) -> dict[str, list[str]]:
    """{hash of pixels: ids of the rows that show them}."""
    found: dict[str, list[str]] = {}
    for sample in samples:
        for picture in sample.pictures:
            if one := seen.get(_key(picture)):
                rows = found.setdefault(one.sha, [])
                if sample.id not in rows[-1:]:
                    rows.append(sample.id)
    return found


def _leaks(
    name: str, shown: Mapping[str, list[str]], held_out: Mapping[str, list[str]], seen: Mapping[str, Seen]
) -> Iterator[Finding]:
    """Pictures of a held-out set that training shows: the same pixels, or alike."""
    same = [sha for sha in held_out if sha in shown]
    if same:
        pairs = tuple(f"{shown[sha][0]} = {row}" for sha in same for row in held_out[sha])
        what = f"{name} shows pictures that are trained on"
        advice = "take these pictures out of training"
        yield Finding(level="error", kind="leak", what=what, rows=pairs, of=sum(map(len, held_out.values())), advice=advice)
    # A picture of one colour looks like every other.
    left = [sha for sha in shown if not seen[sha].is_blank]
    right = [sha for sha in held_out if sha not in shown and not seen[sha].is_blank]
    near = near_pairs(_joined(left, seen), _joined(right, seen))
    if near:
        pairs = tuple(f"{shown[left[i]][0]} ~ {held_out[right[j]][0]}" for i, j, _ in near)
        apart = f"{near[0].distance} of {SIDE**2} bits apart at the nearest"
        what = f"{name} shows pictures that look like ones that are trained on ({apart})"
        advice = "look at these pairs; take copies out of training"
        yield Finding(level="warning", kind="near", what=what, rows=pairs, of=len(held_out), advice=advice)


def _joined(shas: Sequence[str], seen: Mapping[str, Seen]) -> Appearances:
    return joined([seen[sha].look for sha in shas])


def _same_questions(name: str, train: Sequence[Sample], held_out: Sequence[Sample]) -> Iterator[Finding]:
    """Questions without a picture that training asks, too."""
    asked = {sample.prompt_text: sample.id for sample in reversed(train) if not sample.pictures}
    pairs = tuple(f"{asked[s.prompt_text]} = {s.id}" for s in held_out if not s.pictures and s.prompt_text in asked)
    if pairs:
        what, advice = f"{name} asks questions without pictures that are trained on", "take them out of training"
        yield Finding(level="error", kind="leak", what=what, rows=pairs, of=len(held_out), advice=advice)


def _repeated(shown: Mapping[str, list[str]], name: str) -> Iterator[Finding]:
    """Pictures that several rows of a set show, which is well where each asks something else."""
    several = [rows for rows in shown.values() if len(set(rows)) > 1]
    if several:
        rows = tuple(dict.fromkeys(row for same in several for row in same))
        what = f"{len(several):,} pictures of {name} are shown by several rows"
        yield Finding(level="note", kind="repeated", what=what, rows=rows, of=len(shown))


def _about(seen: Mapping[Key, Seen]) -> str:
    if not seen:
        return "none"
    sizes = sorted((one.size for one in seen.values()), key=lambda size: size[0] * size[1])
    first, last = ("x".join(map(str, size)) for size in (sizes[0], sizes[-1]))
    different = len({one.sha for one in seen.values()})
    return f"{different:,} different, {first if first == last else f'{first} to {last}'} pixels"
