"""From the frame that gold data is in to the frame that a model writes in, through the picture of the rollout.

    >>> predicted = box("[10, 20, 30, 40]", frame=Frame.MODEL).value
    >>> predicted.iou(in_frame(gold, predicted.frame, rollout))         # gold is a Box in original pixels
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from saccade.core.picture import Box, Frame, Labelled, Point
from saccade.core.rollout import Rollout

Shape = TypeVar("Shape", Box, Point, Labelled)


def in_frame(shape: Shape, frame: Frame, rollout: Rollout, *, picture: int = 0) -> Shape:
    """The same place in another frame of the rollout's picture of this number, counted from 0.

    ValueError where the rollout has no such picture, and where the MODEL frame is asked for of a picture that no model saw as
    one image.
    """
    if isinstance(shape, Labelled):
        return replace(shape, box=in_frame(shape.box, frame, rollout, picture=picture))
    if shape.frame == frame:
        return shape
    if not 0 <= picture < len(rollout.pictures):
        raise ValueError(f"sample {rollout.sample.id!r} has {len(rollout.pictures)} pictures, and none of number {picture}")
    seen = rollout.pictures[picture]
    if Frame.MODEL in (frame, shape.frame) and seen.model_size is None:
        raise ValueError(
            f"{seen.name} has no model frame: this model cuts pictures into tiles, or none has read it; "
            "let the prompt ask for pixel, unit or mille coordinates"
        )
    return seen.convert(shape, to=frame)
