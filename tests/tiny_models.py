"""Tiny random checkpoint folders of every supported family, with real processors and tokenizers, made without a network.

    folder = make("SmolVLM", tmp_path / "smolvlm")         # an ordinary Hugging Face checkpoint
    policy = TransformersPolicy.load(ModelSpec(path=str(folder), dtype="float64"))

Weights are drawn wide, so that attention is far from uniform and a wrong mask or position shows; dropout is on in the
configuration, so that a policy that forgets to switch it off shows, too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

WORDS = "how many digits are in this picture what is the sum of two and three user assistant system answer " * 20
ROW_COLUMN = tuple(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7))
QWEN = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
IDEFICS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>", "<end_of_utterance>",
    "<global-img>", *ROW_COLUMN,
)  # fmt: skip
INTERN = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>",
    "</ref>", "<box>", "</box>", "<video>",
)  # fmt: skip
LLAVA = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")

TEXT = dict(
    hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=2048, attention_dropout=0.3, bos_token_id=None,
)  # fmt: skip


def pictures(*sizes: tuple[int, int], seed: int) -> list[PIL.Image.Image]:
    """Noise pictures of these (width, height)."""
    rng = np.random.default_rng(seed)
    return [PIL.Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def make(family: str, folder: Path, *, seed: int = 0) -> Path:
    """A fresh checkpoint of a family (a key of `MAKERS`) in `folder`, which is returned."""
    torch.manual_seed(seed)
    model, processor = MAKERS[family]()
    _widen(model)
    tokenizer = processor.tokenizer
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@torch.no_grad()
def _widen(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=1.2 * parameter[0].numel() ** -0.5)
        elif "norm" in name and name.endswith("weight"):
            parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
        else:
            parameter.normal_(std=0.2)
    model.get_input_embeddings().weight.normal_(std=0.3)
    model.tie_weights()


def tokenizer(specials: tuple[str, ...], *, eos: str, **names: str) -> Any:
    """A byte-level BPE of about 300 tokens, ending with these special ones; `names` become its attributes."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core.train_from_iterator(
        [WORDS], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    core.add_special_tokens(list(specials))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=eos, pad_token="<|endoftext|>", extra_special_tokens=names
    )


def _template(image: str, *, end: str = "<|im_end|>") -> str:
    return (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}" + end + "\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def _text(words: Any, **more: Any) -> dict[str, Any]:
    return dict(
        TEXT, vocab_size=len(words) + 5, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, **more
    )


def _qwen(generation: str, *, patch: int = 14, tied: bool) -> tuple[nn.Module, Any]:
    words = tokenizer(QWEN, eos="<|im_end|>")
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": 16 * (2 * patch) ** 2}
    steps = dict(size=size, patch_size=patch, merge_size=2, temporal_patch_size=2)
    class_of = functools.partial(getattr, transformers)
    video = class_of("Qwen3VLVideoProcessor" if generation == "Qwen3VL" else "Qwen2VLVideoProcessor")
    processor = class_of(f"{generation}Processor")(
        image_processor=transformers.Qwen2VLImageProcessor(**steps),
        video_processor=video(**steps),
        tokenizer=words,
        chat_template=_template("<|vision_start|><|image_pad|><|vision_end|>"),
    )
    rope = {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 1, 1]}
    vision: dict[str, Any] = dict(depth=2, num_heads=2, patch_size=patch, spatial_merge_size=2, temporal_patch_size=2)
    match generation:
        case "Qwen2VL":
            vision |= dict(embed_dim=16, hidden_size=32, mlp_ratio=2)
        case "Qwen2_5_VL":
            vision |= dict(
                hidden_size=16, intermediate_size=24, out_hidden_size=32, window_size=4 * patch, fullatt_block_indexes=[1]
            )
        case "Qwen3VL":
            vision |= dict(
                hidden_size=16, intermediate_size=24, out_hidden_size=32, num_position_embeddings=36,
                deepstack_visual_indexes=[0, 1],
            )  # fmt: skip
    more = {"head_dim": 8} if generation == "Qwen3VL" else {}
    config = class_of(f"{generation}Config")(
        text_config=_text(words, rope_parameters=rope, tie_word_embeddings=tied, **more),
        vision_config=vision,
        tie_word_embeddings=tied,
        **{
            f"{name}_token_id": words.convert_tokens_to_ids(token)
            for name, token in (
                ("image", "<|image_pad|>"), ("video", "<|video_pad|>"),
                ("vision_start", "<|vision_start|>"), ("vision_end", "<|vision_end|>"),
            )
        },
    )  # fmt: skip
    return class_of(f"{generation}ForConditionalGeneration")(config), processor


def _siglip() -> dict[str, Any]:
    return dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
        attention_dropout=0.3,
    )  # fmt: skip


def _idefics(name: str, *, tied: bool) -> tuple[nn.Module, Any]:
    words = tokenizer(IDEFICS, eos="<end_of_utterance>")
    steps = dict(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True)
    parts: dict[str, Any] = dict(
        image_processor=getattr(transformers, f"{name}ImageProcessor")(**steps), tokenizer=words, image_seq_len=4,
        chat_template=_template("<image>", end="<end_of_utterance>"),
    )  # fmt: skip
    if name == "SmolVLM":
        parts["video_processor"] = transformers.SmolVLMVideoProcessor()
    config = getattr(transformers, f"{name}Config")(
        text_config=_text(words, model_type="llama", tie_word_embeddings=tied),
        vision_config=_siglip(),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=tied,
    )
    model = getattr(transformers, f"{name}ForConditionalGeneration")(config)
    return model, getattr(transformers, f"{name}Processor")(**parts)


def _internvl() -> tuple[nn.Module, Any]:
    words = tokenizer(
        INTERN, eos="<|im_end|>", start_image_token="<img>", end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    processor = transformers.InternVLProcessor(
        image_processor=transformers.GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=4),
        video_processor=transformers.InternVLVideoProcessor(size=size),
        tokenizer=words,
        image_seq_length=4,
        chat_template=_template("<IMG_CONTEXT>\n"),
    )
    config = transformers.InternVLConfig(
        text_config=_text(words, model_type="qwen2", tie_word_embeddings=True),
        vision_config=dict(_siglip(), image_size=(32, 32), patch_size=(8, 8), hidden_dropout_prob=0.3),
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return transformers.InternVLForConditionalGeneration(config), processor


def _onevision() -> tuple[nn.Module, Any]:
    words = tokenizer(LLAVA, eos="<|im_end|>")
    size, grids = {"height": 32, "width": 32}, [[32, 32], [32, 64], [64, 32], [64, 64]]
    most = "anyres_max_2"  # few, so that a picture of four tiles is shrunk
    processor = transformers.LlavaOnevisionProcessor(
        image_processor=transformers.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=grids),
        video_processor=transformers.LlavaOnevisionVideoProcessor(size=size),
        tokenizer=words,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=most,
        chat_template=_template("<image>\n"),
    )
    config = transformers.LlavaOnevisionConfig(
        text_config=_text(words, model_type="qwen2"),
        vision_config=dict(_siglip(), model_type="siglip_vision_model", vision_use_head=False),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grids,
        vision_aspect_ratio=most,
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor


MAKERS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "Qwen2-VL": functools.partial(_qwen, "Qwen2VL", tied=True),
    "Qwen2.5-VL": functools.partial(_qwen, "Qwen2_5_VL", tied=False),
    "Qwen3-VL": functools.partial(_qwen, "Qwen3VL", patch=16, tied=True),
    "Idefics3": functools.partial(_idefics, "Idefics3", tied=False),
    "SmolVLM": functools.partial(_idefics, "SmolVLM", tied=True),
    "InternVL": _internvl,
    "LLaVA-OneVision": _onevision,
}


def rewrite_config(folder: Path, **values: Any) -> None:
    """Change top-level keys of a checkpoint's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
