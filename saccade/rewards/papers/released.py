"""Readings that several released code bases share and ours do not: kept for `as_released`."""

from __future__ import annotations

from saccade.rewards.read.reading import Reading


def first_on_a_line(text: str, tag: str) -> Reading[str]:
    """The stripped text of the first <tag>...</tag> that stands on one line: a lazy pattern whose dot matches no newline.

    >>> first_on_a_line("<answer>\\n4</answer> <answer>5</answer>", "answer").value
    '5'
    """
    opening, closing = f"<{tag}>", f"</{tag}>"
    for line in text.split("\n"):
        start = line.find(opening)
        end = line.find(closing, start + len(opening)) if start >= 0 else -1
        if end >= 0:
            return Reading(line[start + len(opening) : end].strip())
    return Reading(None, f"no {tag} block on one line")
