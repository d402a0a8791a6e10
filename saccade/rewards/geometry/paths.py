"""How well a flight ended: CityNav's SR, OSR, SPL and NE, and its maps' pixels in metres.

    >>> flight = fly([(0, 0), (30, 0), (30, 40)], goal=(30, 55))
    >>> flight.error, flight.is_success, flight.is_oracle_success, round(flight.spl, 3)
    (15.0, True, True, 0.895)
    >>> overall({"easy": easy, "hard": hard})["SR"]            # the mean over all episodes of both
    0.25

Marks: # P paper, # C released code, # S second-hand, # O ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from saccade.core.picture import Frame, Point

SUCCESS_RADIUS = 20.0  # C metres, inclusive
METRES_PER_PIXEL = 0.1  # C the maps are rasterised at this


@dataclass(frozen=True, kw_only=True)
class Flown:
    """What one episode came to. `error` is NE, in metres; `spl` lies between 0 and 1."""

    error: float
    is_success: bool
    is_oracle_success: bool
    spl: float


def fly(
    path: Sequence[Sequence[float]], *, goal: Sequence[float], radius: float = SUCCESS_RADIUS, crashed: bool = False
) -> Flown:
    """The figures of an episode that passed through the poses of `path`, the first of them its start. # C

        NE = |p_T - g|      SR = [NE <= radius]      OSR = [min over t of |p_t - g| <= radius]
        SPL = SR * s / max(s, l),  s = |p_0 - g|, l the length of the path; 0 where both are 0

    All in metres and in the plane: of a pose only x and y count, as in the released code; the paper's text has a sphere
    of 20 m (# S). An episode that `crashed` (its program raised, its answer could not be flown) fails in all three
    shares with the error of the last pose that it reached; the released code drops it from its means (# O).
    ValueError for a path without a start, and for numbers that are not finite.
    """
    pose_T = [_plane(pose) for pose in path]
    if not pose_T:
        raise ValueError("a path needs at least the pose at which the episode starts, got none")
    if not (math.isfinite(radius) and radius >= 0):
        raise ValueError(f"the radius is a distance in metres, got {radius}")
    end = _plane(goal)
    off_T = [math.dist(pose, end) for pose in pose_T]
    straight, length = off_T[0], math.fsum(math.dist(a, b) for a, b in pairwise(pose_T))
    is_success = off_T[-1] <= radius and not crashed
    longest = max(straight, length)
    return Flown(
        error=off_T[-1],
        is_success=is_success,
        is_oracle_success=min(off_T) <= radius and not crashed,
        spl=straight / longest if is_success and longest > 0 else 0.0,
    )


def means(flights: Sequence[Flown]) -> dict[str, float]:
    """NE in metres, and SR, OSR and SPL as shares between 0 and 1, over episodes. ValueError for none."""
    if not flights:
        raise ValueError("there are no episodes to take means of")
    n = len(flights)
    return {
        "NE": math.fsum(flight.error for flight in flights) / n,
        "SR": sum(flight.is_success for flight in flights) / n,
        "OSR": sum(flight.is_oracle_success for flight in flights) / n,
        "SPL": math.fsum(flight.spl for flight in flights) / n,
    }


def overall(files: Mapping[str, Sequence[Flown]]) -> dict[str, float]:
    """The means of easy, medium and hard files, each weighted by its number of episodes. # C"""
    return means([flight for flights in files.values() for flight in flights])


@dataclass(frozen=True, kw_only=True)
class Raster:
    """Where a map lies in the world: the world's x at its left edge and y at its top edge, in metres.

    Rows count downwards and y upwards. Points lie between pixels too: the raster's own column of an x is the whole part.

        >>> Raster(left=100, top=500).to_pixel(112.5, 480)
        Point(x=125.0, y=200.0, frame=<Frame.PIXEL: 'pixel'>)
    """

    left: float
    top: float
    metres_per_pixel: float = METRES_PER_PIXEL

    def __post_init__(self) -> None:
        if not self.metres_per_pixel > 0:
            raise ValueError(f"metres_per_pixel must be positive, got {self.metres_per_pixel}")

    def to_pixel(self, x: float, y: float) -> Point:
        """Where a place in the world is on the map. # C"""
        return Point((x - self.left) / self.metres_per_pixel, (self.top - y) / self.metres_per_pixel, Frame.PIXEL)

    def to_world(self, point: Point) -> tuple[float, float]:
        """Which place in the world a pixel of the map shows. TypeError for a point of another frame."""
        if point.frame is not Frame.PIXEL:
            raise TypeError(f"a map holds pixels of the original, got the {point.frame} frame; convert the point first")
        return self.left + point.x * self.metres_per_pixel, self.top - point.y * self.metres_per_pixel


def _plane(pose: Sequence[float]) -> tuple[float, float]:
    if len(pose) < 2 or not all(math.isfinite(value) for value in pose[:2]):
        raise ValueError(f"a pose needs a finite x and y in metres, got {pose!r}")
    return float(pose[0]), float(pose[1])
