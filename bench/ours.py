"""The same GRPO steps with Saccade: its policy, its sampler and its optimizer step; prints one JSON line."""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from bench import measure, settings
from saccade.algo.named import grpo
from saccade.core.picture import Picture
from saccade.core.sample import Message, Sample
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.matmul import choose_matmul
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.run.step import experience, optimizer_step

ALGORITHM = grpo(beta=0.0, eps=1e-4)


def problems(setting, processor, steps):
    """The samples of each step, every picture another one."""
    words = settings.question(setting, processor)

    def sample(seed):
        picture = Picture.of(settings.picture(setting.side, seed))
        return Sample(id=str(seed), messages=(Message("user", (picture, words)),), target=seed)

    return [[sample(step * setting.prompts + i) for i in range(setting.prompts)] for step in range(steps)]


def scored(group):
    """The group with the benchmark's seeded rewards."""
    rewards = [settings.reward(group.sample.target, i) for i in range(len(group.rollouts))]
    return replace(group, rollouts=tuple(r.scored({}, x) for r, x in zip(group.rollouts, rewards, strict=True)))


def one_step(policy, samples, setting, *, watch, seed):
    """Samples, scores and learns once; `other` is the processor, the decoding of text and the rewards."""
    sampling = Sampling(max_tokens=setting.answer_tokens, min_tokens=setting.answer_tokens)
    with watch.part("other"):
        prompts = [policy.encode(sample) for sample in samples]
    with watch.part("sampling"):
        groups = policy.sample(samples, n=setting.siblings, sampling=sampling, seed=seed)
    with watch.part("other"):
        groups = [scored(group) for group in groups]
    with watch.part("learning"):
        lessons, _ = experience(policy, groups, algorithm=ALGORITHM)
        optimizer_step(policy, lessons, algorithm=ALGORITHM, lr=settings.LEARNING_RATE)
    lengths = {len(rollout.token_T) for group in groups for rollout in group.rollouts}
    if {len(p) for p in prompts} != {setting.prompt_tokens} or lengths != {setting.answer_tokens}:
        raise RuntimeError(f"other work was done: prompts {[len(p) for p in prompts]}, answers {lengths}")


def run(setting, folder, *, steps):
    """Trains `steps` steps and returns the JSON line; the first step is the warm-up."""
    torch.set_num_threads(settings.THREADS)
    choose_matmul()  # as the saccade command does
    policy = TransformersPolicy.load(ModelSpec(path=str(folder), device="cpu"))
    policy.start_optimizer(Optimization(lr=settings.LEARNING_RATE, max_grad_norm=settings.MAX_GRAD_NORM))
    watch, times = measure.Stopwatch(), []
    work = problems(setting, policy.processor, steps)
    before_mb = measure.resident_mb()
    for step, samples in enumerate(work):
        start = time.perf_counter()
        one_step(policy, samples, setting, watch=watch, seed=step)
        times.append(watch.take() | {"whole": time.perf_counter() - start})
    return measure.line(
        side="ours",
        setting=setting,
        steps=times,
        before_mb=before_mb,
        tokens=setting.sampled_tokens,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", choices=settings.SETTINGS)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--siblings", type=int)
    parser.add_argument("--side", type=int)
    parser.add_argument("--answer-tokens", type=int)
    arguments = parser.parse_args()
    setting = settings.SETTINGS[arguments.setting]
    for option in ("siblings", "side", "answer_tokens"):
        if value := getattr(arguments, option):
            setting = settings.varied(setting, option, value)
    print(run(setting, arguments.model, steps=arguments.steps))
