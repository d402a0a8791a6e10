"""What a run's recipe.json, check.json, command.json and summary.json say in the folders of runs.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COMMAND = {
    "recipe": "look_and_point", "model": "tiny-grounding", "data": None, "options": ["task=all"], "algorithm": None,
    "settings": ["stages.1.steps=12"], "seed": 0, "threads": 2, "spec": {"path": "tiny-grounding", "dtype": "float32"},
}  # fmt: skip


def recipe(*, seed: int = 0) -> dict[str, Any]:
    """recipe.json."""
    return {
        "name": "look_and_point",
        "about": "SFT on worked answers, then GRPO on boxes, clicks, masks and sums",
        "idea": "A recipe for tests.\n\nIt teaches a tiny model to look before it points. First it imitates worked answers, then it learns "
        "from rewards that read its boxes, clicks and masks.\n\nThe released code scores a box in the pixels of the model; so do we.",
        "model": {"path": "tiny-grounding", "dtype": "float32"},
        "stages": [
            {"name": "sft", "kind": "SFT", "steps": 6, "task": "train", "samples": 600, "rewards": [], "algorithm": None,
             "prompts": 16, "siblings": 1},
            {"name": "rl", "kind": "RL", "steps": 12, "task": "train", "samples": 2000, "rewards": [
                {"name": "accuracy", "weight": 1.0}, {"name": "format", "weight": 1.0}], "algorithm": "grpo", "prompts": 4, "siblings": 4},
        ],
        "evaluations": [
            {"name": "val", "samples": 14, "is_shifted": False, "selects": True, "score": "accuracy", "shares": ["format"], "totals": True},
            {"name": "test-shifted", "samples": 14, "is_shifted": True, "selects": False, "score": "accuracy", "shares": ["format"],
             "totals": True},
        ],
        "claims": [{"text": "Rewards on boxes beat imitation off the training data.", "source": "arXiv 0000.00000, table 2"}],
        "numbers": [
            {"owner": "TRAINING", "code": "lr=1e-6", "source": "P", "note": "table 7"},
            {"owner": "TRAINING", "code": "siblings=4", "source": "O", "note": "the paper has 8"},
            {"owner": "TRAINING", "code": "kl=0.04", "source": "C", "note": "train.py line 41"},
            {"owner": "SAMPLING", "code": "temperature=1.0", "source": "L", "note": ""},
            {"owner": "SAMPLING", "code": "max_tokens=128", "source": "I", "note": "from the figures"},
        ],
        "settings": {"name": "look_and_point", "seed": seed, "stages.0.steps": 6, "stages.1.steps": 12, "stages.1.siblings": 4,
                     "stages.1.algorithm.name": "grpo", "model.path": "tiny-grounding"},
    }  # fmt: skip


def checked() -> dict[str, Any]:
    """check.json."""
    findings = [
        {"level": "error", "kind": "apart", "what": "1 picture of val is trained on", "rows": ["box_train/0 = box_val/leak"], "whys": [],
         "of": 15, "advice": "leave it out of training", "count": 1},
        {"level": "warning", "kind": "gold", "what": "accuracy: the gold answer earns 0.5 of 1", "rows": ["box_train/0", "box_train/7"],
         "whys": ["IoU 0.50", "IoU 0.50"], "of": 42, "advice": "look at the frame of the boxes", "count": 2},
        {"level": "note", "kind": "tokens", "what": "prompts have 76 to 120 tokens", "rows": [], "whys": [], "of": 0, "advice": "", "count": 0},
    ]  # fmt: skip
    parts = [
        {"name": "stage rl", "about": "2,000 samples", "findings": findings},
        {"name": "evaluation val", "about": "", "findings": []},
    ]
    return {"recipe": "look_and_point", "is_sound": False, "errors": 1, "warnings": 1, "notes": 1, "parts": parts}


def summary(
    moments: Mapping[str, Mapping[str, float]], *, sizes: Mapping[str, int], steps: Mapping[str, int], seed: int = 0
) -> dict[str, Any]:
    """summary.json from the figures of each moment, the first before training and the last after it."""

    def measured(name: str, figures: Mapping[str, float]) -> dict[str, Any]:
        def estimate(mode: str) -> dict[str, float]:
            mean = figures[f"eval/{name}/{mode}"]
            return {"mean": mean, "low": max(0.0, mean - 0.2), "high": min(1.0, mean + 0.2)}

        own = {key: value for key, value in figures.items() if key.startswith(f"eval/{name}/")}
        return {
            "n": sizes[name], "is_shifted": "shifted" in name, "selects": name == "val", "greedy": estimate("greedy"),
            "sampled": estimate("sampled"), "metrics": own,
        }  # fmt: skip

    first, *_, last = moments
    stages = [name for name in moments if name != first]
    kinds = {
        name: {key: measured(name, moments[first])[key] for key in ("n", "is_shifted", "selects")} for name in sizes
    }
    return {
        "recipe": "look_and_point", "settings": recipe(seed=seed)["settings"], "seed": seed, "seconds": 93.5, "steps": dict(steps),
        "bad_rows": {"train (train)": 2, "val (val)": 0}, "chosen": f"{last}-{steps[last]}",
        "evaluations": {
            name: {"before": measured(name, moments[first]), "after": measured(name, moments[last]), **kinds[name]} for name in sizes
        },
        "after_stage": {stage: {name: measured(name, moments[stage]) for name in sizes} for stage in stages},
        "warnings": ["2 of 2002 rows of train (train) cannot be read and are left out; the first is box_train/17: no picture"],
        "environment": {"python": "3.11.7", "torch": "2.15.0", "platform": "Linux", "cpu": "2 cores"},
    }  # fmt: skip
