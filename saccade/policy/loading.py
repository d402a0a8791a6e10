"""From a checkpoint's name to a model that is ready to sample and learn, or one clear sentence why not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from saccade.policy import attention
from saccade.policy.embedded import EMBEDDED
from saccade.policy.families import FAMILIES, VISION_TOKEN, CutsPictures, Family, UnsupportedModel, family_of
from saccade.policy.spec import ModelSpec


def load_model(spec: ModelSpec) -> tuple[nn.Module, Any, Family]:
    """(model, processor, family) of a spec, frozen, adapted and placed as it says."""
    path = _path(spec)
    _, family = _config(path)
    # Weights that will train in float32 are not rounded to bfloat16 on the way.
    dtype = torch.float32 if spec.dtype == "bfloat16" and spec.lora is None else getattr(torch, spec.dtype)
    try:
        model, found = AutoModelForImageTextToText.from_pretrained(
            path, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except _CANNOT_LOAD as error:
        raise UnsupportedModel(f"the {family.name} checkpoint {path} cannot be loaded: {_first_line(error)}") from error
    # transformers would go on with random weights in their place.
    absent = sorted(found["missing_keys"]) + sorted(name for name, *_ in found["mismatched_keys"])
    if absent:
        raise UnsupportedModel(
            f"the {family.name} checkpoint {path} lacks {len(absent)} of its weights or has them in another shape than its "
            f"config.json says, the first is {absent[0]}"
        )
    _, processor, _ = load_processor(spec)
    return prepare(model.to(_device(spec.device)), family, spec=spec), processor, family


def load_processor(spec: ModelSpec) -> tuple[Any, Any, Family]:
    """(config, processor, family) of a spec: all that reading samples takes, and no weights."""
    path = _path(spec)
    config, family = _config(path)
    try:
        processor = AutoProcessor.from_pretrained(path)
    except _CANNOT_LOAD as error:
        raise UnsupportedModel(f"the {family.name} checkpoint {path} cannot be loaded: {_first_line(error)}") from error
    if not (hasattr(processor, "tokenizer") and hasattr(processor, "image_processor")):
        raise UnsupportedModel(f"the {family.name} checkpoint {path} has no image processor; add its preprocessor files")
    _bound_pixels(processor, spec, family)
    return config, processor, family


def require_whole_pictures(spec: ModelSpec, *, of: str) -> None:
    """CutsPictures where the checkpoint's family cuts pictures into tiles, by its config.json alone.

    `of` is who tells places in pixels of the picture as the model sees it.
    """
    _, family = _config(_path(spec))
    if family.sees_whole_pictures:
        return
    whole = ", ".join(one.name for one in FAMILIES if one.sees_whole_pictures)
    raise CutsPictures(
        f"{of} tells places in pixels of the picture as the model sees it, and {family.name} cuts pictures into tiles, so "
        f"that there are none; take a model that sees pictures whole ({whole}), or another frame where the recipe offers one "
        "(--with frame=mille)"
    )


_CANNOT_LOAD = (OSError, ValueError, ImportError, SafetensorError)


def _path(spec: ModelSpec) -> str:
    """Where the checkpoint is. UnsupportedModel for adapters alone."""
    path = str(EMBEDDED.get(spec.path, spec.path))
    if Path(path, "adapter_config.json").exists():
        raise UnsupportedModel(f"{path} is an adapter, not a whole model; `saccade export` its run, or give the base model")
    return path


def _config(path: str) -> tuple[Any, Family]:
    try:
        # Without an explicit no, transformers would ask on the terminal whether to run the checkpoint's own code.
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError, StrictDataclassError) as error:
        raise UnsupportedModel(_why_no_config(path, error)) from error
    return config, family_of(config)


def silence_progress_bars() -> None:
    """Leave the terminal to our own progress: no bars of transformers while it loads and writes."""
    logging.disable_progress_bar()


def prepare(model: nn.Module, family: Family, *, spec: ModelSpec) -> nn.Module:
    """A loaded model with our attention, no dropout, and only the parts that train requiring gradients."""
    text = model.config.get_text_config()
    _refuse_sliding_windows(model, text)
    model.model.get_submodule(family.language).config._attn_implementation = attention.NAME
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for attribute in ("attention_dropout", "dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
    for name, parameter in model.named_parameters():
        part = family.part_of(name.removeprefix("model.")) if name.startswith("model.") else "language"
        parameter.requires_grad_(part not in spec.freeze)
    if spec.lora is not None:
        model = _with_lora(model, family, spec)
    if spec.gradient_checkpointing:
        # Non-reentrant: the reentrant kind needs inputs that require gradients, which frozen embeddings do not give.
        # Its older name warns in new versions of transformers, its newer one is missing in old ones.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if spec.dtype == "bfloat16":
        _store_mixed(model, family)
    return model


def _store_mixed(model: nn.Module, family: Family) -> None:
    """Trained weights in float32, frozen ones in bfloat16."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.float32 if parameter.requires_grad else torch.bfloat16)
    hf = model.get_base_model() if hasattr(model, "get_base_model") else model
    first, embeddings = next(hf.parameters()), hf.get_input_embeddings()
    if family.mixes_by_first_weight and first.dtype != embeddings.weight.dtype:
        first.data = first.data.float()
        embeddings.register_forward_hook(_in_float32)


def _in_float32(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output.float()


def vision_token_ids(config: Any, tokenizer: Any, *, n_logits: int | None = None) -> set[int]:
    """Every id that stands for or wraps a picture or video; a policy that samples one would break its own positions.

    Of those that the model has logits for, where `n_logits` says how many it has.
    """
    ids = {i for token, i in tokenizer.get_added_vocab().items() if VISION_TOKEN.search(token)}
    for key, value in config.to_dict().items():
        if re.fullmatch(r"(image|video|vision_start|vision_end)_token_(id|index)", key) and isinstance(value, int):
            ids.add(value)
    return {i for i in ids if n_logits is None or i < n_logits}


def _with_lora(model: nn.Module, family: Family, spec: ModelSpec) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith("model.")
        and family.part_of(name.removeprefix("model.")) in spec.lora.parts
    ]
    config = LoraConfig(r=spec.lora.rank, lora_alpha=spec.lora.alpha, lora_dropout=0.0, target_modules=targets)
    return get_peft_model(model, config)


def _refuse_sliding_windows(model: nn.Module, text: Any) -> None:
    if "sliding_attention" in (getattr(text, "layer_types", None) or ()):
        raise UnsupportedModel(
            f"{model.config.model_type} with sliding-window layers is not supported: a group's siblings would need "
            "windows of their own; use a checkpoint with full attention"
        )


def _bound_pixels(processor: Any, spec: ModelSpec, family: Family) -> None:
    bounds = {"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels}  # so the Qwen processors call areas
    bounds = {key: value for key, value in bounds.items() if value is not None}
    if bounds and not family.has_pixel_bounds:
        given = {"min_pixels": spec.min_pixels, "max_pixels": spec.max_pixels}
        unset = " ".join(f"--set model.{name}=None" for name, value in given.items() if value is not None)
        raise UnsupportedModel(f"{family.name} cuts pictures into tiles and has no min_pixels and max_pixels; take them out, {unset}")
    if bounds:
        images = processor.image_processor
        images.size = type(images.size)(**{**dict(images.size), **bounds})


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UnsupportedModel(f"the device {name!r} cannot be used here: {_first_line(error)}; take auto or cpu") from error


def _why_no_config(path: str, error: Exception) -> str:
    if Path(path).is_dir():
        return f"the folder {path} is not a Hugging Face checkpoint that transformers can read: {_first_line(error)}"
    if path.startswith((".", "/", "~")):
        return f"there is no model folder {path}; give an existing folder or a Hugging Face name such as Qwen/Qwen2.5-VL-3B-Instruct"
    return f"the model {path!r} is neither a folder here nor reachable on the Hugging Face hub: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
