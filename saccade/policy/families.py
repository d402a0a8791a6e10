"""What one vision-language architecture does differently from another, said once per family.

Everything above this file treats all models alike. A family says where its vision tower, connector and language model
live, how positions are counted, how many feature vectors a picture becomes, and how the picture tensors of several prompts
are joined. A new family is one more entry in `FAMILIES` and one more case of `tests/test_exactness.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Features = Mapping[str, Tensor]

# Names of tokens that stand for, or wrap, pictures and video in any family's tokenizer.
VISION_TOKEN = re.compile(r"image|img|vision|video|<row_\d+_col_\d+>", re.IGNORECASE)


class UnsupportedModel(ValueError):
    """A checkpoint that is no vision-language model, or of a family that Saccade does not know."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One architecture. Module paths are relative to the base model (`model.model`), all lists in reading order.

    positions(config, token_P, features) -> [A, P]     the model's own position ids of a prompt
    n_features(config, features) -> [K]                vectors that each picture becomes; None where only the model knows
    sizes(config, features) -> [(width, height)]       at which the model sees each picture; empty where it sees tiles
    join(features of several prompts) -> features      as if one prompt held all their pictures
    """

    name: str
    model_types: tuple[str, ...]
    vision: tuple[str, ...]
    connector: tuple[str, ...]
    language: str
    positions: Callable[[Any, Tensor, Features], Tensor]
    n_features: Callable[[Any, Features], list[int]]
    sizes: Callable[[Any, Features], list[tuple[int, int]]]
    join: Callable[[Sequence[Features]], dict[str, Tensor]]

    def part_of(self, parameter: str) -> str:
        """Which part a parameter of the base model belongs to: 'connector', 'vision' or 'language'."""
        # The connector first: Qwen keeps it inside the vision tower.
        for part, paths in (("connector", self.connector), ("vision", self.vision)):
            if any(parameter == path or parameter.startswith(path + ".") for path in paths):
                return part
        return "language"


def family_of(config: Any) -> Family:
    """The family of a model configuration. UnsupportedModel, in one sentence, where there is none."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    for family in FAMILIES:
        if config.model_type in family.model_types:
            return family
    known = ", ".join(f"{family.name} ({', '.join(family.model_types)})" for family in FAMILIES)
    if config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise UnsupportedModel(
            f"the vision-language family {config.model_type!r} is not known to Saccade; known are {known}; "
            "add an entry to saccade/policy/families.py"
        )
    raise UnsupportedModel(f"{config.model_type!r} is not a vision-language model; Saccade trains {known}")


def one_axis(config: Any, token_P: Tensor, features: Features) -> Tensor:
    """Ordinary positions 0, 1, 2, ...: [1, P]."""
    return torch.arange(len(token_P))[None]


def mrope(config: Any, token_P: Tensor, features: Features) -> Tensor:
    """Qwen's multimodal rotary positions (time, height, width), [3, P] (Qwen2-VL, arXiv 2409.12191, section 2.1).

    Text counts on all three axes alike. A picture's tokens share one time and count rows and columns of the merged patch
    grid; the text after it continues one past the largest position.
    """
    merge = config.vision_config.spatial_merge_size
    grids = features["image_grid_thw"].tolist() if "image_grid_thw" in features else []
    is_image = (token_P == config.image_token_id).tolist()
    rows, at, p = [], 0, 0
    pictures = iter(grids)
    while p < len(is_image):
        if not is_image[p]:
            rows.append(torch.tensor([[at], [at], [at]]))
            at, p = at + 1, p + 1
            continue
        t, h, w = next(pictures, (0, 0, 0))
        h, w = h // merge, w // merge
        if t != 1 or p + h * w > len(is_image) or not all(is_image[p : p + h * w]):
            raise ValueError("the prompt's image tokens do not match its picture grids")
        tall, wide = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
        rows.append(torch.stack([torch.zeros_like(tall), tall, wide]) + at)
        at, p = at + max(h, w), p + h * w
    return torch.cat(rows, dim=1)


def _qwen_features(config: Any, features: Features) -> list[int]:
    merge = config.vision_config.spatial_merge_size
    return [int(t * h * w) // merge**2 for t, h, w in features["image_grid_thw"].tolist()]


def _qwen_sizes(config: Any, features: Features) -> list[tuple[int, int]]:
    patch = config.vision_config.patch_size
    return [(int(w) * patch, int(h) * patch) for _, h, w in features["image_grid_thw"].tolist()]


def _no_sizes(config: Any, features: Features) -> list[tuple[int, int]]:
    return []


def _join_rows(parts: Sequence[Features]) -> dict[str, Tensor]:
    """Pictures lie along the first axis of every tensor."""
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


_QWEN: dict[str, Any] = dict(
    vision=("visual",), language="language_model", positions=mrope,
    n_features=_qwen_features, sizes=_qwen_sizes, join=_join_rows,
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    Family(name="Qwen2-VL", model_types=("qwen2_vl",), connector=("visual.merger",), **_QWEN),
    Family(name="Qwen2.5-VL", model_types=("qwen2_5_vl",), connector=("visual.merger",), **_QWEN),
    Family(
        name="Qwen3-VL",
        model_types=("qwen3_vl",),
        connector=("visual.merger", "visual.deepstack_merger_list"),
        **_QWEN,
    ),
)
