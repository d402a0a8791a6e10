"""Tagged sections of a text, and the layouts that prompts ask for.

    >>> first_section("<think>2+2</think> <answer> 4 </answer>", "answer")
    Reading(value='4', why='')
    >>> layout("<think>2+2</think>\\n<answer>4</answer>", "think", "answer")
    Reading(value=('2+2', '4'), why='')
"""

from __future__ import annotations

import functools
import re

from saccade.core.rollout import section
from saccade.rewards.read.reading import Reading


def first_section(text: str, tag: str) -> Reading[str]:
    """The stripped text from the first <tag> to the next </tag>."""
    start = text.find(f"<{tag}>")
    if start >= 0:
        start += len(tag) + 2
        end = text.find(f"</{tag}>", start)
        if end >= 0:
            return Reading(text[start:end].strip())
    return _no_block(tag)


def last_section(text: str, tag: str) -> Reading[str]:
    """The stripped text of the last whole <tag>...</tag>: the last closing tag, and the opening one before it."""
    found = section(text, tag)
    return _no_block(tag) if found is None else Reading(found)


def layout(text: str, *tags: str) -> Reading[tuple[str, ...]]:
    """The contents of the blocks that make up the WHOLE text, in this order, with only whitespace between blocks.

    Nothing may stand before the first block or after the last. A block ends where the next one can begin, so contents may hold
    tags themselves. Says the same as the full match of `<a>(.*?)</a>\\s*<b>(.*?)</b>` with a dot that matches newlines, in linear
    time.
    """
    opening, closing = f"<{tags[0]}>", f"</{tags[-1]}>"
    if not text.startswith(opening):
        return Reading(None, f"does not begin with {opening}")
    if not text.endswith(closing):
        return Reading(None, f"does not end with {closing}")
    contents, start = [], len(opening)
    for tag, following in zip(tags, tags[1:], strict=False):
        joint = _joint(tag, following).search(text, start)
        if joint is None:
            return Reading(None, f"has no </{tag}> followed by <{following}>")
        contents.append(text[start : joint.start()])
        start = joint.end()
    return Reading((*contents, text[start : len(text) - len(closing)]))


@functools.cache
def _joint(tag: str, following: str) -> re.Pattern[str]:
    return re.compile(rf"</{re.escape(tag)}>\s*+<{re.escape(following)}>")


def _no_block(tag: str) -> Reading:
    return Reading(None, f"no {tag} block")
