"""Pictures that look alike: perceptual hashes, compared in blocks, and a second look at what they find.

    >>> train, held_out = appearances(train_pictures), appearances(test_pictures)
    >>> near_pairs(train, held_out)
    [Pair(left=17, right=3, distance=4)]            # the same photograph, saved again at another size

A hash says how coarse light and dark lie in a picture, whatever its size and file format: pHash, the signs of the lowest
16 x 16 frequencies of the cosine transform of its grey image against their median. The usual 64 bits are too few for charts and
drawings (of 1,000 x 400 different drawings of the embedded geometry hundreds share them); 256 tell them apart. Two pictures are near
duplicates when at most WITHIN bits differ and their colours, at 32 x 32, differ by at most LEVELS on average: grey hashes cannot
tell a red cube from a green one.
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

SIDE = 16  # O a hash has SIDE * SIDE bits
THUMBNAIL = 32  # O pixels, the side of what is looked at twice
# O Of 480 copies of embedded pictures, at 0.5 to 1.5 times their size as JPEG of quality 50 and 85, nine in ten differ by at most
# 8 bits and 4.3 levels, the worst by 18 and 6.6; different pictures within 16 bits differ by 7 levels and more.
WITHIN = 16
LEVELS = 6.0
BLOCK = 64  # pictures of the left side that are compared at once


@dataclass(frozen=True, kw_only=True)
class Appearances:
    """What K pictures look like: hashes as four uint64 each [K, 4], and thumbnails [K, 32 * 32 * 3] of uint8."""

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


def appearances(pictures: Sequence[Picture]) -> Appearances:
    """What these pictures look like, in order. PictureError if one cannot be decoded."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:  # decoding leaves Python's lock
        looks = list(pool.map(lambda picture: appearance(picture.image), pictures))
    return joined(looks)


def appearance(image: PIL.Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """(hash, thumbnail) of one RGB image."""
    import imagehash

    bits = imagehash.phash(image, hash_size=SIDE).hash.ravel()
    small = image.resize((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.BOX)
    return np.packbits(bits).view(np.uint64), np.asarray(small, dtype=np.uint8).ravel()


def joined(looks: Sequence[tuple[np.ndarray, np.ndarray]]) -> Appearances:
    """Those of single images as one."""
    if not looks:
        return Appearances(hash_K=np.empty((0, SIDE * SIDE // 64), np.uint64), thumbnail_K=np.empty((0, THUMBNAIL**2 * 3), np.uint8))
    hashes, thumbnails = zip(*looks, strict=True)
    return Appearances(hash_K=np.stack(hashes), thumbnail_K=np.stack(thumbnails))


def near_pairs(left: Appearances, right: Appearances, *, within: int = WITHIN, levels: float = LEVELS) -> list[Pair]:
    """Every pair of a left and a right picture that look alike, nearest first; 10,000 x 10,000 take seconds."""
    found = []
    for start in range(0, len(left), BLOCK):
        block_bK = left.hash_K[start : start + BLOCK]
        distance = np.zeros((len(block_bK), len(right)), dtype=np.uint16)
        for word in range(block_bK.shape[1]):
            distance += _popcount(block_bK[:, word, None] ^ right.hash_K[None, :, word])
        for i, j in np.argwhere(distance <= within).tolist():
            difference = left.thumbnail_K[start + i].astype(np.int16) - right.thumbnail_K[j]
            if np.abs(difference).mean() <= levels:
                found.append(Pair(start + i, j, int(distance[i, j])))
    return sorted(found, key=lambda pair: (pair.distance, pair.left, pair.right))


_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


def _popcount(words: np.ndarray) -> np.ndarray:
    """How many bits of each uint64 are set."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(words)
    return _BITS_OF_BYTE[words.view(np.uint8)].reshape(*words.shape, 8).sum(axis=-1, dtype=np.uint8)
