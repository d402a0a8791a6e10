"""Rows into a training part and a held-out part that share no picture.

    >>> train, held_out = split(rows, held_out=0.2, seed=0)
    >>> train, test = parted(rows, held_out=0.2, seed=0)            # the data set's own test part, where it has one

Rows that show a common picture, by its decoded pixels and not by its name, stay together, whichever of a row's pictures it
is. Which part a group falls into depends on the seed and its pixels alone: neither on file names nor on the order of rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.core.picture import Picture, PictureError
from saccade.core.sample import DataError

Rows = Sequence[Mapping[str, Any]]
TEST_PARTS = ("test", "val", "dev")  # O how names of parts begin that are measured on; those of the first that is there


def split(
    rows: Rows,
    *,
    held_out: float = 0.2,
    seed: int = 0,
    together: Callable[[Mapping[str, Any]], Hashable] | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(training rows, held-out rows), each in the order given; `held_out` is the share of rows to hold out, 0 to 1.

    The share is met as nearly as whole groups allow, and neither part is empty. `together(row)` keeps further rows
    together: those of one patient, sitting or field of view. Rows with a fault, and rows whose picture turns out not to
    decode (they get one), stay in the training part, for `Task.from_rows` to count and name. DataError where no split
    exists.
    """
    if not 0 < held_out < 1:
        raise DataError(f"held_out is a share between 0 and 1, got {held_out}")
    made = [dict(row) for row in rows]
    groups = _Groups()
    shas: dict[int, str] = {}  # place -> the row's least pixel hash
    for place, row in enumerate(made):
        if "fault" in row:
            continue
        try:
            found = [_picture(image).sha for image in row["image"]]
        except PictureError as error:
            made[place] = {"id": row["id"], "part": row.get("part", ""), "fault": str(error)}
            continue
        shas[place] = min(found)
        for sha in found:
            groups.join(("row", place), ("picture", sha))
        if together is not None:
            groups.join(("row", place), ("together", together(row)))
    members: dict[Hashable, list[int]] = {}
    for place in shas:
        members.setdefault(groups.root(("row", place)), []).append(place)
    if len(members) < 2:
        why = "all share pictures or belong together" if shas else "none is without a fault"
        raise DataError(f"{len(rows)} rows cannot be split: {why}")
    chosen = _chosen(members.values(), shas, wanted=held_out * len(shas), seed=seed)
    return [row for place, row in enumerate(made) if place not in chosen], [made[place] for place in sorted(chosen)]


def parted(rows: Rows, *, held_out: float, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(training rows, test rows): the data set's own test part (test, else val, else dev) and all the rest, or else `split`.

    Of two such parts the other is trained on. A picture that lies in both files is in both lists: leave it out of training.
    """
    parts = {str(row.get("part", "")) for row in rows}
    found = ({part for part in parts if part.lower().startswith(name)} for name in TEST_PARTS)
    own = next(filter(None, found), set())
    if not own or own == parts:
        return split(rows, held_out=held_out, seed=seed)
    is_test = [str(row.get("part", "")) in own for row in rows]
    return (
        [dict(row) for row, is_in in zip(rows, is_test, strict=True) if not is_in],
        [dict(row) for row, is_in in zip(rows, is_test, strict=True) if is_in],
    )


def _chosen(members: Any, shas: Mapping[int, str], *, wanted: float, seed: int) -> set[int]:
    """Places to hold out: groups in an order drawn by the seed, each taken where that brings the count nearer."""

    def draw(places: list[int]) -> str:
        return hashlib.sha256(f"{seed} {min(shas[place] for place in places)}".encode()).hexdigest()

    ordered = sorted(members, key=draw)
    chosen: set[int] = set()
    left = len(ordered)
    for places in ordered:
        is_nearer = abs(len(chosen) + len(places) - wanted) < abs(len(chosen) - wanted)
        if is_nearer and left > 1:
            chosen.update(places)
            left -= 1
    return chosen or set(min(ordered, key=len))


def _picture(image: str | Path | Picture) -> Picture:
    return image if isinstance(image, Picture) else Picture(path=Path(image))


class _Groups:
    """Which things hang together (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def root(self, thing: Hashable) -> Hashable:
        self._above.setdefault(thing, thing)
        while self._above[thing] != thing:
            self._above[thing] = self._above[self._above[thing]]
            thing = self._above[thing]
        return thing

    def join(self, one: Hashable, other: Hashable) -> None:
        self._above[self.root(one)] = self.root(other)
