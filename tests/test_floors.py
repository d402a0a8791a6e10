"""The house plan: who may import whom. The floors are those of DESIGN.md section 3; imports go down only."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import saccade

PACKAGE = Path(saccade.__file__).parent
FLOORS = {
    "core": 0,
    "algo": 1,
    "rewards": 1,
    "policy": 2,
    "vision": 2,
    "worlds": 2,
    "data": 2,
    "run": 3,
    "report": 4,
    "recipes": 4,
    "catalog": 5,
    "commands": 5,
    "cli": 5,
}
# policy knows neither the algorithms nor the rewards; worlds, data and vision need neither.
BLIND = {"policy", "vision", "worlds", "data"}
# A library that only some places may know.
ONLY_IN = {"transformers": {"policy", "vision"}, "peft": {"policy"}, "vllm": {"policy"}, "ray": {"run"}, "sklearn": {"data"}}

FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, wherever in the file it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor_name(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    here = floor_name(path)
    if here == "__init__":
        return
    for name in imported(path):
        root, _, rest = name.partition(".")
        allowed = ONLY_IN.get(root)
        assert allowed is None or here in allowed, f"{path} imports {name}; only {allowed} may"
        if root != "saccade" or not rest:
            continue
        there = rest.split(".")[0]
        if there in ("__version__", here):
            continue
        assert there in FLOORS, f"{path} imports {name}, which is on no floor"
        same_top = FLOORS[here] == FLOORS[there] == 5
        assert same_top or FLOORS[there] < FLOORS[here], f"{path} (floor {FLOORS[here]}) imports {name}"
        assert not (here in BLIND and there in ("algo", "rewards")), f"{path}: {here} must not know {there}"


def test_no_recipe_imports_another():
    for path in (PACKAGE / "recipes").rglob("*.py"):
        own = path.relative_to(PACKAGE / "recipes").parts[0].removesuffix(".py")
        for name in imported(path):
            parts = name.split(".")
            if parts[:2] == ["saccade", "recipes"] and len(parts) > 2:
                assert parts[2] == own, f"{path} imports {name}"


def test_the_rule_would_catch_a_climb(tmp_path):
    (tmp_path / "bad.py").write_text("def f():\n    from saccade.run.train import train\n")
    assert "saccade.run.train.train" in imported(tmp_path / "bad.py")


def test_help_answers_at_once_and_loads_no_torch():
    script = "import sys; from saccade.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.5
