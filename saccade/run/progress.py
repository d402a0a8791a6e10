"""Where a run stands, as a checkpoint keeps it, and whether a run can go on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from saccade.core.sample import Task
from saccade.run.checkpoint import Checkpoint
from saccade.run.files import RunError
from saccade.run.records import plain


@dataclass
class Progress:
    """Where a run stands: what a checkpoint holds besides weights and optimizer. Plain values only."""

    stage: int = 0
    step: int = 0  # done in this stage
    seconds: float = 0.0  # of training so far, over all resumptions
    before: dict[str, Any] = field(default_factory=dict)  # evaluation -> what Measured.as_dict says
    after: dict[str, dict[str, Any]] = field(default_factory=dict)  # stage that ended -> the same
    candidates: dict[str, dict[str, float]] = field(default_factory=dict)  # checkpoint -> what the selecting sets found
    best_at: str = ""  # checkpoint
    data: str = ""  # what the tasks hold, so that a run is never resumed on other data


def resumable_state(checkpoint: Checkpoint | None, progress: Progress, path: Path) -> dict[str, Any]:
    """What the checkpoint holds besides weights, {} without one; `progress` is that of a run which begins now.

    RunError where another version of Saccade wrote it, or where the data is not what it was.
    """
    state = checkpoint.training_state() if checkpoint else {}
    if state and ("memory" not in state or state["progress"].keys() != asdict(progress).keys()):
        raise RunError(
            f"the run in {path} was begun by another version of Saccade, whose checkpoints hold other things; resume it "
            "with that one, or train into another folder"
        )
    if state and state["progress"]["data"] != progress.data:
        raise RunError(
            f"the data has changed since the run in {path} began: resumed, it would not be the same run; put the "
            "data back, or train into another folder"
        )
    return state


def no_sound_checkpoint(path: Path) -> RunError:
    """What to raise where every checkpoint of a run is damaged."""
    return RunError(
        f"no checkpoint in {path} is sound, and nothing was changed; put a sound one back into its checkpoints, "
        "or train into another folder"
    )


def fingerprint(tasks: Iterable[Task]) -> str:
    """A hash over every sample of the tasks: ids, kinds, words, pictures, gold answers, solutions and pass rates."""
    digest = hashlib.sha256()
    for task in tasks:
        for sample in task:
            shas = [picture.sha for picture in sample.pictures]
            gold = plain(sample.target)  # not its repr: a set's order, and an object's address, differ from process to process
            words = (sample.id, sample.kind, sample.prompt_text, shas, gold, sample.solution, sample.data.get("pass_rate"))
            digest.update(repr(words).encode())
    return digest.hexdigest()
