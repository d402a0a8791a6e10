"""A recipe as text for a person: idea, stages, rewards, evaluations, and every number with where it comes from."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from pathlib import Path
from types import ModuleType

import saccade.algo.named as algorithms
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
    parts += ["", f"numbers and their sources ({', '.join(f'{m} {meaning}' for m, meaning in MARKS.items())})"]
    parts += _marked_lines(module)
    for name in dict.fromkeys(stage.algorithm.name for stage in recipe.stages if isinstance(stage, RL)):
        parts += _marked_lines(algorithms, only=name)
    parts += ["", "settings (change one with --set PATH=VALUE)"]
    rows = [(path, value) for path, value in recipe.settings().items() if not path.startswith("claims.")]
    width = max(len(path) for path, _ in rows)
    parts += [f"  {path:{width}}  {value}" for path, value in rows]
    return "\n".join(parts)


def _marked_lines(module: ModuleType, *, only: str = "") -> list[str]:
    """The module's lines that end in a source mark, such as `lr=1e-6,  # P`, under the name they stand in (or one name's)."""
    text = Path(inspect.getsourcefile(module)).read_text()
    lines = text.splitlines()
    owners = {
        line: getattr(node, "name", None) or ast.unparse(node.targets[0])
        for node in ast.parse(text).body
        if isinstance(node, (ast.Assign, ast.FunctionDef, ast.ClassDef))
        for line in range(node.lineno, node.end_lineno + 1)
    }
    found: list[str] = []
    owner = None
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        mark, _, rest = token.string.lstrip("# ").partition(" ")
        code = lines[token.start[0] - 1][: token.start[1]].strip().rstrip(",")
        if mark.rstrip(",;") not in MARKS or not code or only not in ("", owners.get(token.start[0])):
            continue
        if owners.get(token.start[0]) != owner:
            owner = owners.get(token.start[0])
            found.append(f"  {owner}")
        found.append(f"    {code:64}  {mark} {rest}".rstrip())
    return found
