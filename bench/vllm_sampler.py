"""The same sampling with vLLM on the CPU (offline `LLM`, prefix cache on); prints one JSON line.

Runs in its own virtual environment, since vLLM pins another torch; `bench/README.md` says how to make it.
One request per prompt with `n=siblings`, as vLLM shares the prompt's cache between them. Every run has new pictures.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.update(
    HF_HUB_OFFLINE="1",
    VLLM_NO_USAGE_STATS="1",
    DO_NOT_TRACK="1",
    VLLM_LOGGING_LEVEL="WARNING",
    VLLM_CPU_KVCACHE_SPACE="2",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_CPU_OMP_THREADS_BIND="nobind",
    OMP_NUM_THREADS="2",
)

from transformers import AutoProcessor
from vllm import LLM, SamplingParams

from bench import settings


def run(setting, folder, *, steps, dtype="float32", eager=False):
    """Samples `steps` times the prompts of one step and returns the JSON line; the first time is the warm-up."""
    processor = AutoProcessor.from_pretrained(folder)
    words = settings.question(setting, processor)
    text = processor.apply_chat_template(settings.conversation(words), add_generation_prompt=True, tokenize=False)
    engine = LLM(
        model=str(folder),
        dtype=dtype,
        max_model_len=setting.prompt_tokens + setting.answer_tokens,
        max_num_seqs=setting.rows,
        enable_prefix_caching=True,
        enforce_eager=eager,
        limit_mm_per_prompt={"image": 1, "video": 0},
    )
    sampling = SamplingParams(
        n=setting.siblings,
        temperature=1.0,
        max_tokens=setting.answer_tokens,
        ignore_eos=True,
        detokenize=False,
        logprobs=0,
    )
    seconds = []
    for step in range(steps):
        seeds = range(step * setting.prompts, (step + 1) * setting.prompts)
        prompts = [
            {"prompt": text, "multi_modal_data": {"image": settings.picture(setting.side, seed)}} for seed in seeds
        ]
        start = time.perf_counter()
        outputs = engine.generate(prompts, sampling, use_tqdm=False)
        seconds.append(time.perf_counter() - start)
        lengths = [len(answer.token_ids) for output in outputs for answer in output.outputs]
        prompt_lengths = {len(output.prompt_token_ids) for output in outputs}
        if lengths != [setting.answer_tokens] * setting.rows or prompt_lengths != {setting.prompt_tokens}:
            raise RuntimeError(f"vLLM did other work: prompts {prompt_lengths}, answers {lengths}")
    median = statistics.median(seconds[1:])
    return json.dumps(
        dict(
            side="vllm",
            setting=setting.name,
            dtype=dtype,
            sampling=median,
            tokens_per_second=setting.sampled_tokens / median,
            steps=steps - 1,
            each=seconds,
            tokens=setting.sampled_tokens,
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", choices=settings.SETTINGS)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--eager", action="store_true")
    arguments = parser.parse_args()
    setting = settings.SETTINGS[arguments.setting]
    print(run(setting, arguments.model, steps=arguments.steps, dtype=arguments.dtype, eager=arguments.eager))
