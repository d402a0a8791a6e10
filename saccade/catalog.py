"""The recipes by name, found without importing them until one is asked for."""

from __future__ import annotations

import ast
import importlib
import inspect
import typing
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saccade.run.recipe import Recipe

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
    """The recipe's module. UnknownRecipe names the nearest."""
    have = recipes()
    if name not in have:
        near = get_close_matches(name, have, n=3) or list(have)
        raise UnknownRecipe(f"there is no recipe {name!r}; have: {', '.join(near)}")
    return importlib.import_module(f"saccade.recipes.{name}")


def make(name: str, *, options: Sequence[str], **common: Any) -> Recipe:
    """The recipe with its `key=value` options. UnknownRecipe for a key or value that it does not take."""
    function = module(name).recipe
    hints = typing.get_type_hints(function)
    own = {key: hints.get(key, str) for key in inspect.signature(function).parameters if key not in COMMON}
    chosen = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or key not in own:
            raise UnknownRecipe(f"--with {option}: {name} takes {', '.join(f'{k}=...' for k in own) or 'no options'}")
        allowed = typing.get_args(own[key])
        if allowed and text not in allowed:
            raise UnknownRecipe(f"--with {option}: {key} is one of {', '.join(map(str, allowed))}")
        if own[key] is int and not text.isdigit():
            raise UnknownRecipe(f"--with {option}: {key} is a whole number, got {text!r}")
        chosen[key] = int(text) if own[key] is int else text
    return function(**common, **chosen)
