"""Where answers that are wrong earn full marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saccade.run.check.findings import Finding
from saccade.run.check.probes import GOLD, HALF, LISTED, OTHER, PROBES, TWICE, columns_of
from saccade.run.check.trying import Tried

LUCK = 0.05  # O share of rows on which a wrong answer may be right, as by tolerance or synonyms
CHANCE = 0.20  # O share up to which it may be where places are large: of real buttons on small pages every tenth holds another's middle


def of_wrong(
    judging: Sequence[tuple[float, Tried]], ids: Sequence[str], others: Sequence[Sequence[int]], *, probes: Sequence[str]
) -> list[Finding]:
    """Where wrong answers earn full marks: of a reward that looks at the sample, else of the sum."""
    judging = [(weight, found) for weight, found in judging if weight and not np.isnan(found.best_R).all()]
    if not judging or all(found.constant is not None for _, found in judging):
        return []
    looking = [found for _, found in judging if _looks_at_sample(found, others)]
    findings = []
    for probe in probes:
        by_term = [_hacked(found.reward.name, [found], probe, ids) for found in looking if probe not in (HALF, TWICE)]
        whole = _hacked(" + ".join(found.reward.name for _, found in judging), [found for _, found in judging], probe, ids)
        is_held = whole is None or whole.level == "note"  # the other terms do not pay with it
        if probe == LISTED and is_held:  # as a recall does, where a precision stands beside it
            advice = "look whether the other terms weigh enough against it"
            by_term = [replace(found, level="warning", advice=advice) if found and found.level == "error" else found for found in by_term]
        if probe == OTHER and is_held:  # as a form does that asks whether boxes lie within the picture
            advice = "the other terms do not pay for it"
            by_term = [replace(found, level="note", advice=advice) if found and found.level == "error" else found for found in by_term]
        findings += [finding for finding in by_term if finding] or ([whole] if whole else [])
    return findings


def _hacked(name: str, terms: Sequence[Tried], probe: str, ids: Sequence[str]) -> Finding | None:
    """A finding where each of these terms gives this probe full marks, on rows where the gold answer earns them."""
    asked = np.logical_and.reduce([found.tried(probe) & ~np.isnan(found.best_R) for found in terms])
    full_RQ = np.logical_and.reduce([found.is_full(probe) for found in terms])
    full = asked & full_RQ.any(axis=1)
    if not full.any():
        return None
    share = full.sum() / asked.sum()
    level, advice = "error", "a policy will find this; make the reward ask for the answer itself"
    first = PROBES[columns_of(probe)[int(np.argwhere(full_RQ)[0, 1])]]
    what = f"{name}: {first} earns full marks"
    if probe == OTHER:
        advice = "the reward does not tell a right answer from a wrong one"
        level, advice = _by_share(share, advice, luck="by tolerance or synonyms, perhaps")
        what += ", though their targets differ"
    elif probe == LISTED:
        advice = "the reward looks for the answer in the text; make it read the one answer that was given"
        level, advice = _by_share(share, advice, luck="by tolerance, perhaps")
    elif probe == HALF:
        level, advice = "warning", "the rest of the gold answer is worth nothing"
    elif probe == TWICE:
        level, advice = "note", "nothing limits how often an answer is given"
    rows = tuple(ids[place] for place in np.flatnonzero(full))
    return Finding(level=level, kind="hacked", what=what, rows=rows, of=int(asked.sum()), advice=advice)


def _by_share(share: float, advice: str, *, luck: str) -> tuple[str, str]:
    """The level and advice for a wrong answer that is right on this share of the rows: luck, chance or neither."""
    if share > CHANCE:
        return "error", advice
    return ("warning", f"by chance, where the right places are large; else {advice}") if share > LUCK else ("note", luck)


def _looks_at_sample(found: Tried, others: Sequence[Sequence[int]]) -> bool:
    """Whether one text ever earns differently on its own row and on another: else the reward is one of form alone."""
    gold, other = found.of(GOLD), found.of(OTHER)
    pairs = [(place, j) for place, few in enumerate(others) for j in few[:1] if not np.isnan(other[place])]
    return any(not np.isclose(other[place], gold[j]) for place, j in pairs if not np.isnan(gold[j]))
