"""The same GRPO steps with TRL's `GRPOTrainer`, used as its documentation says; prints one JSON line.

Settings are the fastest a TRL user could choose here at the same mathematics: no reference model (beta 0), no
gradient checkpointing, float32, no logging, no saving. `--micro` rows are learned at a time (all rows by default);
less saves memory. The user's reward function is the seeded random one of `bench.settings`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import torch
from datasets import Dataset
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from bench import measure, settings


class StepTimes(TrainerCallback):
    """Splits each optimizer step: `sampling` is the generate call, `learning` everything after the samples are scored."""

    def __init__(self):
        self.steps = []
        self.watch = measure.Stopwatch()
        self.last = self.before_mb = None
        self.sampled = 0

    def on_train_begin(self, args, state, control, **kwargs):
        self.before_mb = measure.resident_mb()
        self.last = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        now = time.perf_counter()
        seconds = self.watch.take()
        whole = now - self.last
        sampling, other = seconds["sampling"], seconds["data"] + seconds["prepare"] - seconds["sampling"]
        self.steps.append(dict(sampling=sampling, other=other, learning=whole - sampling - other, whole=whole))
        self.last = now

    def attach(self, trainer):
        """Wraps the trainer's data, preparation and generate calls with the watch."""
        model = trainer.model
        generate, prepare, fetch = model.generate, trainer._prepare_inputs, trainer.get_batch_samples

        def timed_generate(*args, **kwargs):
            with self.watch.part("sampling"):
                ids = generate(*args, **kwargs)
            self.sampled = ids[:, kwargs["input_ids"].shape[1] :].shape
            return ids

        def timed_prepare(*args, **kwargs):
            with self.watch.part("prepare"):
                return prepare(*args, **kwargs)

        def timed_fetch(*args, **kwargs):
            with self.watch.part("data"):
                return fetch(*args, **kwargs)

        model.generate, trainer._prepare_inputs, trainer.get_batch_samples = timed_generate, timed_prepare, timed_fetch
        trainer.add_callback(self)


def rows(setting, processor, steps):
    """TRL's on-disk form of the problems: a conversational prompt and one picture a row."""
    words = settings.question(setting, processor)
    seeds = range(setting.prompts * steps)
    return Dataset.from_dict(
        {
            "prompt": [[{"role": "user", "content": words}] for _ in seeds],
            "image": [settings.picture(setting.side, seed) for seed in seeds],
            "seed": list(seeds),
        }
    )


def run(setting, folder, *, steps, micro=None):
    """Trains `steps` steps and returns the JSON line; the first step is the warm-up."""
    torch.set_num_threads(settings.THREADS)
    processor = AutoProcessor.from_pretrained(folder)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    micro = micro or setting.rows
    accumulation = setting.rows // micro

    def seeded(completions, seed, **columns):
        return [settings.reward(s, i % setting.siblings) for i, s in enumerate(seed)]

    with tempfile.TemporaryDirectory() as output:
        config = GRPOConfig(
            output_dir=output,
            use_cpu=True,
            bf16=False,
            max_steps=steps,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=accumulation,
            gradient_checkpointing=False,
            learning_rate=settings.LEARNING_RATE,
            max_grad_norm=settings.MAX_GRAD_NORM,
            lr_scheduler_type="constant",
            optim="adamw_torch",
            num_generations=setting.siblings,
            max_completion_length=setting.answer_tokens,
            num_iterations=1,
            loss_type="grpo",
            beta=0.0,
            temperature=1.0,
            use_vllm=False,
            generation_kwargs=dict(suppress_tokens=processor.tokenizer.all_special_ids),
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            shuffle_dataset=False,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=seeded,
            args=config,
            train_dataset=rows(setting, processor, steps),
            processing_class=processor,
        )
        times = StepTimes()
        times.attach(trainer)
        trainer.train()
    if tuple(times.sampled) != (setting.rows, setting.answer_tokens):
        raise RuntimeError(f"TRL sampled {tuple(times.sampled)}, want {(setting.rows, setting.answer_tokens)}")
    return measure.line(
        side="trl",
        setting=setting,
        steps=times.steps,
        before_mb=times.before_mb,
        tokens=setting.sampled_tokens,
        micro=micro,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", choices=settings.SETTINGS)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--micro", type=int)
    arguments = parser.parse_args()
    print(run(settings.SETTINGS[arguments.setting], arguments.model, steps=arguments.steps, micro=arguments.micro))
