"""Whether rewards are what they claim: full marks for gold answers, for nothing else, at every row and in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from saccade.core.reward import Reward, Rewards, Term
from saccade.core.sample import Sample
from saccade.run.check.asking import needs_of, other_rows, target_text, tried
from saccade.run.check.findings import Finding
from saccade.run.check.probes import AGAIN, EMPTY_HANDED, GOLD, HALF, LISTED, OTHER, PROBES, TWICE
from saccade.run.check.trying import BEST, Failure, Tried
from saccade.run.check.wrong import of_wrong

SLOW = 0.050  # O seconds of this process that a call may take in the median
WAITING = 0.500  # O seconds of the clock
WORST = 1.0  # O seconds of this process that one call may take


def reward_findings(
    rewards: Rewards,
    samples: Sequence[Sample],
    golds: Sequence[str | None],
    *,
    seed: int,
    is_trained: bool = True,
    watched: Sequence[Reward] = (),
) -> list[Finding]:
    """What is wrong with a sum of rewards on these samples, whose gold answers are `golds`.

    `watched` are rewards that are only reported: they may say what they like, but must not raise. That an answer given twice is
    paid is worth a note where it is trained on (`is_trained`), not where it is measured.
    """
    findings = []
    checked = []
    for term in (*rewards.terms, *(Term(reward, 0.0) for reward in watched)):
        absent = needs_of(term.reward)
        if isinstance(absent, str):
            what, advice = f"{term.reward.name}: cannot be called with a rollout: {absent}", "mend its parameters"
            findings.append(Finding(level="error", kind="raises", what=what, advice=advice))
        elif absent:
            why = f"{term.reward.name}: not checked, it needs {', '.join(absent)}, which only a run has"
            findings.append(Finding(level="note", kind="unchecked", what=why))
        else:
            checked.append(term)
    others = other_rows(samples, golds, seed=seed)
    table = asyncio.run(tried([term.reward for term in checked], samples, golds, others))
    ids = [sample.id for sample in samples]
    n_terms = sum(needs_of(term.reward) == [] for term in rewards.terms)
    for found in table:
        findings += _faults(found)
    judging = [(term.weight, found) for term, found in zip(checked[:n_terms], table, strict=False)]
    for _, found in judging:
        findings += _of_gold(found, ids) + _of_more(found, ids)
    findings += of_wrong(judging, ids, others, probes=(*EMPTY_HANDED, OTHER, LISTED, HALF, *((TWICE,) if is_trained else ())))
    findings += _of_targets(samples)
    return findings


def _faults(found: Tried) -> list[Finding]:
    """Raising, slow and unsteady: faults of any reward."""
    name, findings = found.reward.name, []
    for kind, same in groupby(sorted(found.failures, key=_exception), key=_exception):
        failures = list(same)
        probes = list(dict.fromkeys(failure.probe for failure in failures))
        also = f" and {len(probes) - 1} further texts" if len(probes) > 1 else ""
        what = f"{name}: raises {failures[0].why[:120]} on {probes[0]}{also}"
        rows = tuple(dict.fromkeys(failure.row for failure in failures))
        bad_text = "bad text of a model is worth 0, a gold that cannot be read Score(None, why); neither is an exception"
        advice = "a reward must serve every row: mend these, or the reward" if probes == [BEST] else bad_text
        findings.append(Finding(level="error", kind="raises", what=what, rows=rows, of=len(found.why), advice=advice))
    return findings + _of_time(found)


def _of_time(found: Tried) -> list[Finding]:
    """Slow by its own work, or else by waiting: median and worst of the same clock, of calls that had no company."""
    if not found.times:
        return []
    process, clock = (np.array([getattr(t, key) for t in found.times]) for key in ("process", "clock"))
    if np.median(process) > SLOW or process.max() > WORST:
        seconds, whose, advice = process, " of this process", f"below {1000 * SLOW:.0f} ms, or make it async and let it wait for others"
    elif np.median(clock) > WAITING:
        seconds, whose, advice = clock, ", mostly waiting,", f"below {1000 * WAITING:.0f} ms, or expect slow steps"
    else:
        return []
    worst = found.times[int(seconds.argmax())]
    what = (
        f"{found.reward.name}: slow, {1000 * np.median(seconds):.0f} ms{whose} a call in the median, "
        f"{1000 * seconds.max():.0f} at worst (on {worst.probe})"
    )
    return [Finding(level="warning", kind="slow", what=what, rows=(worst.row,), advice=advice)]


def _exception(failure: Failure) -> str:
    return failure.why.partition("(")[0]


def _of_gold(found: Tried, ids: Sequence[str]) -> list[Finding]:
    """Whether the gold answers earn what a perfect answer earns, always, and anything else earns something else."""
    name, findings = found.reward.name, []
    asked, gold = found.tried(GOLD), found.of(GOLD)

    def about(kind: str, what: str, where: np.ndarray, advice: str) -> Finding:
        rows = tuple(ids[place] for place in np.flatnonzero(where))
        return Finding(level="error", kind=kind, what=f"{name}: {what}", rows=rows, of=int(asked.sum()), advice=advice)

    unread = asked & np.isnan(gold)
    if unread.any():
        why = _first_why(found, unread)
        findings.append(about("unreadable", f"cannot read the gold answer{why}", unread, "mend these rows, or leave them out"))
    unsteady = asked & found.tried(AGAIN) & ~unread & ~np.isclose(gold, found.of(AGAIN), equal_nan=True)
    if unsteady.any():
        advice = "a reward must be a function of the rollout: look for random numbers, clocks and hash order"
        findings.append(about("random", "the same answer scored twice earns two scores", unsteady, advice))
    short = asked & ~unread & (gold < found.best_R - 1e-6)
    if (everything := found.constant) is not None:
        advice = "it teaches nothing; look at whether it reads the text at all"
        is_idle = everything == 0 and not short.any()  # a punishment that nothing called for
        if not is_idle:
            findings.append(about("constant", f"earns {everything:g} whatever is written", asked, advice))
    elif short.any():
        best, most = np.nanmax(found.best_R), np.nanmax(gold)
        reach = asked & ~unread & ~np.isnan(found.best_R)
        if reach.sum() > 1 and not (reach & ~short).any():
            what = f"no gold answer earns its best of {best:g}, the most is {most:g}{_first_why(found, short)}"
            advice = "mend the reward, the gold answers (Recipe.gold_answer), or what the reward says of itself (best=)"
            findings.append(about("unreachable", what, short, advice))
        else:
            first = int(np.flatnonzero(short)[0])
            what = f"the gold answer earns {gold[first]:g} of {found.best_R[first]:g}{_first_why(found, short)}"
            advice = "mend the target or the gold answer of these rows, or the reward"
            findings.append(about("gold", what, short, advice))
    return findings


def _of_more(found: Tried, ids: Sequence[str]) -> list[Finding]:
    """Whether any answer earns more than the reward says that a perfect one can: then nothing that leans on `best` is told right."""
    over_RQ = np.nan_to_num(found.value_RQ - found.best_R[:, None], nan=-1.0)
    where = over_RQ.max(axis=1, initial=-1.0) > 1e-6
    if not where.any() or found.constant is not None:
        return []
    row, column = np.unravel_index(int(over_RQ.argmax()), over_RQ.shape)
    what = f"{PROBES[column]} earns {found.value_RQ[row, column]:g}, and its best is said to be {found.best_R[row]:g}"
    advice = "best is the most that a perfect answer can earn: mend it (best=), or the reward"
    rows = tuple(ids[place] for place in np.flatnonzero(where))
    return [Finding(level="error", kind="above", what=f"{found.reward.name}: {what}", rows=rows, of=len(ids), advice=advice)]


def _first_why(found: Tried, where: np.ndarray) -> str:
    why = found.why[int(np.flatnonzero(where)[0])]
    return f" ({why[:100]})" if why else ""


def _of_targets(samples: Sequence[Sample]) -> list[Finding]:
    """Sets in which one answer is always right."""
    counts = Counter(target_text(sample) for sample in samples)
    if len(samples) < 8 or len(counts) > 1 or samples[0].target is None:
        return []
    what = f"every row has the same target, {next(iter(counts))[:60]}"
    return [Finding(level="warning", kind="targets", what=what, of=len(samples), advice="one answer is always right")]
