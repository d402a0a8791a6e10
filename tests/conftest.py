"""Checkpoint folders that tests share; each is made once per run, and read only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Every test on one thread: on a busy machine more threads only wait for each other, and sums would depend on it."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a family's tiny random checkpoint folder (see tests/tiny_models.py)."""
    folders: dict[str, Path] = {}

    def folder(family: str) -> Path:
        from tests import tiny_models

        if family not in folders:
            folders[family] = tiny_models.make(family, tmp_path_factory.mktemp("checkpoint"))
        return folders[family]

    return folder
