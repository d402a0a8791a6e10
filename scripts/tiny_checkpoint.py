"""The tiny model untrained: its tokenizer, its sizes, and how problems become its inputs."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from tiny_lessons import STYLES, TASKS, answer_in, draw_puzzle
from torch import Tensor

from saccade.data.miniature import digits, solids
from saccade.data.miniature.puzzle import Puzzle
from saccade.recipes.reason_rft.prompts import template

PATCH, MERGE = 14, 2
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- elif part['type'] == 'video' -%}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{%- elif part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
PROMPT_WEIGHT = 0.2  # loss weight of prompt text, against 1 of the answer: the object lists teach to see


def make_processor(rng: np.random.Generator, vocabulary: int = 704):
    """Our own byte-level BPE learned from the miniature's texts, Qwen2-VL's picture steps, and our chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2_5_VLProcessor, Qwen2Tokenizer, Qwen2VLImageProcessor, Qwen2VLVideoProcessor
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    pool, texts = digits.scans("train"), []
    for task in TASKS:
        for _ in range(1500):
            puzzle = draw_puzzle(rng, task, pool, is_ood=rng.random() < 0.1)
            texts.append(template(task, puzzle.answer).format(problem=puzzle.problem))
            texts.append(answer_in(str(rng.choice(list(STYLES))), rng, task, puzzle))
    texts += ["user\nassistant\nsystem\n", "Read all the digits. List the objects.\n"] * 50
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.NFC()
    learner.decoder = decoders.ByteLevel()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, min_frequency=20, show_progress=False),
    )
    model = json.loads(learner.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIALS),
        model_max_length=4096,
    )
    size = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 256}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size, patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2),
        video_processor=Qwen2VLVideoProcessor(size=size, patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(processor, seed: int):
    """An untrained Qwen2.5-VL of the tiny size, float32."""
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = processor.tokenizer
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIALS}
    hidden = 128  # rope: a base of 100 and this split let columns, a quarter of a picture apart, turn visibly
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 16) * 16, "hidden_size": hidden, "intermediate_size": 384,
            "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [1, 4, 11]},
            "bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"],
            "tie_word_embeddings": True, "initializer_range": 0.08,
        },
        vision_config={
            "depth": 3, "hidden_size": 96, "intermediate_size": 256, "num_heads": 3, "out_hidden_size": hidden,
            "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": 2, "window_size": 112,
            "fullatt_block_indexes": [2], "tokens_per_second": 2, "initializer_range": 0.08,
        },
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    attend_by_copying(model)
    model.generation_config = GenerationConfig(
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]], pad_token_id=ids["<|endoftext|>"], do_sample=False
    )
    return model


@torch.no_grad()
def attend_by_copying(model, strength: float = 0.3) -> None:
    """Let the text layers' attention begin by passing on what it looks at: output = strength * transposed value.

    From there a model learns where to look in hundreds of steps; from random weights it must find both at once.
    """
    for layer in model.model.language_model.layers:
        attention = layer.self_attn
        value = torch.nn.init.orthogonal_(attention.v_proj.weight)
        per_head = value.view(-1, attention.head_dim, value.shape[1]).repeat_interleave(
            attention.num_key_value_groups, dim=0
        )
        attention.o_proj.weight.copy_(strength * per_head.flatten(0, 1).T)


def save(folder: Path, model, processor) -> None:
    """Write the checkpoint folder beside its place, then move it there."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh)
    processor.save_pretrained(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


@dataclass(frozen=True)
class Drill:
    """One training sample: patches [patches, 3*2*14*14] of its pictures, token ids, loss weight of each token."""

    patches: np.ndarray
    ids: list[int]
    weights: list[float]
    n_pictures: int


class Desk:
    """Turns puzzles into drills and drills into the arguments of the model, exactly as the processor would."""

    def __init__(self, processor) -> None:
        self.tokenizer = processor.tokenizer
        images = processor.image_processor
        self.mean = 255 * np.asarray(images.image_mean, np.float32)
        self.std = 255 * np.asarray(images.image_std, np.float32)
        self.pad = self.tokenizer.pad_token_id
        self.image_id = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.check(processor)

    def patches(self, pictures: tuple[np.ndarray, ...]) -> np.ndarray:
        """Pictures [K, H, W, 3] cut into patches, merged ones next to each other: [K*H*W/196, 3*2*14*14]."""
        pixels = (np.stack(pictures).astype(np.float32) - self.mean) / self.std
        k, h, w, _ = pixels.shape
        block = PATCH * MERGE
        cut = pixels.reshape(k, h // block, MERGE, PATCH, w // block, MERGE, PATCH, 3)
        cut = cut.transpose(0, 1, 4, 2, 5, 7, 3, 6)  # K, block row, block column, row, column, channel, y, x
        cut = np.repeat(cut[..., None, :, :], 2, axis=-3)  # a still picture fills both frames of time
        return cut.reshape(-1, 3 * 2 * PATCH * PATCH)

    def prompt(self, n_pictures: int, text: str) -> str:
        """The chat text up to the answer, image marks not yet expanded."""
        return f"<|im_start|>user\n{IMAGE * n_pictures}{text}<|im_end|>\n<|im_start|>assistant\n"

    def prompt_ids(self, puzzle: Puzzle, text: str) -> list[int]:
        n_tokens = puzzle.pictures[0].shape[0] * puzzle.pictures[0].shape[1] // (PATCH * MERGE) ** 2
        chat = self.prompt(len(puzzle.pictures), text).replace("<|image_pad|>", "<|image_pad|>" * n_tokens)
        return self.tokenizer(chat)["input_ids"]

    def drill(self, puzzle: Puzzle, text: str, answer: str) -> Drill:
        before = self.prompt_ids(puzzle, text)
        after = self.tokenizer(answer + "<|im_end|>")["input_ids"]
        last_image = len(before) - 1 - before[::-1].index(self.image_id)
        weights = [0.0] * (last_image + 2) + [PROMPT_WEIGHT] * (len(before) - last_image - 2) + [1.0] * len(after)
        return Drill(self.patches(puzzle.pictures), before + after, weights, len(puzzle.pictures))

    def batch(self, drills: list[Drill], *, pad_left: bool = False) -> tuple[dict[str, Tensor], Tensor]:
        """Model arguments and loss weights [B, T]."""
        longest = max(len(drill.ids) for drill in drills)
        ids = np.full((len(drills), longest), self.pad)
        seen, weights = np.zeros_like(ids), np.zeros(ids.shape, np.float32)
        for row, drill in enumerate(drills):
            place = slice(longest - len(drill.ids), None) if pad_left else slice(len(drill.ids))
            ids[row, place], seen[row, place], weights[row, place] = drill.ids, 1, drill.weights
        side = int(math.sqrt(len(drills[0].patches) // drills[0].n_pictures))
        grid = torch.tensor([[1, side, side]]).repeat(sum(drill.n_pictures for drill in drills), 1)
        inputs = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(seen),
            "mm_token_type_ids": torch.from_numpy((ids == self.image_id).astype(np.int64)),
            "pixel_values": torch.from_numpy(np.concatenate([drill.patches for drill in drills])),
            "image_grid_thw": grid,
        }
        return inputs, torch.from_numpy(weights)

    def check(self, processor) -> None:
        """That this shortcut gives what the processor gives; raises AssertionError when it does not."""
        puzzle = solids.spatial(np.random.default_rng(0))
        content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "What? 12"}]
        chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        images = [PIL.Image.fromarray(picture) for picture in puzzle.pictures]
        theirs = processor(text=[chat], images=images, return_tensors="pt")
        assert theirs["input_ids"][0].tolist() == self.prompt_ids(puzzle, "What? 12")
        assert np.abs(theirs["pixel_values"].numpy() - self.patches(puzzle.pictures)).max() < 1e-4
