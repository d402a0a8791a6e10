"""A recipe as text for a person: idea, stages, rewards, evaluations, and every number with where it comes from."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from pathlib import Path
from types import ModuleType

from saccade.run.recipe import Recipe
from saccade.run.stage import RL

MARKS = {"P": "paper", "C": "released code", "L": "library default", "I": "inferred", "O": "ours"}


def shown(recipe: Recipe, module: ModuleType) -> str:
    """The page that `saccade show` prints."""
    parts = [(inspect.getdoc(module) or "").strip(), "", f"model     {recipe.model.path} ({recipe.model.dtype})"]
    for number, stage in enumerate(recipe.stages):
        parts.append(f"stage {number}   {stage.name}: {stage.steps} steps on {len(stage.task)} samples of {stage.task.name!r}")
        if isinstance(stage, RL):
            terms = " + ".join(f"{term.weight:g} {term.reward.name}" for term in stage.rewards.terms)
            parts.append(f"          reward {terms}; {stage.algorithm.name}, {stage.prompts} prompts x {stage.siblings} siblings")
    for evaluation in recipe.evaluations:
        notes = [note for note, holds in (("out of distribution", evaluation.is_shifted), ("selects", evaluation.selects)) if holds]
        parts.append(f"measures  {evaluation.name} ({len(evaluation.task)} samples{''.join(', ' + n for n in notes)})")
    for claim in recipe.claims:
        parts.append(f"claims    {claim.text}  [{claim.source}]")
    parts += ["", "settings (change one with --set PATH=VALUE)"]
    sources = _sources(module)
    rows = [(path, value, _source(path, value, sources)) for path, value in recipe.settings().items()]
    width = max(len(path) for path, _, _ in rows)
    parts += [f"  {path:{width}}  {value!s:24}  {source}".rstrip() for path, value, source in rows if not path.startswith("claims.")]
    return "\n".join(parts)


def _source(path: str, value: object, sources: dict[tuple[str, str], str]) -> str:
    return sources.get((path.rpartition(".")[2], repr(value)), "")


def _sources(module: ModuleType) -> dict[tuple[str, str], str]:
    """{(keyword, value): source} from the marks at the ends of the module's lines, such as `lr=1e-6,  # P`."""
    text = Path(inspect.getsourcefile(module)).read_text()
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[tuple[str, str], str] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            mark, _, rest = comments.get(node.value.lineno, "").partition(" ")
            if mark in MARKS:
                found[node.arg, repr(node.value.value)] = f"{MARKS[mark]}{': ' + rest if rest else ''}"
    return found
