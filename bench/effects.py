"""Does an idea do what its paper says? Arms of a recipe, each with several seeds, and the table that tells them apart.

    python -m bench.effects reason_rft --arm reason_rft: --arm zero:variant=rft_zero --arm sft:variant=cot_sft --seeds 3
    python -m bench.effects mine.py --data folder --arm lr=1e-5 --arm slow:stages.0.optimization.lr=1e-6
    python -m bench.effects --report runs/effects-reason_rft --curve rollout/flat_groups --keys '*/greedy' --keys 'val/*'

An arm is NAME:key=value,key=value. A key is an option of the recipe (as --with takes it), a path with a dot in it (as --set takes
it), or one of model, data, algorithm. Without NAME: the values are the name; `plain:` is the recipe as it stands. Every run is
`saccade train` in a process of its own. Runs that are finished are not done again and one that was stopped goes on, so the
same command may be stopped and given again, with more arms or seeds too. `--through /tmp/queue` puts a command before each run.

The table holds the mean over seeds and, where there are several, [lowest, highest]. The last columns are the first arm less another,
paired by seed, with one sign per seed. Shares are in %, totals and curves in their own units.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean
from typing import Any

FLAGS = ("model", "data", "algorithm")  # keys of an arm that are flags of `saccade train`
IN_PERCENT = ("greedy", "sampled", "truncated", "blanked", "picture_gain", "high_entropy")
NOT_SHARES = ("tokens", "critical_tokens", "critical_entropy", "after_critical_entropy", "entropy")
HIDDEN = (*NOT_SHARES, "truncated", "high_entropy", "pass@*", "critical_entropy/*")  # unless --keys asks for them
ARMS = "arms.json"


class Misuse(ValueError):
    """What was asked for cannot be; the message says why in one sentence."""


@dataclass(frozen=True)
class Arm:
    """One way to train a recipe: a name that is also a folder's, and what `saccade train` is told besides."""

    name: str
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, *, common: Sequence[str] = ()) -> Arm:
        """From NAME:key=value,key=value; `common` are the arguments of all arms. Misuse where it is not of that form."""
        named = re.match(r"([^:=]*):(.*)", text, re.DOTALL)
        name, values = named.groups() if named else ("", text)
        arguments = list(common)
        for one in re.split(r",(?=[^,=]+=)", values) if values else ():
            key, equals, value = one.partition("=")
            if not (key and equals and value) or value.endswith(","):
                raise Misuse(f"--arm {text}: {one!r} is not key=value; an arm is NAME:key=value,key=value, or NAME: alone")
            flag = f"--{key}" if key in FLAGS else "--set" if "." in key else "--with"
            arguments += [flag, value if key in FLAGS else one]
        name = name if named else re.sub(r"[^\w.=-]+", "_", values)
        if not re.fullmatch(r"\w[\w.=-]*", name):
            raise Misuse(f"--arm {text}: the name {name!r} may hold letters, digits, '-', '_', '=' and '.' only")
        return cls(name, tuple(arguments))


@dataclass(frozen=True)
class Run:
    """One arm with one seed, finished: its summary.json, and where its logs are."""

    arm: str
    seed: int
    path: Path
    summary: Mapping[str, Any]

    def figures(self, at: str) -> dict[str, float]:
        """{set/figure: value} of every held-out set: `before`, of the `chosen` checkpoint, or after the `last` or a named stage."""
        if at in ("before", "chosen"):
            measured = {name: one["before" if at == "before" else "after"] for name, one in self.summary["evaluations"].items()}
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table; 0 when every run is there, 1 when some failed, 2 for misuse, 130 stopped by hand."""
    options = _parser().parse_args(arguments)
    try:
        if options.report:
            print("\n".join(report(options.report, keys=options.keys, curves=options.curve, at=options.at)))
            return 0
        return _carry_out(options)
    except Misuse as error:
        print(f"effects: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\neffects: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.effects", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", nargs="?", help="as `saccade train` takes it: a name, or the path of your own, mine.py")
    parser.add_argument("--arm", action="append", default=[], metavar="NAME:key=value,...", help="repeatable; the first is compared with each other")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm (default: 3)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: runs/effects-RECIPE; holds ARM-SEED/, a run's folder, and ARM-SEED.log")
    for name in FLAGS:
        parser.add_argument(f"--{name}", help="of all arms, as `saccade train` takes it")
    parser.add_argument("--with", dest="options", action="append", default=[], metavar="KEY=VALUE", help="of all arms")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="PATH=VALUE", help="of all arms")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a run (default: 1, so that seconds do not depend on load)")
    parser.add_argument("--through", default="", metavar="COMMAND", help="start each run through this command, such as a queue")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="print the table of an --out again, and run nothing")
    parser.add_argument("--keys", action="append", default=[], metavar="PATTERN", help="show only these figures, such as 'val/*' or '*/total/*'")
    parser.add_argument("--curve", action="append", default=[], metavar="KEY", help="a key of metrics.jsonl, such as rollout/tokens")
    parser.add_argument("--at", default="chosen", help="chosen (checkpoint, default), last (stage's end), or a stage's name")
    return parser


# Running


def _carry_out(options: argparse.Namespace) -> int:
    if options.recipe is None or not options.arm:
        raise Misuse("name a recipe and at least one --arm, or a folder with --report")
    if options.seeds < 1 or options.threads < 1:
        raise Misuse(f"--seeds and --threads must be at least 1, got {options.seeds} and {options.threads}")
    common = [part for name in FLAGS if (value := getattr(options, name)) for part in (f"--{name}", value)]
    common += [part for one in options.options for part in ("--with", one)]
    common += [part for one in options.settings for part in ("--set", one)]
    arms = [Arm.parse(text, common=common) for text in options.arm]
    if twice := {arm.name for arm in arms if [other.name for other in arms].count(arm.name) > 1}:
        raise Misuse(f"two arms are named {', '.join(sorted(twice))}; begin each with a name of its own, NAME:")
    out = options.out or Path("runs") / f"effects-{Path(options.recipe).stem}"
    _remember(out, options.recipe, arms)
    failed = []
    wanted = [(arm, seed) for seed in range(options.first_seed, options.first_seed + options.seeds) for arm in arms]
    for number, (arm, seed) in enumerate(wanted, start=1):
        path = out / f"{arm.name}-{seed}"
        if (path / "summary.json").exists():
            continue
        begin = time.perf_counter()
        print(f"[{number}/{len(wanted)}] {path.name}", end="", file=sys.stderr, flush=True)
        fault = train(options.recipe, arm, seed=seed, path=path, threads=options.threads, through=options.through)
        print(f": {fault or 'done'} ({time.perf_counter() - begin:.0f} s)", file=sys.stderr, flush=True)
        failed += [path.name] if fault else []
    print("\n".join(report(out, keys=options.keys, curves=options.curve, at=options.at)))
    if failed:
        print(f"effects: {len(failed)} of {len(wanted)} runs failed: {', '.join(failed)}; their logs are in {out}", file=sys.stderr)
    return 1 if failed else 0


def _remember(out: Path, recipe: str, arms: Iterable[Arm]) -> None:
    """Write which arms the folder holds. Misuse if it holds another recipe, or one of the same name that was told otherwise."""
    path = out / ARMS
    known = _known(out) if path.exists() else {"recipe": recipe, "arms": {}}
    if known["recipe"] != recipe:
        raise Misuse(f"{out} holds runs of {known['recipe']}; name another folder with --out")
    for arm in arms:
        before = known["arms"].setdefault(arm.name, list(arm.arguments))
        if before != list(arm.arguments):
            raise Misuse(f"the arm {arm.name} in {out} was run with {shlex.join(before) or 'nothing'}; give this one another name")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def _known(out: Path) -> dict[str, Any]:
    try:
        return json.loads((out / ARMS).read_text())
    except OSError as error:
        raise Misuse(f"{out} holds no effects ({ARMS} is not in it); name the --out of a run of this command") from error


def train(recipe: str, arm: Arm, *, seed: int, path: Path, threads: int, through: str) -> str:
    """One run to its end in a process of its own, from where it was stopped if it was; what went wrong, or nothing.

    Misuse if `saccade train` says that it was misused: every other seed would be, too.
    """
    begun = (path / "command.json").exists()
    what = ["--resume", str(path)] if begun else [recipe, *arm.arguments, "--seed", str(seed), "--out", str(path), "--threads", str(threads)]
    command = [*shlex.split(through), sys.executable, "-m", "saccade.cli", "train", *what]
    log = path.with_name(f"{path.name}.log")
    with log.open("a") as file:
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
        heard = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped bench stops its run
        try:
            status = child.wait()
        finally:
            child.terminate()
            child.wait()
            signal.signal(signal.SIGTERM, heard)
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    fault = said[-1] if said else f"nothing was said; {shlex.join(command)} ended with {status}"
    if status == 2:
        raise Misuse(f"{path.name}: {fault}")
    if status == 0 and not (path / "summary.json").exists():
        return f"it ended without a summary.json: {fault}"
    return fault if status else ""


# Reporting


def report(out: Path, *, keys: Sequence[str] = (), curves: Sequence[str] = (), at: str = "chosen") -> list[str]:
    """The lines of the tables of all finished runs in a folder, as markdown."""
    known = _known(out)
    runs = _finished(out, known["arms"])
    arms = [name for name in known["arms"] if any(run.arm == name for run in runs)]
    if not runs:
        return [f"No run in {out} is finished."]
    lines = [f"{known['recipe']}: the {at} {'checkpoint' if at == 'chosen' else 'stage'}", "", *_table(runs, arms, keys=keys, at=at)]
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
        cells = [_cell(began, key)] + [_cell([value for (arm, _), value in has.items() if arm == name], key) for name in arms]
        for other in others:
            pairs = [has[first, seed] - has[other, seed] for arm, seed in has if arm == first and (other, seed) in has]
            cells.append(_difference(pairs, key))
        rows.append([key, *cells])
    return _markdown(["set/figure", "before", *arms, *(f"{first} less {other}" for other in others)], rows)


def _shown(found: Sequence[Mapping[str, float]], patterns: Sequence[str], *, chooses: set[str]) -> list[str]:
    """The figures to show, in the order in which the runs name them."""
    every = list(dict.fromkeys(key for figures in found for key in figures))
    if not patterns:
        is_hidden = lambda key: key.partition("/")[0] in chooses or any(fnmatchcase(key.partition("/")[2], one) for one in HIDDEN)
        return [key for key in every if not is_hidden(key)] or every
    for pattern in patterns:
        if not any(fnmatchcase(key, pattern) for key in every):
            near = get_close_matches(pattern, every, n=3, cutoff=0) or every[:3]
            raise Misuse(f"--keys {pattern}: no figure is named so; there are, for example, {', '.join(near)}")
    return [key for key in every if any(fnmatchcase(key, pattern) for pattern in patterns)]


def _selecting(runs: Sequence[Run]) -> set[str]:
    """The sets that choose the checkpoint: not shown, unless asked for."""
    return {name for run in runs for name, one in run.summary["evaluations"].items() if one["selects"]}


def _cell(values: Sequence[float], key: str, *, sign: str = "") -> str:
    """The mean, and [lowest, highest] of several."""
    if not values:
        return "-"
    name = key.partition("/")[2]
    is_share = not name.startswith("total/") and name.partition("/")[0] not in NOT_SHARES
    figure = (lambda value: f"{100 * value:{sign}.1f}") if is_share else (lambda value: f"{value:{sign}.3f}")
    spread = f" [{figure(min(values))}, {figure(max(values))}]" if len(values) > 1 else ""
    return figure(fmean(values)) + spread


def _difference(pairs: Sequence[float], key: str) -> str:
    signs = "".join("+" if one > 0 else "-" if one < 0 else "0" for one in pairs)
    return f"{_cell(pairs, key, sign='+')} {signs}" if pairs else "-"


def _curve_table(runs: Sequence[Run], arms: Sequence[str], key: str) -> list[str]:
    """A key of metrics.jsonl in each arm's stages: means of the first tenth of the steps, of the middle one and of the last."""
    rows = []
    for arm in arms:
        curves = [run.curve(key) for run in runs if run.arm == arm]
        for stage in dict.fromkeys(stage for one in curves for stage in one):
            thirds = [_moments(one[stage]) for one in curves if stage in one]
            cells = [f"{fmean(v):.3g}" + (f" [{min(v):.3g}, {max(v):.3g}]" if len(v) > 1 else "") for v in zip(*thirds, strict=True)]
            rows.append([f"{arm}, {stage}", *cells])
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
        own_words = shlex.join(told[arm][len(shared) if len(arms) > 1 else 0 :]) or ("nothing more" if shared else "the recipe as it stands")
        lines.append(f"- {arm} (`{own_words}`): seeds {_listed(run.seed for run in own)}, {seconds:.0f} s each; chosen: {chosen}; warnings: {warned}")
    seeds = [{run.seed for run in runs if run.arm == arm} for arm in arms]
    if any(one != seeds[0] for one in seeds):
        lines.append("- The arms have not all the same seeds: differences are of those in common, means are not.")
    begun = {(run.arm, run.seed): run.figures("before") for run in runs}
    if any(figures != begun[arms[0], seed] for (_, seed), figures in begun.items() if (arms[0], seed) in begun):
        lines.append(f"- Before training the arms differ (model, data or sets); the column is that of {arms[0]}.")
    waiting = [path.parent.name for path in sorted(out.glob("*/command.json")) if not path.with_name("summary.json").exists()]
    if waiting:
        lines.append(f"- Not finished, and left out: {', '.join(waiting)}.")
    codes = {str(run.summary["environment"].get("git_revision")) for run in runs} - {"None"}
    if len(codes) > 1:
        lines.append(f"- The runs are of {len(codes)} states of the code ({', '.join(sorted(code[:9] for code in codes))}).")
    n = len(set.intersection(*seeds))
    if n > 1 and len(arms) > 1:
        lines.append(f"- {n} equal signs happen by chance once in {2 ** (n - 1)} times.")
    return lines


def _shared(told: Sequence[Sequence[str]]) -> Sequence[str]:
    """The arguments with which all arms begin."""
    n = next((i for i, words in enumerate(zip(*told)) if len(set(words)) > 1), min(map(len, told)))
    return told[0][: n - n % 2]


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    line = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *(line(row) for row in rows)]


if __name__ == "__main__":
    sys.exit(main())
