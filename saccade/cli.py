"""The command line: `saccade list | show | check | train | view | eval | export`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import saccade

EPILOG = """\
examples:
  saccade train reason_rft                                 the embedded tiny model on embedded data: minutes on two CPU cores
  saccade train reason_rft --model Qwen/Qwen2-VL-2B-Instruct --data path/ --with task=counting
  saccade train --resume runs/reason_rft-2026-11-20-1      go on where a run was stopped
  saccade train reason_rft --algorithm dapo                the same with another algorithm
  saccade show reason_rft                                  its stages and numbers, and where each number comes from
  saccade check reason_rft --data path/                    rewards, gold answers and pictures, before a run: no model needed
  saccade view runs/reason_rft-2026-11-20-1                its page in the browser, one file; name two runs to compare them
  saccade export runs/reason_rft-2026-11-20-1 --to my-model
"""


TRACKERS = ("tensorboard", "wandb", "trackio")  # as in run/trackers.py, which would load torch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 failed with one sentence, 2 misused, 130 stopped by hand."""
    options = _parser().parse_args(arguments)
    # Before torch loads: threads that wait spin briefly, then sleep. Spinning long makes small models many times slower on a
    # busy machine, and sleeping at once slows them on a quiet one (docs/log.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from saccade import commands

    return commands.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="saccade",
        description="R1-style reinforcement fine-tuning of vision models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"saccade {saccade.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("list", help="the recipes and the algorithms, one line each")

    show = commands.add_parser("show", help="a recipe's stages, rewards and numbers, and where each comes from")
    _add_recipe(show)

    check = commands.add_parser("check", help="are rewards, gold answers and pictures sound? no model needed; 0 sound, 1 not")
    _add_recipe(check, help="a name that `saccade list` prints, the path of your own, mine.py, or a run's folder, which then gets a check.json")
    check.add_argument("--rows", type=int, metavar="N", help="look at so many rows of each set, drawn by the seed (default: all)")
    check.add_argument("--json", type=Path, metavar="FILE", help="write every finding with all its row ids, too")

    train = commands.add_parser("train", help="train a recipe, or resume a run")
    _add_recipe(train, is_optional=True)
    train.add_argument("--out", type=Path, help="the run's folder (default: runs/RECIPE-DATE-N)")
    train.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    train.add_argument("--watch", action="store_true", help="serve the run's page on 127.0.0.1 while it trains")
    train.add_argument("--port", type=int, metavar="N", help="the port of --watch (default: 8421, or the next that is free)")
    train.add_argument("--trace", type=int, metavar="N", help="keep every token of the first N groups of a step, for the run's page (default: 1)")
    train.add_argument("--track", action="append", default=[], choices=TRACKERS,
                       help="tell this tool the run's numbers, too (repeatable; docs/tracking.md)")  # fmt: skip
    _add_threads(train)

    view = commands.add_parser("view", help="a run as one page in the browser, or two runs side by side")
    view.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or two")
    view.add_argument("--out", type=Path, metavar="FILE", help="the page to write (default: view.html in the run's folder)")
    view.add_argument("--size", type=float, metavar="MB", help="how large the page may be (default: 16)")
    view.add_argument("--no-open", action="store_true", help="write the page, and do not open it")
    view.add_argument("--live", action="store_true", help="serve the page on 127.0.0.1 instead, and follow the run")
    view.add_argument("--port", type=int, metavar="N", help="the port of --live (default: 8421, or the next that is free)")

    evaluate = commands.add_parser("eval", help="score a run, or any model, on a recipe's held-out sets")
    evaluate.add_argument("what", help="a run's folder, or a recipe together with --model")
    _add_settings(evaluate)
    evaluate.add_argument("--checkpoint", help="of a run: best (default), last, or a checkpoint's name")
    _add_threads(evaluate)

    export = commands.add_parser("export", help="write an ordinary Hugging Face checkpoint folder (LoRA merged)")
    export.add_argument("run", type=Path, help="a run's folder")
    export.add_argument("--to", type=Path, required=True, help="the folder to write, which must not exist")
    export.add_argument("--checkpoint", default="best", help="best (default), last, or a checkpoint's name")
    return parser


RECIPE = "a name that `saccade list` prints, or the path of your own, mine.py"


def _add_recipe(parser: argparse.ArgumentParser, *, is_optional: bool = False, help: str = RECIPE) -> None:
    parser.add_argument("recipe", nargs="?" if is_optional else None, help=help)
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="a Hugging Face name or folder (default: the embedded tiny model)")
    parser.add_argument("--data", type=Path, help="a data folder in the published format (default: the embedded miniature)")
    parser.add_argument("--with", dest="options", action="append", default=[], metavar="KEY=VALUE",
                        help="an option of the recipe, such as variant=rft_zero (repeatable)")  # fmt: skip
    parser.add_argument("--algorithm", metavar="NAME", help="train with another algorithm and its own numbers, such as dapo (`list` names them)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="PATH=VALUE",
                        help="change a number of the recipe, such as stages.0.steps=10 (repeatable; `show` lists the paths)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="decides everything random in the run (default: 0)")


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per core, at most 8)")


if __name__ == "__main__":
    sys.exit(main())
