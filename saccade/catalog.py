"""The recipes by name, found without importing them until one is asked for, and the algorithms that they may be trained with.

Somebody's own recipe, a Python file with a function `recipe(*, model, data, seed)`, is named by its path.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import typing
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saccade.run.recipe import Recipe
    from saccade.run.stage import Stage

FOLDER = Path(__file__).parent / "recipes"
COMMON = ("model", "data", "seed")  # keywords that every recipe takes, with flags of their own


class UnknownRecipe(ValueError):
    """A name or option that no recipe has; the message says which there are."""


def recipes() -> dict[str, str]:
    """{name: first line of its docstring} of every recipe."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        name = path.name if path.is_dir() else path.stem
        if name.startswith("_") or source.suffix != ".py" or not source.exists():
            continue
        text = ast.get_docstring(ast.parse(source.read_text())) or ""
        found[name] = text.partition("\n")[0]
    return found


def module(name: str) -> ModuleType:
    """The module of a recipe's name, or of the path of somebody's own recipe, mine.py. UnknownRecipe names the nearest."""
    if is_file(name):
        return _own(Path(name))
    have = recipes()
    if name not in have:
        near = get_close_matches(name, have, n=3) or list(have)
        raise UnknownRecipe(f"there is no recipe {name!r}; have: {', '.join(near)}")
    return importlib.import_module(f"saccade.recipes.{name}")


def is_file(name: str) -> bool:
    """Whether the name is the path of a Python file, and not a recipe of ours."""
    return name.endswith(".py")


def _own(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnknownRecipe(f"there is no file {path}; give the path of a recipe, or a name that `saccade list` prints")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    function = getattr(found, "recipe", None)
    taken = inspect.signature(function).parameters if callable(function) else ()
    if absent := [key for key in COMMON if key not in taken]:
        has = "no function 'recipe'" if function is None else f"a 'recipe' that takes no {', '.join(absent)}"
        raise UnknownRecipe(f"{path} has {has}; it needs recipe(*, model, data, seed) that returns a Recipe")
    return found


def default_model(name: str) -> str:
    """The model that a recipe trains when none is named."""
    default = inspect.signature(module(name).recipe).parameters["model"].default
    return default if isinstance(default, str) else "tiny"


def algorithms() -> dict[str, str]:
    """{name: first line of its docstring} of every algorithm."""
    tree = ast.parse((Path(__file__).parent / "algo" / "named.py").read_text())  # importing it would import torch
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    listed = next(node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ALGORITHMS")
    names = [node.id for node in ast.walk(listed) if isinstance(node, ast.Name) and node.id in functions]
    return {name: (ast.get_docstring(functions[name]) or "").partition("\n")[0] for name in names}


def with_algorithm(recipe: Recipe, name: str) -> Recipe:
    """The recipe with every RL stage's algorithm exchanged for this one, with its own numbers.

    One that filters by what is right does so by the reward "accuracy", or else by the first. UnknownRecipe where the exchange
    cannot be, and why.
    """
    from saccade.algo.named import named
    from saccade.algo.schedules import values_of
    from saccade.run.stage import RL

    if not any(isinstance(stage, RL) for stage in recipe.stages):
        raise UnknownRecipe(f"--algorithm {name}: {recipe.name} has no stage of reinforcement learning; leave it out")

    def changed(stage: Stage) -> Stage:
        if not isinstance(stage, RL):
            return stage
        limit = stage.sampling.max_tokens if stage.limit is None else int(max(values_of(stage.limit)))
        by = "accuracy" if "accuracy" in stage.rewards.names else stage.rewards.names[0]
        return replace(stage, algorithm=named(name, limit=limit, by=by))

    try:
        return replace(recipe, stages=tuple(changed(stage) for stage in recipe.stages))
    except ValueError as error:  # a name that there is not, or a stage that does not go with it
        raise UnknownRecipe(f"--algorithm {name}: {error}") from error


def make(name: str, *, options: Sequence[str], **common: Any) -> Recipe:
    """The recipe with its `key=value` options. UnknownRecipe for a key or value that it does not take."""
    from saccade.run.overrides import Leaf, OverrideError, read_as

    function = module(name).recipe
    hints = typing.get_type_hints(function)
    taken = {key: one.default for key, one in inspect.signature(function).parameters.items() if key not in COMMON}
    defaults = {key: None if default is inspect.Parameter.empty else default for key, default in taken.items()}
    own = {key: Leaf(default, hints.get(key, str)) for key, default in defaults.items()}
    chosen = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or key not in own:
            raise UnknownRecipe(f"--with {option}: {name} takes {', '.join(f'{k}=...' for k in own) or 'no options'}")
        try:
            chosen[key] = read_as(text, own[key], where=f"--with {option}")
        except OverrideError as error:
            raise UnknownRecipe(str(error)) from error
        if type(chosen[key]) is int and chosen[key] < 0:
            raise UnknownRecipe(f"--with {option}: {key} is a whole number from 0, got {text!r}")
    return function(**common, **chosen)
