"""What each command does, with every expected failure as one sentence and a non-zero exit."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import saccade.catalog as catalog
from saccade.policy.embedded import EMBEDDED


class UsageError(ValueError):
    """Arguments that do not fit together; the message says what to do."""


def run(options: argparse.Namespace) -> int:
    """Carry out the parsed command line; the exit status."""
    try:
        return _COMMANDS[options.command](options) or 0
    except KeyboardInterrupt:
        hint = "; `saccade train --resume RUN` goes on from the last checkpoint" if options.command == "train" else ""
        print(f"\nsaccade: stopped{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        if not _is_expected(error):
            raise
        print(f"saccade: {error}", file=sys.stderr)
        return 2 if isinstance(error, (UsageError, catalog.UnknownRecipe)) else 1


def _is_expected(error: Exception) -> bool:
    """Whether the message was written for the user; anything else is a fault in the code and keeps its traceback."""
    from saccade.run.files import RunError

    if isinstance(error, (UsageError, catalog.UnknownRecipe, RunError)):
        return True  # without loading what the others are defined in
    from saccade.core.picture import PictureError
    from saccade.core.reward import RewardError
    from saccade.core.sample import DataError
    from saccade.policy.families import UnsupportedModel
    from saccade.policy.protocol import NotFinite
    from saccade.policy.reader import PictureMismatch
    from saccade.run.overrides import OverrideError
    from saccade.run.probe import ProbeFailed
    from saccade.run.stage import TooManyUnscored
    from saccade.run.tracking import TrackerError

    return isinstance(
        error,
        (DataError, NotFinite, OverrideError, PictureError, PictureMismatch, ProbeFailed, RewardError, TooManyUnscored,
         TrackerError, UnsupportedModel),
    )  # fmt: skip


def list_recipes(options: argparse.Namespace) -> None:
    """Print the recipes, then the algorithms, one line each."""
    recipes, algorithms = catalog.recipes(), catalog.algorithms()
    width = max(map(len, (*recipes, *algorithms)))
    for title, names in (("recipes", recipes), ("algorithms (--algorithm NAME)", algorithms)):
        print(title)
        for name, about in names.items():
            print(f"  {name:{width}}  {about}")


def show(options: argparse.Namespace) -> None:
    """Print a recipe's idea, stages and numbers with their sources."""
    from saccade.run.show import shown

    print(shown(_recipe(_request(options)), catalog.module(options.recipe)))


def check(options: argparse.Namespace) -> int:
    """Hold a recipe's rewards and data against what they claim, without a model's weights; 0 if they are sound, else 1.

    Of a run's folder the recipe is checked as the run was started, and what is found is kept in the folder, too.
    """
    import json

    from saccade.policy.loading import silence_progress_bars
    from saccade.run.check import check as check_recipe
    from saccade.run.check.printing import print_checked
    from saccade.run.folder import RunFolder

    if options.rows is not None and options.rows < 1:
        raise UsageError(f"--rows must be at least 1, got {options.rows}")
    if options.json is not None and not options.json.resolve().parent.is_dir():
        raise UsageError(f"--json {options.json}: there is no folder {options.json.resolve().parent}")
    if options.json is not None and options.json.is_dir():
        raise UsageError(f"--json {options.json} is a folder; name a file")
    silence_progress_bars()
    begin = time.perf_counter()
    run_path = None if options.recipe in catalog.recipes() or not Path(options.recipe).is_dir() else Path(options.recipe)
    if run_path is None:
        request = _request(options)
    else:
        _refuse(options, _SETTINGS, why=f"{run_path} is a run and says them itself")
        request = _remembered(run_path)
    shows = sys.stderr.isatty()

    def say(name: str) -> None:
        if shows:
            print(f"\r\033[Kchecking {name}", end="", file=sys.stderr)

    checked = check_recipe(lambda: _recipe(request), rows=options.rows, say=say, name=Path(request["recipe"]).stem)
    if shows:
        print("\r\033[K", end="", file=sys.stderr)
    print_checked(checked, seconds=time.perf_counter() - begin)
    if options.json is not None:
        try:
            options.json.write_text(json.dumps(checked.as_dict(), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--json {options.json} cannot be written: {error.strerror or error}") from error
    if run_path is not None:
        RunFolder(run_path).write_check(checked.as_dict())
    return 0 if checked.is_sound else 1


def train(options: argparse.Namespace) -> None:
    """Train a recipe in a new run folder, or go on with the run in one."""
    from saccade.report.watch import watched
    from saccade.run.folder import RunFolder, new_run_path
    from saccade.run.report import print_report
    from saccade.run.tracking import require_installed
    from saccade.run.train import load_policy
    from saccade.run.train import train as train_recipe

    if (options.recipe is None) == (options.resume is None):
        raise UsageError("name a recipe to train (`saccade list`), or a run's folder with --resume, one of the two")
    if not options.watch:
        _refuse(options, {"--port": "port"}, why="only --watch serves the page")
    if options.resume is None:
        request = _request(options) | {"trace": _trace(options), "track": options.track}
        require_installed(request["track"])
    else:
        flags = _SETTINGS | {"--out": "out", "--threads": "threads", "--trace": "trace", "--track": "track"}
        _refuse(options, flags, why="--resume goes on with what the run began with")
        request = _remembered(options.resume)
        if summary := RunFolder(options.resume).summary():
            print(f"{options.resume} is finished; nothing is left to do", file=sys.stderr)
            return print_report(summary, options.resume)
    _prepare(request["threads"])
    recipe = _recipe(request)
    policy = load_policy(recipe)  # before the folder is made: a model that does not load leaves nothing behind
    if options.resume is None:
        folder = RunFolder.start(options.out or new_run_path(recipe.name))
        request["track_as"] = _track_as(folder.path)
        folder.write_command({**request, "spec": asdict(recipe.model)})
    else:
        folder = RunFolder.resume(options.resume)
    is_resumed = options.resume is not None
    with watched(folder.path, port=options.port) if options.watch else nullcontext() as page, folder:
        exchanged = f"\nalgorithm: {request['algorithm']}, in place of the recipe's" if request.get("algorithm") else ""
        print(f"{recipe.name}: {recipe.about}{exchanged}\nrun folder: {folder.path}", file=sys.stderr)
        if page:
            print(page, file=sys.stderr)
        module = catalog.module(request["recipe"])
        with _tracking(request, recipe, folder.path, is_resumed=is_resumed) as tracking:
            summary = train_recipe(
                recipe, folder, policy=policy, is_resumed=is_resumed, module=module, trace=request["trace"], tracking=tracking
            )
            for sentence in tracking.finish(summary):
                print(f"saccade: {sentence}", file=sys.stderr)
    print_report(summary, folder.path)


def view(options: argparse.Namespace) -> None:
    """Write a run's page, or that of two runs, and open it; or serve it while the run goes on."""
    from saccade.report.serve import CannotServe
    from saccade.report.show import Refused, follow, show

    try:
        if options.live:
            _refuse(options, {"--out": "out", "--size": "size"}, why="--live writes no file")
            follow(options.runs, port=options.port, opens=not options.no_open)
        else:
            _refuse(options, {"--port": "port"}, why="only --live serves the page")
            show(options.runs, out=options.out, megabytes=options.size, opens=not options.no_open)
    except (Refused, CannotServe) as refused:
        raise UsageError(str(refused)) from refused


def evaluate(options: argparse.Namespace) -> None:
    """Score a run's checkpoint, or a model, on a recipe's held-out sets."""
    from saccade.run.evaluate import measure
    from saccade.run.folder import RunFolder
    from saccade.run.report import print_measured
    from saccade.run.seeds import derive
    from saccade.run.train import load_policy

    path = Path(options.what)
    checkpoint = None
    if path.is_dir():
        _refuse(options, _SETTINGS, except_for="--set", why=f"{path} is a run and says them itself")
        folder = RunFolder(path)
        request = _remembered(path)
        request["settings"] = [*request["settings"], *options.settings]
        checkpoint = folder.checkpoint(options.checkpoint or "best")
    elif options.what in catalog.recipes() or catalog.is_file(options.what):
        _refuse(options, {"--checkpoint": "checkpoint"}, why=f"{options.what} is a recipe and has no checkpoints")
        options.recipe = options.what
        request = _request(options)
    else:
        raise UsageError(f"{options.what} is neither a run's folder nor a recipe; have: {', '.join(catalog.recipes())}")
    _prepare(request["threads"] if options.threads is None else _threads(options))
    recipe = _recipe(request)
    policy = load_policy(recipe)
    if checkpoint:
        policy.restore(checkpoint.path)
    for evaluation in recipe.evaluations:
        found = measure(policy, evaluation, seed=derive(recipe.seed, "evaluation", evaluation.name))
        print_measured(found)


def export(options: argparse.Namespace) -> None:
    """Write a run's checkpoint as a folder that plain from_pretrained loads."""
    from saccade.policy.loading import silence_progress_bars
    from saccade.policy.spec import ModelSpec
    from saccade.policy.transformers_policy import TransformersPolicy
    from saccade.run.checkpoint import write_model
    from saccade.run.folder import RunFolder

    if options.to.exists():
        raise UsageError(f"{options.to} exists already; remove it or name another folder with --to")
    folder = RunFolder(options.run)
    silence_progress_bars()
    # The model as it was loaded, not the recipe: its data may have moved since, and is not needed.
    spec = ModelSpec.of(_remembered(options.run)["spec"])
    checkpoint = folder.checkpoint(options.checkpoint)
    policy = TransformersPolicy.load(spec)
    policy.restore(checkpoint.path)
    write_model(options.to, policy.save_merged)
    print(f"{checkpoint.name} of {options.run} is now an ordinary Hugging Face checkpoint in {options.to}")


_COMMANDS = {"list": list_recipes, "show": show, "check": check, "train": train, "view": view, "eval": evaluate, "export": export}


_SETTINGS = {"--model": "model", "--data": "data", "--with": "options", "--algorithm": "algorithm", "--set": "settings", "--seed": "seed"}


def _refuse(options: argparse.Namespace, flags: dict[str, str], *, why: str, except_for: str = "") -> None:
    """UsageError if one of these flags was given, where it would do nothing."""
    given = [flag for flag, name in flags.items() if flag != except_for and getattr(options, name) not in (None, [])]
    if given:
        raise UsageError(f"{why}; leave out {', '.join(given)}")


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, as plain values that a run folder can remember."""
    if options.data and not options.data.exists():
        raise UsageError(f"--data {options.data} does not exist")
    return {
        "recipe": str(Path(options.recipe).resolve()) if catalog.is_file(options.recipe) else options.recipe,
        "model": _model(options),
        "data": str(options.data.resolve()) if options.data else None,
        "options": options.options,
        "algorithm": options.algorithm,
        "settings": options.settings,
        "seed": options.seed or 0,
        "threads": _threads(options),
    }


def _remembered(path: Path) -> dict[str, Any]:
    """The request that the run in this folder was started with."""
    from saccade.run.files import RunError
    from saccade.run.folder import RunFolder

    request = RunFolder(path).command()
    absent = {"recipe", "model", "data", "options", "settings", "seed", "threads", "spec"} - request.keys()
    if absent:
        raise RunError(f"{path / 'command.json'} lacks {', '.join(sorted(absent))}; put the original back")
    return {"trace": 1, "track": [], "track_as": "", **request}  # older runs know nothing of these


def _trace(options: argparse.Namespace) -> int:
    """How many groups of each step --trace keeps the tokens of."""
    if options.trace is not None and options.trace < 0:
        raise UsageError(f"--trace must be 0 or more, got {options.trace}")
    return 1 if options.trace is None else options.trace


def _tracking(request: dict[str, Any], recipe: Any, path: Path, *, is_resumed: bool) -> Any:
    """The tools that are told of the run; a run that is resumed goes on without one that is gone or does not answer."""
    from saccade.run.trackers import Tracked
    from saccade.run.tracking import Tracking

    def excuse(sentence: str) -> None:
        print(f"saccade: {sentence}; the run goes on without it", file=sys.stderr)

    run = Tracked(path=path, recipe=recipe.name, id=request["track_as"], settings=recipe.settings())
    return Tracking.open(request["track"], run, excuse=excuse if is_resumed else None)


def _track_as(path: Path) -> str:
    """A name for the run that no other has, whatever the tool."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', path.resolve().name)}-{secrets.token_hex(4)}"


def _model(options: argparse.Namespace) -> str:
    """A name as it stands, the recipe's own where none is given; a folder by its whole path, so that a run resumes from anywhere."""
    name = options.model or catalog.default_model(options.recipe)
    return str(Path(name).resolve()) if name not in EMBEDDED and Path(name).is_dir() else name


def _recipe(request: dict[str, Any]) -> Any:
    """The recipe of a request, with its options and overrides."""
    from saccade.run.overrides import override

    made = catalog.make(
        request["recipe"],
        options=request["options"],
        model=request["model"],
        data=request["data"],
        seed=request["seed"],
    )
    name = request.get("algorithm")
    if name is None:
        return override(made, request["settings"])
    # What the algorithm must go with first, its own numbers last.
    own = [setting for setting in request["settings"] if ".algorithm." in setting.partition("=")[0]]
    made = override(made, [setting for setting in request["settings"] if setting not in own])
    return override(catalog.with_algorithm(made, name), own)


def _threads(options: argparse.Namespace) -> int:
    """What --threads says, else one per core."""
    threads = getattr(options, "threads", None)
    if threads is not None:
        if threads < 1:
            raise UsageError(f"--threads must be at least 1, got {threads}")
        return threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def _prepare(threads: int) -> None:
    """Before a model is loaded: threads, who multiplies matrices, and no progress bars of libraries between ours."""
    import torch

    from saccade.policy.loading import silence_progress_bars
    from saccade.policy.matmul import choose_matmul

    torch.set_num_threads(threads)
    choose_matmul()
    silence_progress_bars()
