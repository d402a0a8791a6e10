"""Pictures that look alike: perceptual hashes, compared in blocks, and a second look at what they find.

    >>> train, held_out = appearances(train_pictures), appearances(test_pictures)
    >>> near_pairs(train, held_out)
    [Pair(left=17, right=3, distance=4)]            # the same photograph, saved again at another size
    >>> kinship(train)                              # which of one set belong together
    (0, 1, 0)

A hash says how coarse light and dark lie in a picture, whatever its size and file format: pHash, the signs of the lowest
8 x 8 frequencies of the cosine transform of its grey image against their median. Alone it is too coarse: hundreds of pairs of
different drawings of the embedded geometry share all 64 bits, and it cannot tell a red cube from a green one. So two pictures are
near duplicates when at most WITHIN bits differ and their colours, at 32 x 32 pixels, correlate by at least ALIKE.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import PIL.Image

from saccade.core.picture import Picture

SIDE = 8  # a hash has SIDE * SIDE bits
THUMBNAIL = 32  # O pixels, the side of what is looked at twice
# O Measured on the embedded pictures and on blurred noise. Copies at 0.4 to 1.5 times the size, as JPEG of quality 40 and 85: 95 % differ
# by at most 4 bits (all by 10) and correlate by 0.89 to 0.99. Of different pictures within 8 bits, those of solids correlate by at most
# 0.88, of digits by 0.78; the drawings that correlate by more show the same figure in another colour.
WITHIN = 8
ALIKE = 0.92
BLOCK = 256  # pictures of the left side that are compared at once
PAIRS = 4096  # pairs that are looked at twice at once


@dataclass(frozen=True, kw_only=True)
class Appearances:
    """What K pictures look like: hashes [K] of uint64, and thumbnails [K, 32 * 32, 3] of uint8."""

    hash_K: np.ndarray
    thumbnail_K: np.ndarray

    def __len__(self) -> int:
        return len(self.hash_K)

    def __getitem__(self, index: Sequence[int]) -> Appearances:
        """Those at these places."""
        places = np.asarray(index, dtype=np.int64)
        return Appearances(hash_K=self.hash_K[places], thumbnail_K=self.thumbnail_K[places])


class Pair(NamedTuple):
    """Places of two pictures that look alike, and in how many bits their hashes differ."""

    left: int
    right: int
    distance: int


Look = tuple[np.uint64, np.ndarray]
"""One picture's hash and thumbnail."""


def appearances(pictures: Sequence[Picture]) -> Appearances:
    """What these pictures look like, in order. PictureError if one cannot be decoded."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:  # decoding leaves Python's lock
        looks = list(pool.map(lambda picture: appearance(picture.image), pictures))
    return joined(looks)


def appearance(image: PIL.Image.Image) -> Look:
    """(hash, thumbnail) of one RGB image."""
    import imagehash

    bits = imagehash.phash(image, hash_size=SIDE).hash.ravel()
    small = image.resize((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.BOX)
    return np.packbits(bits).view(np.uint64)[0], np.asarray(small, dtype=np.uint8).reshape(-1, 3)


def joined(looks: Sequence[Look]) -> Appearances:
    """Those of single images as one."""
    if not looks:
        return Appearances(hash_K=np.empty(0, np.uint64), thumbnail_K=np.empty((0, THUMBNAIL**2, 3), np.uint8))
    hashes, thumbnails = zip(*looks, strict=True)
    return Appearances(hash_K=np.array(hashes, dtype=np.uint64), thumbnail_K=np.stack(thumbnails))


def near_pairs(left: Appearances, right: Appearances, *, within: int = WITHIN, alike: float = ALIKE) -> list[Pair]:
    """Every pair of a left and a right picture that look alike, nearest first; 10,000 x 10,000 take seconds."""
    found = []
    for start in range(0, len(left), BLOCK):
        distance = _popcount(left.hash_K[start : start + BLOCK, None] ^ right.hash_K[None])
        candidates = np.argwhere(distance <= within)
        for first in range(0, len(candidates), PAIRS):
            i, j = candidates[first : first + PAIRS].T
            is_alike = _correlation(left.thumbnail_K[start + i], right.thumbnail_K[j]) >= alike
            found += [Pair(start + a, b, int(distance[a, b])) for a, b in zip(i[is_alike].tolist(), j[is_alike].tolist(), strict=True)]
    return sorted(found, key=lambda pair: (pair.distance, pair.left, pair.right))


def kinship(looks: Appearances, *, within: int = WITHIN, alike: float = ALIKE) -> tuple[int, ...]:
    """For each picture the place of the first one that it looks like, be it through others: equal numbers belong together."""
    first = list(range(len(looks)))
    for pair in near_pairs(looks, looks, within=within, alike=alike):
        one, other = _first(first, pair.left), _first(first, pair.right)
        first[max(one, other)] = min(one, other)
    return tuple(_first(first, place) for place in range(len(looks)))


def _first(first: list[int], place: int) -> int:
    while first[place] != place:
        first[place] = first[first[place]]
        place = first[place]
    return place


def _correlation(left_K: np.ndarray, right_K: np.ndarray) -> np.ndarray:
    """[K] correlation of thumbnails, each channel about its own mean; 0 where one is of a single colour."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (left_K.astype(np.float32), right_K.astype(np.float32)))
    spread = np.sqrt((a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2)))
    return (a * b).sum(axis=(1, 2)) / np.maximum(spread, 1e-6)


_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


def _popcount(words: np.ndarray) -> np.ndarray:
    """How many bits of each uint64 are set."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(words)
    return _BITS_OF_BYTE[words.view(np.uint8)].reshape(*words.shape, 8).sum(axis=-1, dtype=np.uint8)
