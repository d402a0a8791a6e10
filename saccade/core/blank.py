"""A sample without its pictures' content, to ask how much an answer depends on what is seen.

    >>> blanked(sample)                 # every picture grey, each at its own size
    >>> blanked(sample, only=1)         # the second one alone
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import PIL.Image

from saccade.core.picture import Picture
from saccade.core.sample import Message, Sample

GREY = (127, 127, 127)


def blanked(sample: Sample, *, only: int | None = None) -> Sample:
    """The sample with grey pictures of the same sizes in place of all its own, or of the one at that place (from 0)."""
    place = itertools.count()

    def grey(part: str | Picture) -> str | Picture:
        if not isinstance(part, Picture) or only not in (None, next(place)):
            return part
        return Picture.of(PIL.Image.new("RGB", part.size, GREY))

    messages = tuple(Message(m.role, tuple(grey(part) for part in m.parts)) for m in sample.messages)
    return replace(sample, id=f"{sample.id} (blank)", messages=messages)
