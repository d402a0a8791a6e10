"""The tables of `bench.effects`: arms over seeds, their differences paired by seed, and curves, as markdown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean
from typing import Any

NOT_SHARES = ("tokens", "critical_tokens", "critical_entropy", "after_critical_entropy", "entropy")
HIDDEN = (*NOT_SHARES, "truncated", "high_entropy", "pass@*", "critical_entropy/*")  # unless --keys asks for them
ARMS = "arms.json"


class Misuse(ValueError):
    """What was asked for cannot be; the message says why in one sentence."""


@dataclass(frozen=True)
class Run:
    """One arm with one seed, finished: its summary.json, and where its logs are."""

    arm: str
    seed: int
    path: Path
    summary: Mapping[str, Any]

    def figures(self, at: str) -> dict[str, float]:
        """{set/figure: value} of every set: `before`, of the `chosen` checkpoint, or after the `last` or a named stage."""
        if at in ("before", "chosen"):
            moment = "before" if at == "before" else "after"
            measured = {name: one[moment] for name, one in self.summary["evaluations"].items()}
        else:
            stages = self.summary["after_stage"]
            name = list(stages)[-1] if at == "last" else at
            if name not in stages:
                raise Misuse(f"--at {at}: {self.path} has no such stage; have: chosen, last, {', '.join(stages)}")
            measured = stages[name]
        return {key.removeprefix("eval/"): value for one in measured.values() for key, value in one["metrics"].items()}

    def curve(self, key: str) -> dict[str, list[float]]:
        """{stage: the values of a key of metrics.jsonl over its steps}."""
        found: dict[str, list[float]] = {}
        for line in (self.path / "metrics.jsonl").read_text().splitlines():
            one = json.loads(line)
            if one["run/stage"] in self.summary["steps"] and isinstance(one.get(key), (int, float)):
                found.setdefault(one["run/stage"], []).append(one[key])
        return found


def known_arms(out: Path) -> dict[str, Any]:
    """{recipe, arms: {name: arguments}} of an --out folder. Misuse where there is none."""
    try:
        return json.loads((out / ARMS).read_text())
    except OSError as error:
        raise Misuse(f"{out} holds no effects ({ARMS} is not in it); name the --out of a run of this command") from error


def report(out: Path, *, keys: Sequence[str] = (), curves: Sequence[str] = (), at: str = "chosen") -> list[str]:
    """The lines of the tables of all finished runs in a folder, as markdown."""
    known = known_arms(out)
    runs = _finished(out, known["arms"])
    arms = [name for name in known["arms"] if any(run.arm == name for run in runs)]
    if not runs:
        return [f"No run in {out} is finished."]
    title = f"{known['recipe']}: the {at} {'checkpoint' if at == 'chosen' else 'stage'}"
    lines = [title, "", *_table(runs, arms, keys=keys, at=at)]
    for one in curves:
        lines += ["", *_curve_table(runs, arms, one)]
    return [*lines, "", *_notes(out, known["arms"], runs, arms)]


def _finished(out: Path, arms: Iterable[str]) -> list[Run]:
    found = []
    for name in arms:
        for path in out.glob(f"{name}-*/summary.json"):
            seed = path.parent.name.removeprefix(f"{name}-")
            if seed.isdigit():  # the arm `a` has not the runs of the arm `a-b`
                found.append(Run(name, int(seed), path.parent, json.loads(path.read_text())))
    return sorted(found, key=lambda run: run.seed)


def _table(runs: Sequence[Run], arms: Sequence[str], *, keys: Sequence[str], at: str) -> list[str]:
    first, *others = arms
    after = {(run.arm, run.seed): run.figures(at) for run in runs}
    before = {(run.arm, run.seed): run.figures("before") for run in runs}
    rows = []
    for key in _shown([*after.values()], keys, chooses=_selecting(runs)):
        has = {pair: figures[key] for pair, figures in after.items() if key in figures}
        began = [figures[key] for (arm, _), figures in before.items() if key in figures and arm == first]
        of_arms = [[value for (arm, _), value in has.items() if arm == name] for name in arms]
        cells = [_cell(values, key) for values in (began, *of_arms)]
        for other in others:
            pairs = [has[first, seed] - has[other, seed] for arm, seed in has if arm == first and (other, seed) in has]
            cells.append(_difference(pairs, key))
        rows.append([key, *cells])
    return _markdown(["set/figure", "before", *arms, *(f"{first} less {other}" for other in others)], rows)


def _shown(found: Sequence[Mapping[str, float]], patterns: Sequence[str], *, chooses: set[str]) -> list[str]:
    """The figures to show, in the order in which the runs name them."""
    every = list(dict.fromkeys(key for figures in found for key in figures))
    if not patterns:
        parts = {key: key.partition("/") for key in every}
        hidden = {key for key, (_, _, name) in parts.items() if any(fnmatchcase(name, one) for one in HIDDEN)}
        return [key for key in every if key not in hidden and parts[key][0] not in chooses] or every
    for pattern in patterns:
        if not any(fnmatchcase(key, pattern) for key in every):
            near = get_close_matches(pattern, every, n=3, cutoff=0) or every[:3]
            raise Misuse(f"--keys {pattern}: no figure is named so; there are, for example, {', '.join(near)}")
    return [key for key in every if any(fnmatchcase(key, pattern) for pattern in patterns)]


def _selecting(runs: Sequence[Run]) -> set[str]:
    """The sets that choose the checkpoint: not shown, unless asked for."""
    return {name for run in runs for name, one in run.summary["evaluations"].items() if one["selects"]}


def _cell(values: Sequence[float], key: str, *, sign: str = "") -> str:
    """A figure over seeds, in its unit; - where there is none."""
    if not values:
        return "-"
    name = key.partition("/")[2]
    is_share = not name.startswith("total/") and name.partition("/")[0] not in NOT_SHARES
    figure = (lambda value: f"{100 * value:{sign}.1f}") if is_share else (lambda value: f"{value:{sign}.3f}")
    return _spread(values, figure)


def _spread(values: Sequence[float], figure: Callable[[float], str]) -> str:
    """The mean, and [lowest, highest] of several."""
    ends = f" [{figure(min(values))}, {figure(max(values))}]" if len(values) > 1 else ""
    return figure(fmean(values)) + ends


def _difference(pairs: Sequence[float], key: str) -> str:
    signs = "".join("+" if one > 0 else "-" if one < 0 else "0" for one in pairs)
    return f"{_cell(pairs, key, sign='+')} {signs}" if pairs else "-"


def _curve_table(runs: Sequence[Run], arms: Sequence[str], key: str) -> list[str]:
    """A key of metrics.jsonl in each arm's stages: means of the first, the middle and the last tenth of the steps."""
    rows = []
    for arm in arms:
        curves = [run.curve(key) for run in runs if run.arm == arm]
        for stage in dict.fromkeys(stage for one in curves for stage in one):
            moments = [_moments(one[stage]) for one in curves if stage in one]
            rows.append([f"{arm}, {stage}", *(_spread(values, "{:.3g}".format) for values in zip(*moments, strict=True))])
    if not rows:
        lines = [json.loads(line) for line in (runs[0].path / "metrics.jsonl").read_text().splitlines()]
        near = get_close_matches(key, {key for line in lines for key in line}, n=3, cutoff=0)
        raise Misuse(f"--curve {key}: no run logged it; the nearest are {', '.join(near)}")
    return _markdown([key, "first tenth of steps", "middle tenth", "last tenth"], rows)


def _moments(values: Sequence[float]) -> tuple[float, float, float]:
    size = max(1, len(values) // 10)
    middle = (len(values) - size) // 2
    return fmean(values[:size]), fmean(values[middle : middle + size]), fmean(values[-size:])


def _notes(out: Path, told: Mapping[str, Sequence[str]], runs: Sequence[Run], arms: Sequence[str]) -> list[str]:
    """What each arm was and cost, and what makes the table less than it seems."""
    shared = _shared([told[arm] for arm in arms])
    lines = [f"- All arms: `{shlex.join(shared)}`"] if shared and len(arms) > 1 else []
    for arm in arms:
        own = [run for run in runs if run.arm == arm]
        seconds = fmean(run.summary["seconds"] for run in own)
        chosen = ", ".join(run.summary["chosen"] for run in own)
        warned = sum(len(run.summary["warnings"]) for run in own)
        of_its_own = shlex.join(told[arm][len(shared) if len(arms) > 1 else 0 :])
        said = of_its_own or ("nothing more" if shared else "the recipe as it stands")
        seeds = ", ".join(str(run.seed) for run in own)
        lines.append(f"- {arm} (`{said}`): seeds {seeds}, {seconds:.0f} s each; chosen: {chosen}; warnings: {warned}")
    seeds_of = [{run.seed for run in runs if run.arm == arm} for arm in arms]
    if any(one != seeds_of[0] for one in seeds_of):
        lines.append("- The arms have not all the same seeds: differences are of those in common, means are not.")
    begun = {(run.arm, run.seed): run.figures("before") for run in runs}
    if any(figures != begun[arms[0], seed] for (_, seed), figures in begun.items() if (arms[0], seed) in begun):
        lines.append(f"- Before training the arms differ (model, data or sets); the column is that of {arms[0]}.")
    begun_in = [path.parent for path in sorted(out.glob("*/command.json"))]
    waiting = [path.name for path in begun_in if not (path / "summary.json").exists()]
    if waiting:
        lines.append(f"- Not finished, and left out: {', '.join(waiting)}.")
    codes = {str(run.summary["environment"].get("git_revision")) for run in runs} - {"None"}
    if len(codes) > 1:
        names = ", ".join(sorted(code[:9] for code in codes))
        lines.append(f"- The runs are of {len(codes)} states of the code ({names}).")
    n = len(set.intersection(*seeds_of))
    if n > 1 and len(arms) > 1:
        lines.append(f"- {n} equal signs happen by chance once in {2 ** (n - 1)} times.")
    return lines


def _shared(told: Sequence[Sequence[str]]) -> Sequence[str]:
    """The arguments with which all arms begin."""
    n = next((i for i, words in enumerate(zip(*told)) if len(set(words)) > 1), min(map(len, told)))
    return told[0][: n - n % 2]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    line = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *(line(row) for row in rows)]
