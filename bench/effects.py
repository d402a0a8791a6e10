"""Does an idea do what its paper says? Arms of a recipe, each with several seeds, and the table that tells them apart.

    python -m bench.effects reason_rft --arm reason_rft: --arm zero:variant=rft_zero --arm sft:variant=cot_sft --seeds 3
    python -m bench.effects mine.py --data folder --arm lr=1e-5 --arm slow:stages.0.optimization.lr=1e-6
    python -m bench.effects --report runs/effects-reason_rft --curve rollout/flat_groups --keys '*/greedy' --keys 'val/*'

An arm is NAME:key=value,key=value. A key is an option of the recipe (as --with takes it), a path with a dot in it (as
--set takes it), or one of model, data, algorithm. Without NAME: the values are the name; `plain:` is the recipe as it
stands. Every run is `saccade train` in a process of its own. Runs that are finished are not done again and one that was
stopped goes on, so the same command may be stopped and given again, with more arms or seeds too. `--through COMMAND` puts
a command, such as that of a queue, before each run.

The table holds the mean over seeds and, where there are several, [lowest, highest]. The last columns are the first arm
less another, paired by seed, with one sign per seed. Shares are in %, totals and curves in their own units.
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.effects_table import ARMS, Misuse, known_arms, report

FLAGS = ("model", "data", "algorithm")  # keys of an arm that are flags of `saccade train`


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
            if not (key and equals) or (key in FLAGS and not value) or value.endswith(","):
                raise Misuse(f"--arm {text}: {one!r} is not key=value; an arm is NAME:key=value,key=value, or NAME: alone")
            flag = f"--{key}" if key in FLAGS else "--set" if "." in key else "--with"
            arguments += [flag, value if key in FLAGS else one]
        name = name if named else re.sub(r"[^\w.=-]+", "_", values)
        if not re.fullmatch(r"\w[\w.=-]*", name):
            raise Misuse(f"--arm {text}: the name {name!r} may hold letters, digits, '-', '_', '=' and '.' only")
        return cls(name, tuple(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table: 0 when every run is there, 1 where some failed, 2 misuse, 130 stopped."""
    options = _parser().parse_args(arguments)
    try:
        if options.report:
            print("\n".join(report(options.report, keys=options.keys, curves=options.curve, at=options.at)))
            return 0
        return _carry_out(options)
    except Misuse as error:
        print(f"effects: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print("\neffects: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.effects", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", nargs="?", help="as `saccade train` takes it: a name, or the path of your own, mine.py")
    parser.add_argument("--arm", action="append", default=[], metavar="NAME:key=value,...",
                        help="repeatable; the first is compared with each other")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm (default: 3)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: runs/effects-RECIPE; holds runs, ARM-SEED/, and ARM-SEED.log")
    for name in FLAGS:
        parser.add_argument(f"--{name}", help="of all arms, as `saccade train` takes it")
    parser.add_argument("--with", dest="options", action="append", default=[], metavar="KEY=VALUE", help="of all arms")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="PATH=VALUE", help="of all arms")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a run (default: 1)")
    parser.add_argument("--through", default="", metavar="COMMAND", help="start each run through this, such as a queue")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="print the table of an --out, run nothing")
    parser.add_argument("--keys", action="append", default=[], metavar="PATTERN",
                        help="show only these figures, such as 'val/*' or '*/total/*'")  # fmt: skip
    parser.add_argument("--curve", action="append", default=[], metavar="KEY", help="of metrics.jsonl, such as rollout/tokens")
    parser.add_argument("--at", default="chosen", help="chosen (checkpoint, the default), last (stage) or a stage's name")
    return parser


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
        which = f"{len(failed)} of {len(wanted)} runs failed: {', '.join(failed)}"
        print(f"effects: {which}; their logs are in {out}", file=sys.stderr)
    return 1 if failed else 0


def _remember(out: Path, recipe: str, arms: Iterable[Arm]) -> None:
    """Write which arms the folder holds. Misuse if it holds another recipe, or an arm of that name that was told otherwise."""
    path = out / ARMS
    known = known_arms(out) if path.exists() else {"recipe": recipe, "arms": {}}
    if known["recipe"] != recipe:
        raise Misuse(f"{out} holds runs of {known['recipe']}; name another folder with --out")
    for arm in arms:
        before = known["arms"].setdefault(arm.name, list(arm.arguments))
        if before != list(arm.arguments):
            told = shlex.join(before) or "nothing"
            raise Misuse(f"the arm {arm.name} in {out} was run with {told}; give this one another name")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def train(recipe: str, arm: Arm, *, seed: int, path: Path, threads: int, through: str) -> str:
    """One run to its end in a process of its own, from where it was stopped if it was; what went wrong, or nothing.

    Misuse if `saccade train` says that it was misused: every other seed would be, too.
    """
    begun = (path / "command.json").exists()
    anew = [recipe, *arm.arguments, "--seed", str(seed), "--out", str(path), "--threads", str(threads)]
    what = ["--resume", str(path)] if begun else anew
    command = [*shlex.split(through), sys.executable, "-m", "saccade.cli", "train", *what]
    log = path.with_name(f"{path.name}.log")
    with log.open("a") as file:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
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


if __name__ == "__main__":
    sys.exit(main())
