"""Gold boxes as samples hold them, and bringing what was read into their frame.

    >>> gold_objects(sample.target)                     # a Box, a Labelled, or a sequence of either
    Reading(value=(Labelled(label='cat', box=Box(...)),), why='')
    >>> brought(box, rollout, to=Frame.PIXEL)           # through the picture as the model saw it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from saccade.core.picture import Box, Frame, Labelled, Point
from saccade.core.rollout import Rollout
from saccade.rewards.geometry.boxes import is_proper, one_frame
from saccade.rewards.read.reading import Reading

Thing = TypeVar("Thing", Box, Labelled, Point)


def gold_objects(target: Any) -> Reading[tuple[Labelled, ...]]:
    """The gold objects that a target holds; a bare Box has the label "". An empty sequence is: there are none.

    A reason instead of a value for anything else, for boxes in several frames, and for one that is a line or turned round.
    """
    things = (target,) if isinstance(target, Box | Labelled) else target
    if not isinstance(things, Sequence) or isinstance(things, str):
        return Reading(None, f"the gold is a {type(target).__name__}, not boxes")
    objects = []
    for thing in things:
        if not isinstance(thing, Box | Labelled):
            return Reading(None, f"the gold holds a {type(thing).__name__}, not boxes")
        objects.append(Labelled("", thing) if isinstance(thing, Box) else thing)
    try:
        one_frame([thing.box for thing in objects])
    except TypeError as error:
        return Reading(None, f"gold {error}")
    bad = [thing for thing in objects if not is_proper(thing.box)]
    return Reading(None, f"the gold box {bad[0].box} has no area") if bad else Reading(tuple(objects))


def gold_box(target: Any) -> Reading[Box]:
    """The one gold box that a target holds."""
    objects = gold_objects(target)
    if objects.value is None:
        return Reading(None, objects.why)
    if len(objects.value) != 1:
        return Reading(None, f"the gold holds {len(objects.value)} boxes, not one")
    return Reading(objects.value[0].box)


def all_brought(things: Sequence[Labelled], rollout: Rollout, *, to: Frame, picture: int = 0) -> list[Labelled]:
    """All the things in another frame, as `brought` would bring each, at once. TypeError where they live in several."""
    frame = one_frame([thing.box for thing in things])
    if frame is None or frame == to:
        return list(things)
    scale = brought(Point(1, 1, frame), rollout, to=to, picture=picture)
    return [Labelled(thing.label, _scaled(thing.box, scale)) for thing in things]


def brought(thing: Thing, rollout: Rollout, *, to: Frame, picture: int = 0) -> Thing:
    """The thing in another frame, through the rollout's picture of this number. ValueError where that is missing."""
    shape = thing.box if isinstance(thing, Labelled) else thing
    if shape.frame == to:
        return thing
    if not -len(rollout.pictures) <= picture < len(rollout.pictures):
        kind = type(shape).__name__.lower()
        raise ValueError(
            f"sample {rollout.sample.id!r}: bringing a {kind} from the {shape.frame} to the {to} frame takes picture "
            f"{picture}, and the rollout has {len(rollout.pictures)}"
        )
    moved = rollout.pictures[picture].convert(shape, to=to)
    return Labelled(thing.label, moved) if isinstance(thing, Labelled) else moved


def _scaled(box: Box, scale: Point) -> Box:
    return Box(box.x1 * scale.x, box.y1 * scale.y, box.x2 * scale.x, box.y2 * scale.y, scale.frame)
