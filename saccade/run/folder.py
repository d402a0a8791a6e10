"""A run's folder: its logs, pictures, checkpoints and summary, kept so that a kill at any moment costs no good file.

    runs/reason_rft-2026-11-20-1/
      metrics.jsonl        one line per step, flat `area/name` keys
      rollouts.jsonl       one line per rollout
      tokens.jsonl         one line per rollout of the traced groups: its tokens
      evaluations.jsonl    one line per sample, set and time it was measured
      samples.jsonl        what is trained and measured on
      pictures/<sha>.png   what the rollouts looked at, each once
      previews/<sha>.webp  what evaluations and samples show, small, unless it was there as it is
      checkpoints/rl-40/   a Hugging Face folder and our training state (see checkpoint.py)
      command.json         what it was started with
      recipe.json          what that means: stages, numbers and their sources
      check.json           what `saccade check` found, where it was asked of the run
      summary.json         what was run, where, and what came of it

    >>> with RunFolder.start(new_run_path("reason_rft")) as folder:       # or RunFolder.resume(path)
    ...     folder.append_metrics({"run/step": 1, "reward/mean": 0.5})
    ...     folder.append_rollouts(groups, step=1, stage="rl", advantages=[[0.5, -0.5]])
    ...     folder.save_checkpoint("rl-1", policy.save, state={"optimizer": optimizer.state_dict()})

To resume: `folder.rewind(checkpoint := folder.latest_checkpoint())` cuts the logs back to where they stood at that
checkpoint, so that the steps done again write the same lines again. `RunFolder(path)` alone reads and changes nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.core.picture import Picture
from saccade.core.rollout import Group
from saccade.run.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    checkpoint_paths,
    known_checkpoints,
    let_go,
    read_checkpoint,
    write_checkpoint,
)
from saccade.run.files import (
    JsonLines,
    RunError,
    read_object,
    read_only,
    remove_folder,
    take_lock,
    write_atomically,
    write_object,
)
from saccade.run.images import Gallery
from saccade.run.records import Details, checked_metrics, evaluation_rows, rollout_rows

if TYPE_CHECKING:
    from saccade.run.evaluate import Measured

KEPT = 2  # latest checkpoints
LOGS = ("metrics", "rollouts", "tokens", "evaluations", "samples")  # NAME.jsonl, cut back together when a run is resumed


def new_run_path(recipe: str, *, root: Path | str = "runs") -> Path:
    """A folder that nobody has yet, made now: runs/<recipe>-<date>-<n>."""
    date = time.strftime("%Y-%m-%d")
    number = 1
    while True:
        path = Path(root) / f"{recipe}-{date}-{number}"
        try:
            _make(path)
            return path
        except FileExistsError:
            number += 1


class RunFolder:
    """A run on disk. `say` takes the sentences that a person should hear, such as a checkpoint that is damaged."""

    def __init__(self, path: Path | str, *, say: Callable[[str], None] | None = None) -> None:
        self.path = Path(path)
        self.say = say or (lambda sentence: print(sentence, file=sys.stderr))
        self._logs = {name: JsonLines(self.path / f"{name}.jsonl") for name in LOGS}
        self._gallery = Gallery(self.path)
        self._checkpoints = self.path / "checkpoints"
        self._lock: int | None = None

    @classmethod
    def start(cls, path: Path | str, *, say: Callable[[str], None] | None = None) -> RunFolder:
        """A new run here. RunError if the folder holds a run, or if another process trains into it."""
        folder = cls(path, say=say)
        if folder.path.exists() and not folder.path.is_dir():
            raise RunError(f"{folder.path} is a file; a run needs a folder")
        _make(folder.path, exist_ok=True)
        folder._take_lock()
        if folder.holds_run:
            folder.close()
            raise RunError(f"{folder.path} holds a run already; continue it with --resume, or choose another folder")
        folder._open()
        return folder

    @classmethod
    def resume(cls, path: Path | str, *, say: Callable[[str], None] | None = None) -> RunFolder:
        """The run that is here, to be continued. RunError if there is none, or if another process trains into it."""
        folder = cls(path, say=say)
        if not folder.path.is_dir() or not (folder.holds_run or folder._logs["metrics"].path.exists()):
            raise RunError(f"{folder.path} holds no run to resume; leave --resume out to start one there")
        folder._take_lock()
        folder._open()
        return folder

    @property
    def holds_run(self) -> bool:
        """Whether anything worth keeping was ever written here."""
        has_lines = self._logs["metrics"].size > 0 or self._logs["rollouts"].size > 0
        return has_lines or self.holds_checkpoints or (self.path / "summary.json").exists()

    @property
    def holds_checkpoints(self) -> bool:
        """Whether any was ever written here, sound or not."""
        return bool(checkpoint_paths(self._checkpoints))

    def append_metrics(self, metrics: Mapping[str, float | int | str | None]) -> None:
        """Log one step. ValueError for a key that is not `area/name`, and for NaN or infinity."""
        self._logs["metrics"].append([checked_metrics(metrics)])

    def append_rollouts(
        self,
        groups: Sequence[Group],
        *,
        step: int,
        stage: str,
        advantages: Sequence[Sequence[float | None]] | None = None,
        details: Details = Details(),
    ) -> None:
        """Log a step's groups, one line per rollout, and the pictures they look at. `advantages`: one row per group."""
        self._save_pictures(groups)
        rows = rollout_rows(groups, step=step, stage=stage, advantages=advantages, details=details)
        self._logs["rollouts"].append(rows)

    def append_tokens(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Log the tokens of traced rollouts, one line each. ValueError for NaN and infinities."""
        self._logs["tokens"].append(rows)

    def append_evaluation(self, measured: Measured, *, moment: str, step: int, details: Details = Details()) -> None:
        """Log a set as it was measured, one line per sample, with previews of the pictures."""
        self._require_lock()
        for group in measured.groups[: len(measured.greedy)]:
            self._gallery.keep_small(group.sample.pictures)
        self._logs["evaluations"].append(evaluation_rows(measured, moment=moment, step=step, details=details))

    def append_samples(self, lines: Iterable[tuple[Mapping[str, Any], Sequence[Picture]]]) -> None:
        """Log what is trained and measured on, once in a run: lines (samples.py), each with the pictures to preview."""
        self._require_lock()

        def rows() -> Iterator[Mapping[str, Any]]:
            for row, pictures in lines:
                self._gallery.keep_small(pictures)
                yield row

        self._logs["samples"].append(rows())

    def save_offenders(self, groups: Sequence[Group], *, step: int, stage: str) -> Path:
        """Keep the rollouts that broke a step, with their pictures, in a file of their own beside rollouts.jsonl."""
        self._save_pictures(groups)
        lines = [json.dumps(row) + "\n" for row in rollout_rows(groups, step=step, stage=stage)]
        path = self.path / f"offenders-{stage}-{step}.jsonl"
        write_atomically(path, "".join(lines).encode("ascii"))
        return path

    def _save_pictures(self, groups: Sequence[Group]) -> None:
        """Those of the samples, and those that came up on the way."""
        for group in groups:
            shown = (picture for rollout in group.rollouts for picture in rollout.pictures)
            for picture in {picture.sha: picture for picture in (*group.sample.pictures, *shown)}.values():
                self.save_picture(picture)

    def save_picture(self, picture: Picture) -> Path:
        """Keep a picture under its hash; one that is there is never written again."""
        self._require_lock()
        return self._gallery.keep(picture)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The logged steps, in order."""
        return self._logs["metrics"].read()

    def rollouts(self) -> Iterator[dict[str, Any]]:
        """The logged rollouts, in order."""
        return self._logs["rollouts"].read()

    def tokens(self) -> Iterator[dict[str, Any]]:
        """The tokens of traced rollouts, in order."""
        return self._logs["tokens"].read()

    def evaluations(self) -> Iterator[dict[str, Any]]:
        """The measured samples, in order."""
        return self._logs["evaluations"].read()

    def samples(self) -> Iterator[dict[str, Any]]:
        """What is trained and measured on; the last line holds the totals."""
        return self._logs["samples"].read()

    def save_checkpoint(
        self, name: str, write: Callable[[Path], None], *, state: Mapping[str, Any], is_best: bool = False
    ) -> Checkpoint:
        """Save this moment as `name`, whole or not at all, and let go of older ones.

        `write(folder)` stores the model; `state` (tensors and plain values) goes beside it. Kept are the last two, and
        the best as each of the two knows it. RunError in one sentence if the disk is full: nothing earlier is touched.
        """
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"checkpoint name {name!r} may hold letters, digits, '-', '_' and '.' only")
        for log in self._logs.values():
            log.sync()
        known = known_checkpoints(self._checkpoints)
        checkpoint = write_checkpoint(
            self._checkpoints / name,
            write,
            state=state,
            number=known[-1].number + 1 if known else 1,
            best=name if is_best else known[-1].best if known else None,
            offsets={log.path.name: log.size for log in self._logs.values()},
        )
        let_go(self._checkpoints, kept=KEPT)
        return checkpoint

    def mark_best(self, name: str) -> None:
        """Say that checkpoint `name` is the best so far; it stays until another is. RunError if there is none such."""
        self._require_lock()
        known = known_checkpoints(self._checkpoints)
        if name not in [checkpoint.name for checkpoint in known]:
            have = ", ".join(checkpoint.name for checkpoint in known) or "none"
            raise RunError(f"there is no checkpoint {name!r} to mark as best; have: {have}")
        known[-1].marked(name)
        let_go(self._checkpoints, kept=KEPT)

    def latest_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint that is sound to the byte, None where there is none; says which ones are damaged."""
        for checkpoint in reversed(known_checkpoints(self._checkpoints, say=self.say)):
            try:
                checkpoint.check()
                return checkpoint
            except DamagedCheckpoint as damage:
                self.say(f"{damage}; going back to the one before.")
        return None

    def best_checkpoint(self) -> Checkpoint | None:
        """The checkpoint marked as best, None where none was. DamagedCheckpoint if it is not sound."""
        latest = self.latest_checkpoint()
        if latest is None or latest.best is None:
            return None
        best = read_checkpoint(self._checkpoints / latest.best)
        best.check()
        return best

    def checkpoint(self, which: str) -> Checkpoint:
        """The checkpoint that "best", "last" or its own name means; best is last where none was marked. RunError if none."""
        if which == "best":
            found = self.best_checkpoint() or self.latest_checkpoint()
        elif which == "last":
            found = self.latest_checkpoint()
        else:
            known = {one.name: one for one in known_checkpoints(self._checkpoints)}
            if which not in known:
                raise RunError(f"{self.path} has no checkpoint {which!r}; have: best, last, {', '.join(known) or 'none yet'}")
            found = known[which]
            found.check()
        if found is None:
            raise RunError(f"{self.path} has no checkpoint yet; let it train on, or resume it")
        return found

    def rewind(self, checkpoint: Checkpoint | None) -> None:
        """Make the folder what it was at this checkpoint (None: at the start): later lines and checkpoints go."""
        self._require_lock()
        known = known_checkpoints(self._checkpoints) if checkpoint else []
        kept = [one.name for one in known if one.number <= checkpoint.number]
        # Checkpoints before lines: killed in between, the lines are merely longer than the latest checkpoint says.
        for path in checkpoint_paths(self._checkpoints):
            if path.name not in kept:
                remove_folder(path)
        offsets = checkpoint.offsets if checkpoint else {}
        for log in self._logs.values():
            log.truncate(offsets.get(log.path.name, 0))  # a log that an older version did not write begins here

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, whole or not at all. ValueError for NaN or infinity."""
        self._write("summary.json", summary)

    def write_command(self, command: Mapping[str, Any]) -> None:
        """Remember what the run was started with, so that --resume needs only the folder."""
        self._write("command.json", command)

    def command(self) -> dict[str, Any]:
        """What the run was started with. RunError if that is not on record."""
        path = self.path / "command.json"
        if not path.exists():
            raise RunError(f"{self.path} holds no run (no command.json is in it); name a folder that `saccade train` made")
        return read_object(path)

    def summary(self) -> dict[str, Any] | None:
        """What summary.json says, None where there is none yet."""
        path = self.path / "summary.json"
        return read_object(path) if path.exists() else None

    def write_recipe(self, described: Mapping[str, Any]) -> None:
        """Say what is run (show.py). ValueError for NaN or infinity."""
        self._write("recipe.json", described)

    def write_check(self, checked: Mapping[str, Any]) -> None:
        """Keep what a check found, whole or not at all; of a finished run too, and while another process trains."""
        if not os.access(self.path, os.W_OK):
            raise RunError(f"{self.path} cannot be written to; keep what was found elsewhere, with --json FILE")
        write_object(self.path / "check.json", checked)

    def close(self) -> None:
        """Stop writing and let another process in."""
        for log in self._logs.values():
            log.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_lock(self) -> None:
        busy = f"{self.path} is being trained into by {{holder}}; wait until it ends, or choose another folder"
        self._lock = take_lock(self.path / ".lock", busy=busy)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        self._require_lock()
        write_object(self.path / name, value)

    def _require_lock(self) -> None:
        if self._lock is None:
            raise read_only(self.path)

    def _open(self) -> None:
        self._checkpoints.mkdir(exist_ok=True)
        for leftover in self._checkpoints.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
        self._gallery.open()
        for log in self._logs.values():
            if cut := log.open():
                self.say(f"{log.path.name} ended in a torn line of {cut} bytes, which is dropped.")


def _make(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder. FileExistsError as usual, RunError for every other refusal."""
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise RunError(f"cannot make the run's folder {path}: {error.strerror}; choose another with --out") from error
