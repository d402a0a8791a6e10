"""Cutting an answer into steps, for rewards that judge each of them (process supervision)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saccade.core.rollout import Rollout


def steps_of(
    rollout: Rollout, pieces: Callable[[Sequence[int]], Sequence[str]], *, cut: str = "\n"
) -> list[tuple[int, str]]:
    """(sampled token that ends the step, counted from 0; the step's text) of every step, in order.

    A step ends with the token in whose text `cut` stands, and the last one with the answer; blank ones belong to the step
    before. `pieces` gives the text that each token adds: a reward that names it gets it. What the policy did not sample is
    in the text of its step, but ends none.

        >>> steps_of(rollout, pieces)             # of "3 + 4 = 7" and "7 + 1 = 8" on two lines
        [(5, '3 + 4 = 7'), (10, '7 + 1 = 8')]
    """
    found: list[tuple[int, str]] = []
    text, n = "", 0
    for piece, is_sampled in zip(pieces(rollout.token_T), rollout.is_sampled_T, strict=True):
        text, n = text + piece, n + is_sampled
        if cut in piece and n:
            _close(found, n - 1, text)
            text = ""
    if n:
        _close(found, n - 1, text)
    return found


def _close(found: list[tuple[int, str]], end: int, text: str) -> None:
    if text.strip():
        found.append((end, text.strip()))
    elif found:
        found[-1] = (end, found[-1][1])
