"""Algorithms side by side at an equal budget of rollouts: Reason-RFT's counting task, RL without SFT, the embedded model.

    python -m bench.algorithms                           the table of docs/algorithms.md (about 20 minutes on two cores)
    python -m bench.algorithms grpo dapo --seeds 1       a part of it

Every run has the same model, data, rewards, learning rate and sampling, and stops when it has sampled its budget: dynamic sampling
pays for what it throws away. Two updates follow each sampling, so that ratios and clips matter; algorithms without a ratio take
one. No checkpoint is chosen: what is measured is the policy at a quarter of the budget and at its end. "Right while training" is the
share of right answers among all that were sampled: the area under the learning curve. Each run is a process of its own with one
thread, so that its figures do not depend on load; `--jobs` run at once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

CHOSEN = ("grpo", "dr_grpo", "dapo", "gspo", "rloo", "reinforce_pp", "reinforce_pp_baseline", "cispo", "sapo", "bnpo")
PROMPTS, SIBLINGS, UPDATES = 16, 8, 2
BUDGET = 20 * PROMPTS * SIBLINGS  # rollouts
EARLY = 0.25  # of the budget, after which the policy is measured once more
SHOWN = "counting-id"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("algorithms", nargs="*", default=CHOSEN, metavar="ALGORITHM", help=f"default: {' '.join(CHOSEN)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=BUDGET, help="rollouts of each run")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--out", type=Path, help="also write one JSON line per run here; runs that stand there are not done again")
    parser.add_argument("--run", type=int, metavar="SEED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        print(json.dumps(run(options.algorithms[0], seed=options.run, budget=options.budget)))
        return
    known = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out and options.out.exists() else []
    done = {(one["algorithm"], one["seed"]): one for one in known if one["budget"] == options.budget}
    wanted = [(name, seed) for seed in range(options.seeds) for name in options.algorithms]
    with ThreadPoolExecutor(options.jobs) as pool:
        for one in pool.map(lambda job: in_process(*job, options.budget), [job for job in wanted if job not in done]):
            done[one["algorithm"], one["seed"]] = one
            print(json.dumps(one), file=sys.stderr, flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(one) + "\n")
    print("\n".join(table([done[job] for job in wanted], options.algorithms)))


def in_process(name: str, seed: int, budget: int) -> dict:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "bench.algorithms", name, "--run", str(seed), "--budget", str(budget)]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"{name} with seed {seed} failed:\n{found.stderr}")
    return json.loads(found.stdout.splitlines()[-1])


def run(name: str, *, seed: int, budget: int) -> dict:
    """Train with one algorithm until the budget is spent; what it was like before and after."""
    import torch

    from saccade.algo.named import named
    from saccade.algo.surrogates import policy_gradient
    from saccade.policy.loading import silence_progress_bars
    from saccade.policy.matmul import choose_matmul
    from saccade.recipes.reason_rft import recipe
    from saccade.run.learn import learn
    from saccade.run.memory import Memory
    from saccade.run.train import load_policy

    torch.set_num_threads(1)
    choose_matmul()
    silence_progress_bars()
    made = recipe(variant="rft_zero", task="counting", seed=seed)
    algorithm = named(name, limit=made.stages[-1].sampling.max_tokens)
    stage = replace(
        made.stages[-1],
        algorithm=algorithm,
        steps=budget // (PROMPTS * SIBLINGS),
        prompts=PROMPTS,
        siblings=SIBLINGS,
        updates_per_rollout=1 if algorithm.surrogate is policy_gradient else UPDATES,
    )
    policy = load_policy(made)
    policy.start_optimizer(stage.optimization)
    if algorithm.needs_reference:
        policy.hold_reference()
    before = measured(policy, made, seed)
    memory, step, early, right, flat = Memory(), 0, None, [], []
    while len(right) < budget:
        if early is None and len(right) >= budget * EARLY:
            early = measured(policy, made, seed)
        asked = stage.round(policy, step, seed=seed, memory=memory)
        learn(policy, stage, asked, step=step, seed=seed, memory=memory)
        right += [rollout.scores["accuracy"].value for group in asked.asked for rollout in group.rollouts]
        flat += [group.is_flat for group in asked.asked]
        step += 1
    about = {"algorithm": name, "seed": seed, "budget": budget, "rollouts": len(right), "steps": step}
    sampled = {"during": fmean(right), "flat": fmean(flat)}
    return {**about, **sampled, "before": before, "early": early, "after": measured(policy, made, seed)}


def measured(policy, recipe, seed: int) -> dict[str, float]:
    """Score, share that reasons and length on the test set."""
    from saccade.run.evaluate import measure
    from saccade.run.seeds import derive

    (evaluation,) = (one for one in recipe.evaluations if one.name == SHOWN)
    metrics = measure(policy, evaluation, seed=derive(seed, "evaluation", SHOWN)).metrics
    return {key: metrics[f"eval/{SHOWN}/{key}"] for key in ("sampled", "greedy", "reasons", "tokens")}


def table(runs: list[dict], names: list[str]) -> list[str]:
    """Means over seeds, with the standard deviation over seeds where there are several, as Markdown."""
    lines = ["| algorithm | steps | right while training | sampled before | at a quarter | after | greedy after | reasons after | flat groups |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        own = [one for one in runs if one["algorithm"] == name]
        cells = [
            f"{fmean(one['steps'] for one in own):.0f}",
            spread([100 * one["during"] for one in own]),
            *(spread([100 * one[moment]["sampled"] for one in own]) for moment in ("before", "early", "after")),
            spread([100 * one["after"]["greedy"] for one in own]),
            spread([100 * one["after"]["reasons"] for one in own]),
            spread([100 * one["flat"] for one in own]),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def spread(values: list[float]) -> str:
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
