"""A recipe as values and as text for a person: idea, stages, evaluations, and every number with where it comes from."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import saccade.algo.named as algorithms
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Recipe
from saccade.run.stage import RL, Stage

MARKS = {"P": "paper", "C": "released code", "L": "library default", "I": "inferred", "O": "ours"}


def described(recipe: Recipe, module: ModuleType | None = None) -> dict[str, Any]:
    """Everything that `shown` prints, as plain values for recipe.json (docs/run-folder.md).

    `module` is where the recipe is written; without it there is no idea, and no source of its numbers but the algorithms' own.
    """
    used = dict.fromkeys(stage.algorithm.name for stage in recipe.stages if isinstance(stage, RL))
    numbers = [*(_marked(module) if module else ()), *(row for name in used for row in _marked(algorithms, only=name))]
    return {
        "name": recipe.name,
        "about": recipe.about,
        "idea": (inspect.getdoc(module) or "").strip() if module else "",
        "model": asdict(recipe.model),
        "stages": [_stage(stage) for stage in recipe.stages],
        "evaluations": [_evaluation(evaluation) for evaluation in recipe.evaluations],
        "claims": [asdict(claim) for claim in recipe.claims],
        "numbers": numbers,
        "settings": {path: value for path, value in recipe.settings().items() if not path.startswith("claims.")},
    }


def shown(recipe: Recipe, module: ModuleType) -> str:
    """The page that `saccade show` prints."""
    found = described(recipe, module)
    parts = [found["idea"], "", f"model     {found['model']['path']} ({found['model']['dtype']})"]
    for number, stage in enumerate(found["stages"]):
        about = f"{stage['steps']} steps on {stage['samples']} samples of {stage['task']!r}"
        parts.append(f"stage {number}   {stage['name']}: {about}")
        if stage["kind"] == "RL":
            terms = " + ".join(f"{term['weight']:g} {term['name']}" for term in stage["rewards"])
            asked = f"{stage['prompts']} prompts x {stage['siblings']} siblings"
            parts.append(f"          reward {terms}; {stage['algorithm']}, {asked}")
    for one in found["evaluations"]:
        notes = [note for note, key in (("out of distribution", "is_shifted"), ("selects", "selects")) if one[key]]
        parts.append(f"measures  {one['name']} ({one['samples']} samples{''.join(', ' + n for n in notes)})")
    parts += [f"claims    {claim['text']}  [{claim['source']}]" for claim in found["claims"]]
    parts += ["", f"numbers and their sources ({', '.join(f'{m} {meaning}' for m, meaning in MARKS.items())})"]
    for owner, rows in groupby(found["numbers"], key=lambda row: row["owner"]):
        parts += [f"  {owner}"] if owner else []
        parts += [f"    {row['code']:64}  {row['source']}{_joined(row['note'])}" for row in rows]
    parts += ["", "settings (change one with --set PATH=VALUE)"]
    width = max(len(path) for path in found["settings"])
    parts += [f"  {path:{width}}  {value}" for path, value in found["settings"].items()]
    return "\n".join(parts)


def _stage(stage: Stage) -> dict[str, Any]:
    is_rl = isinstance(stage, RL)
    return {
        "name": stage.name,
        "kind": "RL" if is_rl else "SFT",
        "steps": stage.steps,
        "task": stage.task.name,
        "samples": len(stage.task),
        "rewards": [{"name": term.reward.name, "weight": term.weight} for term in stage.rewards.terms] if is_rl else [],
        "algorithm": stage.algorithm.name,
        "prompts": stage.prompts if is_rl else stage.batch,
        "siblings": _number(stage.siblings) if is_rl else 1,
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "name": evaluation.name,
        "samples": len(evaluation.task),
        "is_shifted": evaluation.is_shifted,
        "selects": evaluation.selects,
        "score": evaluation.score.name,
        "shares": [share.name for share in evaluation.shares],
        "totals": bool(evaluation.totals),
    }


def _number(value: Any) -> int | str:
    """A number, or a schedule by its text."""
    return value if isinstance(value, int) else str(value)


def _joined(note: str) -> str:
    """A note behind its source; one that begins with a further source is set off by a comma."""
    return f", {note}" if note[:1] in MARKS and not note[1:2].isalnum() else f" {note}" if note else ""


def _marked(module: ModuleType, *, only: str = "") -> Iterator[dict[str, str]]:
    """The module's lines that end in a source mark, such as `lr=1e-6,  # P`, with the name they stand in (or one name's)."""
    text = Path(inspect.getsourcefile(module)).read_text()
    lines = text.splitlines()
    owners = {
        line: getattr(node, "name", None) or ast.unparse(node.targets[0])
        for node in ast.parse(text).body
        if isinstance(node, (ast.Assign, ast.FunctionDef, ast.ClassDef))
        for line in range(node.lineno, node.end_lineno + 1)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        mark, _, note = token.string.lstrip("# ").partition(" ")
        code = lines[token.start[0] - 1][: token.start[1]].strip().rstrip(",")
        owner = owners.get(token.start[0])
        if mark.rstrip(",;") in MARKS and code and only in ("", owner):
            yield {"owner": owner or "", "code": code, "source": mark.rstrip(",;"), "note": note.strip()}
