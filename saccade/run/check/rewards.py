"""Whether rewards are what they claim: full marks for gold answers, for nothing else, at every row and in time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from saccade.core.reward import Reward, Rewards, Term
from saccade.core.sample import Sample
from saccade.run.check.findings import Finding
from saccade.run.check.probes import AGAIN, EMPTY_HANDED, GOLD, HALF, OTHER, PROBES, TWICE, columns_of, hostiles_of, wrong_answers
from saccade.run.check.trying import Failure, Row, Tried, Words, as_seen, needs, try_rows
from saccade.run.records import plain

SLOW = 0.050  # O seconds of this process that a call may take in the median
WAITING = 0.500  # O seconds of the clock
WORST = 1.0  # O seconds that one call may take
LUCK = 0.05  # O share of rows on which another row's answer may be right, as by tolerance or synonyms
CHUNK = 256  # rows whose rollouts exist at a time


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
        if absent := needs(term.reward):
            why = f"{term.reward.name}: not checked, it needs {', '.join(absent)}, which only a run has"
            findings.append(Finding(level="note", kind="unchecked", what=why))
        else:
            checked.append(term)
    others = other_rows(samples, golds, seed=seed)
    table = asyncio.run(_tried([term.reward for term in checked], samples, golds, others))
    ids = [sample.id for sample in samples]
    n_terms = sum(not needs(term.reward) for term in rewards.terms)
    for found in table:
        findings += _faults(found)
    judging = [(term.weight, found) for term, found in zip(checked[:n_terms], table, strict=False)]
    for _, found in judging:
        findings += _of_gold(found, ids)
    findings += _of_wrong(judging, ids, others, probes=(*EMPTY_HANDED, OTHER, HALF, *((TWICE,) if is_trained else ())))
    findings += _of_targets(samples)
    return findings


def gold_texts(
    samples: Sequence[Sample], rewards: Rewards, *, gold_answer: Callable[[Sample], str | None] | None
) -> tuple[list[str | None], list[Finding]]:
    """The text of each sample that deserves full marks, and what is to be said of how it was found.

    It is what `gold_answer` says, else the sample's solution, else its target in the one of FORMS that earns most.
    """
    findings: list[Finding] = []
    if gold_answer is not None:
        texts, failed, why = [], [], ""
        for sample in samples:
            try:
                texts.append(gold_answer(as_seen(sample)))
            except Exception as error:  # the recipe's own function: whatever it raises is a finding
                texts.append(None)
                failed.append(sample.id)
                why = repr(error)
        if failed:
            what = f"gold_answer raises {why}"
            findings.append(Finding(level="error", kind="raises", what=what, rows=tuple(failed), of=len(samples)))
    else:
        form, name = _likeliest_form(samples, rewards)
        texts = [_in_form(form, sample) if sample.solution is None else sample.solution for sample in samples]
        if any(sample.solution is None and text is not None for sample, text in zip(samples, texts, strict=True)):
            what = f"gold answers are taken to read {name}, the form that earns most"
            advice = "say it yourself: Recipe(gold_answer=...)"
            findings.append(Finding(level="note", kind="gold", what=what, advice=advice))
    without = tuple(sample.id for sample, text in zip(samples, texts, strict=True) if text is None)
    if without:
        what, advice = "no text that deserves full marks", "give the rows a solution, or the recipe a gold_answer"
        findings.append(Finding(level="warning", kind="gold", what=what, rows=without, of=len(samples), advice=advice))
    return texts, findings


FORMS: dict[str, Callable[[str], str]] = {
    "TARGET": lambda target: target,
    "<answer>TARGET</answer>": lambda target: f"<answer>{target}</answer>",
    "<think>...</think><answer>TARGET</answer>": lambda target: f"<think>It is {target}.</think>\n<answer>{target}</answer>",
    r"<think>...</think> \boxed{TARGET}": lambda target: f"<think>It is {target}.</think>\n\\boxed{{{target}}}",
}


def _likeliest_form(samples: Sequence[Sample], rewards: Rewards, *, most: int = 24) -> tuple[Callable[[str], str], str]:
    tried = [sample for sample in samples if sample.solution is None and sample.target is not None][:most]
    reward = [term.reward for term in rewards.terms if not needs(term.reward)]
    scored = []
    for name, form in FORMS.items():
        table = asyncio.run(_tried(reward, tried, [_in_form(form, sample) for sample in tried], [None] * len(tried), only_gold=True))
        full = sum(float(found.is_full(GOLD).sum()) for found in table)
        scored.append((full, form, name))
    _, form, name = max(scored, key=lambda one: one[0])
    return form, name


def _in_form(form: Callable[[str], str], sample: Sample) -> str | None:
    if sample.target is None:
        return None
    return form(sample.target if isinstance(sample.target, str) else json.dumps(plain(sample.target)))


def other_rows(samples: Sequence[Sample], golds: Sequence[str | None], *, seed: int) -> list[int | None]:
    """For each row the place of one of the same kind with another target and gold answer, None where there is none."""
    random = np.random.default_rng(seed)
    targets = [_target_text(sample) for sample in samples]
    places: dict[str, list[int]] = {}
    for place in random.permutation(len(samples)).tolist():
        if golds[place] is not None:
            places.setdefault(samples[place].kind, []).append(place)
    chosen: list[int | None] = [None] * len(samples)
    for same_kind in places.values():
        n = len(same_kind)
        for at, place in enumerate(same_kind):
            for step in range(1, min(n, 64)):
                other = same_kind[(at + step) % n]
                if targets[other] != targets[place] and golds[other].strip() != golds[place].strip():
                    chosen[place] = other
                    break
    return chosen


async def _tried(
    rewards: Sequence[Reward],
    samples: Sequence[Sample],
    golds: Sequence[str | None],
    others: Sequence[int | None],
    *,
    only_gold: bool = False,
) -> list[Tried]:
    """What each reward says of every probe of every row."""
    table = [Tried.nothing(reward, len(samples)) for reward in rewards]
    for start in range(0, len(samples), CHUNK):
        words, rows = Words(), []
        for place in range(start, min(start + CHUNK, len(samples))):
            gold, other = golds[place], others[place]
            texts = {} if gold is None else {GOLD: gold, AGAIN: gold}
            if not only_gold:
                attacks = hostiles_of(place, rows=len(samples))
                texts |= wrong_answers(gold, other=None if other is None else golds[other], hostile=attacks)
            rollouts = {probe: words.rollout(samples[place], text) for probe, text in texts.items()}
            rows.append(Row(sample=samples[place], rollouts=rollouts))
        for found in table:
            await try_rows(found, rows, first=start, words=words)
    return table


def _faults(found: Tried) -> list[Finding]:
    """Raising, slow and unsteady: faults of any reward."""
    name, findings = found.reward.name, []
    for kind, same in groupby(sorted(found.failures, key=_exception), key=_exception):
        failures = list(same)
        probes = list(dict.fromkeys(failure.probe for failure in failures))
        also = f" and {len(probes) - 1} further texts" if len(probes) > 1 else ""
        what = f"{name}: raises {failures[0].why[:120]} on {probes[0]}{also}"
        rows = tuple(dict.fromkeys(failure.row for failure in failures))
        advice = "bad text of a model is worth 0, a gold that cannot be read Score(None, why); neither is an exception"
        findings.append(Finding(level="error", kind="raises", what=what, rows=rows, of=len(found.why), advice=advice))
    if found.times:
        process, clock = (np.array([getattr(t, key) for t in found.times]) for key in ("process", "clock"))
        worst = found.times[int(process.argmax())]
        is_slow = np.median(process) > SLOW or np.median(clock) > WAITING or process.max() > WORST
        if is_slow:
            median = 1000 * max(np.median(process), np.median(clock) if np.median(clock) > WAITING else 0)
            what = f"{name}: slow, {median:.0f} ms a call in the median, {1000 * process.max():.0f} at worst (on {worst.probe})"
            advice = f"below {1000 * SLOW:.0f} ms, or make it async and let it wait for others"
            findings.append(Finding(level="warning", kind="slow", what=what, rows=(worst.row,), advice=advice))
    return findings


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
    if (everything := _constant(found)) is not None:
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


def _first_why(found: Tried, where: np.ndarray) -> str:
    why = found.why[int(np.flatnonzero(where)[0])]
    return f" ({why[:100]})" if why else ""


def _constant(found: Tried) -> float | None:
    """The one value of everything that was tried, where it is one."""
    values = found.value_RQ[found.was_tried_RQ & ~np.isnan(found.value_RQ)]
    has_best = not np.isnan(found.best_R).all()
    return float(values[0]) if len(values) > 3 and has_best and np.ptp(values) == 0 else None


def _of_wrong(
    judging: Sequence[tuple[float, Tried]], ids: Sequence[str], others: Sequence[int | None], *, probes: Sequence[str]
) -> list[Finding]:
    """Where wrong answers earn full marks: of a reward that looks at the sample, else of the sum."""
    judging = [(weight, found) for weight, found in judging if weight and not np.isnan(found.best_R).all()]
    if not judging or all(_constant(found) is not None for _, found in judging):
        return []
    looking = [found for _, found in judging if _looks_at_sample(found, others)]
    findings = []
    for probe in probes:
        by_term = [_hacked(found.reward.name, [found], probe, ids) for found in looking if probe not in (HALF, TWICE)]
        whole = _hacked(" + ".join(found.reward.name for _, found in judging), [found for _, found in judging], probe, ids)
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
        advice = "the reward does not tell a right answer from a wrong one" if share > LUCK else "by tolerance or synonyms, perhaps"
        level = "error" if share > LUCK else "note"
        what += ", though their targets differ"
    elif probe == HALF:
        level, advice = "warning", "the rest of the gold answer is worth nothing"
    elif probe == TWICE:
        level, advice = "note", "nothing limits how often an answer is given"
    rows = tuple(ids[place] for place in np.flatnonzero(full))
    return Finding(level=level, kind="hacked", what=what, rows=rows, of=int(asked.sum()), advice=advice)


def _looks_at_sample(found: Tried, others: Sequence[int | None]) -> bool:
    """Whether one text ever earns differently on its own row and on another: else the reward is one of form alone."""
    gold, other = found.of(GOLD), found.of(OTHER)
    pairs = [(place, j) for place, j in enumerate(others) if j is not None and not np.isnan(other[place])]
    return any(not np.isclose(other[place], gold[j]) for place, j in pairs if not np.isnan(gold[j]))


def _of_targets(samples: Sequence[Sample]) -> list[Finding]:
    """Sets in which one answer is always right."""
    counts = Counter(_target_text(sample) for sample in samples)
    if len(samples) < 8 or len(counts) > 1 or samples[0].target is None:
        return []
    what = f"every row has the same target, {next(iter(counts))[:60]}"
    return [Finding(level="warning", kind="targets", what=what, of=len(samples), advice="one answer is always right")]


def _target_text(sample: Sample) -> str:
    return json.dumps(plain(sample.target), sort_keys=True, default=str)

