"""A sample without its pictures' content, to ask how much an answer depends on what is seen.

    >>> blanked(sample)                 # every picture grey, each at its own size
    >>> blanked(sample, only=1)         # the second one alone
"""

from __future__ import annotations

from dataclasses import replace

import PIL.Image

from saccade.core.picture import Picture
from saccade.core.sample import Sample

GREY = (127, 127, 127)


def blanked(sample: Sample, *, only: int | None = None) -> Sample:
    """The sample with grey pictures of the same sizes in place of all its own, or of the one at that place (from 0)."""
    grey = [
        Picture.of(PIL.Image.new("RGB", picture.size, GREY)) if only in (None, place) else picture
        for place, picture in enumerate(sample.pictures)
    ]
    return replace(sample.showing(grey), id=f"{sample.id} (blank)")
