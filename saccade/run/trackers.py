"""Tools that draw a run's numbers: TensorBoard, Weights & Biases, Trackio. A further one is a class here and a name in TRACKERS."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import PIL.Image

STEP = "run/total_steps"

Row = Mapping[str, float | str | None | PIL.Image.Image]


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A run as a tool knows it. `id` is new for every run and stays when it is resumed; letters, digits, '-', '_', '.'."""

    path: Path
    recipe: str
    id: str
    settings: Mapping[str, Any]


class Tracker(Protocol):
    """One tool, told of one run. Its `package` is imported where it is made, and nowhere before."""

    package: ClassVar[str]

    def __init__(self, run: Tracked) -> None: ...

    def log(self, values: Mapping[str, float | str], *, step: int, line: int) -> None:
        """Numbers, and sentences, at a step of the run. `line` counts lines over all resumptions: each is larger than the last."""

    def table(self, name: str, rows: Sequence[Row], *, step: int, line: int) -> None:
        """Rows of the same columns, with at most one picture each, shortly before a line is logged."""

    def close(self, *, is_finished: bool) -> None:
        """Hand over what is still held; the run has come to its end or was stopped."""


class TensorBoard:
    """Event files in the run's folder. Each line is handed to the system at once, so that a kill loses none."""

    package = "tensorboard"

    def __init__(self, run: Tracked) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = run.path / "tensorboard"
        is_new = not path.exists()
        self._writer = SummaryWriter(path)
        if is_new:
            self._writer.add_text("settings", _written([{key: str(value) for key, value in run.settings.items()}]), 0)

    def log(self, values: Mapping[str, float | str], *, step: int, line: int) -> None:
        for key, value in values.items():
            if isinstance(value, str):
                self._writer.add_text(key, value, step)
            else:
                self._writer.add_scalar(key, value, step, double_precision=True)
        self._writer.flush()

    def table(self, name: str, rows: Sequence[Row], *, step: int, line: int) -> None:
        self._writer.add_text(name, _written(rows), step)
        for number, row in enumerate(rows):
            for key, cell in row.items():
                if isinstance(cell, PIL.Image.Image):
                    self._writer.add_image(f"{name}/{key} {number}", np.asarray(cell), step, dataformats="HWC")
        self._writer.flush()

    def close(self, *, is_finished: bool) -> None:
        self._writer.close()


class WandB:
    """A run of Weights & Biases. WANDB_MODE, WANDB_PROJECT and its other variables mean what they always do."""

    package = "wandb"

    def __init__(self, run: Tracked) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "saccade"),
            group=run.recipe,
            name=run.path.name,
            id=run.id,
            resume="allow",
            dir=str(run.path),
            config={path.replace(".", "/"): value for path, value in run.settings.items()},  # its keys may hold no '.'
            allow_val_change=True,
            settings=wandb.Settings(console="off"),  # our status block is redrawn in place
        )
        # Its own step must grow with every line, of which one step of ours may have two; charts are drawn over ours.
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, values: Mapping[str, float | str], *, step: int, line: int) -> None:
        self._run.log({**values, STEP: step}, step=line)

    def table(self, name: str, rows: Sequence[Row], *, step: int, line: int) -> None:
        data = [[self._cell(cell) for cell in row.values()] for row in rows]
        self._run.log({name: self._wandb.Table(columns=list(rows[0]), data=data), STEP: step}, step=line)

    def close(self, *, is_finished: bool) -> None:
        self._run.finish(exit_code=0 if is_finished else 1)

    def _cell(self, cell: Any) -> Any:
        return self._wandb.Image(cell) if isinstance(cell, PIL.Image.Image) else cell


class Trackio:
    """A run of Trackio: on this machine, or in the Space or on the server that its variables name."""

    package = "trackio"

    def __init__(self, run: Tracked) -> None:
        import trackio

        self._trackio = trackio
        self._run = trackio.init(
            project="saccade", group=run.recipe, name=run.id, resume="allow", config=dict(run.settings), embed=False
        )

    def log(self, values: Mapping[str, float | str], *, step: int, line: int) -> None:
        self._run.log({key: html.escape(value) if isinstance(value, str) else value for key, value in values.items()}, step=step)

    def table(self, name: str, rows: Sequence[Row], *, step: int, line: int) -> None:
        data = [[self._cell(cell) for cell in row.values()] for row in rows]
        self._run.log({name: self._trackio.Table(columns=list(rows[0]), data=data)}, step=step)

    def close(self, *, is_finished: bool) -> None:
        self._trackio.finish()

    def _cell(self, cell: Any) -> Any:
        """Its page takes text for Markdown with HTML, and the text is a model's."""
        if isinstance(cell, PIL.Image.Image):
            return self._trackio.Image(cell)
        return html.escape(cell) if isinstance(cell, str) else cell


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "trackio": Trackio}


def _written(rows: Sequence[Row]) -> str:
    """Rows as Markdown that takes every cell for what it is: text of a model is no markup."""
    parts = []
    for row in rows:
        for key, cell in row.items():
            if isinstance(cell, str):
                parts += [f"**{key}**", "\n".join(f"    {line}" for line in cell.splitlines() or [""])]
            elif not isinstance(cell, PIL.Image.Image):
                parts.append(f"**{key}** {cell:.4g}" if isinstance(cell, float) else f"**{key}** {cell}")
        parts.append("---")
    return "\n\n".join(parts)
