"""Checkpoints that are whole or absent: written aside, synced, sealed with checksums, then renamed into place.

A checkpoint is the model's own folder, as Hugging Face loads it, with two files of ours beside the model's:

    checkpoints/rl-40/
      config.json, model.safetensors, ...   what the policy wrote
      training_state.pt                     everything else that training needs to go on; plain values and tensors
      manifest.json                         size and SHA-256 of every file, where the logs stood, which was best so far
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from saccade.run.files import MAKE_ROOM, RunError, remove_folder, sync_path, write_atomically

MANIFEST = "manifest.json"
STATE = "training_state.pt"
ALMOST_FULL = 1 << 20  # bytes


class DamagedCheckpoint(RunError):
    """A checkpoint whose files are not what was written; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One saved moment of a run.

    `number` counts a run's checkpoints; `best` names the best one at this moment, None where none was marked;
    `offsets` says how long each log was; `files` holds (size, SHA-256) of each file by its name in the folder.
    """

    path: Path
    number: int
    best: str | None
    offsets: Mapping[str, int]
    files: Mapping[str, tuple[int, str]]

    @property
    def name(self) -> str:
        """What it was saved as, such as rl-40."""
        return self.path.name

    def check(self) -> None:
        """Read every byte. DamagedCheckpoint if any differs from what was written."""
        for name, (size, sha) in self.files.items():
            path = self.path / name
            if not path.is_file():
                raise DamagedCheckpoint(f"checkpoint {self.name} is damaged: {name} is missing")
            if path.stat().st_size != size:
                raise DamagedCheckpoint(
                    f"checkpoint {self.name} is damaged: {name} has {path.stat().st_size} bytes, {size} were written"
                )
            if _sha(path) != sha:
                raise DamagedCheckpoint(f"checkpoint {self.name} is damaged: {name} is not what was written")

    def training_state(self) -> dict[str, Any]:
        """The state that was saved beside the model, tensors on the CPU."""
        import torch

        return torch.load(self.path / STATE, map_location="cpu", weights_only=True)

    def marked(self, best: str | None) -> Checkpoint:
        """The same checkpoint, on disk too, with another best."""
        checkpoint = replace(self, best=best)
        write_atomically(self.path / MANIFEST, _manifest(checkpoint))
        return checkpoint


def write_checkpoint(
    path: Path,
    write: Callable[[Path], None],
    *,
    state: Mapping[str, Any],
    number: int,
    best: str | None,
    offsets: Mapping[str, int],
) -> Checkpoint:
    """Make the folder `path`, filled by `write` and with `state` beside, or change nothing at all.

    TypeError where `state` holds something that could not be loaded again; RunError if the disk does not take it.
    """
    if path.exists():
        raise ValueError(f"checkpoint {path.name} exists already; save each step once")
    _check_plain(state, "state")
    temp = path.with_name(f".writing-{path.name}")
    shutil.rmtree(temp, ignore_errors=True)
    try:
        temp.mkdir()
        write(temp)
        _save_state(state, temp / STATE)
        files = _sync_and_hash(temp)
        checkpoint = Checkpoint(path=path, number=number, best=best, offsets=dict(offsets), files=files)
        write_atomically(temp / MANIFEST, _manifest(checkpoint))
        os.rename(temp, path)
        sync_path(path.parent)
    except Exception as error:
        # A disk's refusal comes as OSError from Python, as RuntimeError from torch, as SafetensorError from Rust.
        reason = _disk_fault(error, path.parent)
        if reason is None:
            raise
        raise RunError(
            f"cannot write checkpoint {path.name} into {path.parent}: {reason}; "
            f"earlier checkpoints are untouched: {MAKE_ROOM}"
        ) from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return checkpoint


def write_model(path: Path, write: Callable[[Path], None]) -> None:
    """Make the model folder `path`, filled by `write`, in place of what may stand there, or change nothing at all.

    RunError if the disk does not take it.
    """
    temp = path.with_name(f".writing-{path.name}")
    shutil.rmtree(temp, ignore_errors=True)
    try:
        temp.mkdir(parents=True)
        write(temp)
        _sync_and_hash(temp)
        if path.exists():
            remove_folder(path)
        os.rename(temp, path)
    except Exception as error:
        reason = _disk_fault(error, path.parent)
        if reason is None:
            raise
        raise RunError(f"cannot write the model into {path}: {reason}; mend that, or choose another folder") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a folder, by its manifest alone (`check` reads the rest). DamagedCheckpoint if that is bad."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        seal, body = manifest["seal"], manifest["checkpoint"]
        if seal != _seal(body):
            raise ValueError("its seal does not fit")
        files = {name: (size, sha) for name, (size, sha) in body["files"].items()}
        return Checkpoint(
            path=path, number=body["number"], best=body["best"], offsets=body["offsets"], files=files
        )
    except FileNotFoundError:
        raise DamagedCheckpoint(f"checkpoint {path.name} is damaged: {MANIFEST} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpoint(f"checkpoint {path.name} is damaged: {MANIFEST} is not what was written") from error


def checkpoint_paths(folder: Path) -> list[Path]:
    """The folders in `folder` that claim to be checkpoints."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


def known_checkpoints(folder: Path, *, say: Callable[[str], None] = lambda sentence: None) -> list[Checkpoint]:
    """Those in `folder` with a readable manifest, oldest first; `say` hears of the others."""
    known = []
    for path in checkpoint_paths(folder):
        try:
            known.append(read_checkpoint(path))
        except DamagedCheckpoint as damage:
            say(f"{damage}; leaving it out.")
    return sorted(known, key=lambda checkpoint: checkpoint.number)


def let_go(folder: Path, *, kept: int) -> None:
    """Remove all but the last `kept` checkpoints and those that one of them calls the best."""
    known = known_checkpoints(folder)
    names = {name for checkpoint in known[-kept:] for name in (checkpoint.name, checkpoint.best)}
    for checkpoint in known:
        if checkpoint.name not in names:
            remove_folder(checkpoint.path)


def _save_state(state: Mapping[str, Any], path: Path) -> None:
    import torch

    with open(path, "wb") as file:
        torch.save(dict(state), file)


def _sync_and_hash(folder: Path) -> dict[str, tuple[int, str]]:
    files = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            sync_path(path)
            files[path.relative_to(folder).as_posix()] = (path.stat().st_size, _sha(path))
        sync_path(Path(root))
    return dict(sorted(files.items()))


def _sha(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(checkpoint: Checkpoint) -> bytes:
    body = asdict(checkpoint)
    del body["path"]
    body = json.loads(json.dumps(body))
    return (json.dumps({"checkpoint": body, "seal": _seal(body)}, indent=1) + "\n").encode()


def _seal(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _disk_fault(error: BaseException, folder: Path) -> str | None:
    """What the disk refused, None where the error was not the disk's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if "(os error " in str(cause):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return os.strerror(errno.ENOSPC) if shutil.disk_usage(folder).free < ALMOST_FULL else None


def _check_plain(value: Any, where: str) -> None:
    """TypeError, naming the place, unless torch.load(weights_only=True) can bring `value` back."""
    import torch

    if value is None or type(value) in (bool, int, float, str, bytes) or isinstance(value, torch.Tensor):
        return
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _check_plain(key, f"a key of {where}")
            _check_plain(item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple, set):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    else:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(f"{where} is a {kind}; a checkpoint's state holds tensors and plain Python values only")
