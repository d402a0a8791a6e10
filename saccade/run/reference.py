"""The weights that a stage's KL penalty pulls to: held in memory, and on disk for a run that is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from saccade.policy.protocol import Policy
from saccade.run.checkpoint import write_model
from saccade.run.files import RunError
from saccade.run.stage import Stage

REFERENCE = "reference.safetensors"


def hold_reference(policy: Policy, stage: Stage, path: Path, *, saved: Mapping[str, Any]) -> None:
    """Hold the weights at the stage's beginning, which `path` keeps, as a resumed run no longer has them.

    `saved` is what the checkpoint holds that the stage goes on from, or nothing. RunError where the kept weights are gone or torn.
    """
    if "reference" in saved:  # one that moves is in the checkpoint
        policy.hold_reference(saved["reference"])
    elif stage.reference == "base":
        policy.hold_reference(policy.base_state())
    elif not saved:
        policy.hold_reference()
        write_model(path, lambda folder: save_file(policy.reference_state(), folder / REFERENCE))
    else:
        policy.hold_reference(_kept(path / REFERENCE))


def _kept(path: Path) -> dict[str, Any]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the run cannot go on without the reference of its KL penalty, {path}: {error}; put the file back, or start a new run"
        ) from error
