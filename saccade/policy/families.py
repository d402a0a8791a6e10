"""What one vision-language architecture does differently from another, said once per family.

Everything above this file treats all models alike. A family says where its vision tower, connector and language model
live, how positions are counted, how many feature vectors a picture becomes, and how the picture tensors of several prompts
are joined. A new family is one more entry in `FAMILIES` and one more case of `tests/test_exactness.py`.
"""

from __future__ import annotations

import math
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


class CutsPictures(UnsupportedModel):
    """A model that cuts pictures into tiles, where places are to be told in pixels of the picture as the model sees it."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One architecture. Module paths are relative to the base model (`model.model`), all lists in reading order.

    positions(config, token_P, features) -> [A, P]     the model's own position ids of a prompt
    n_features(config, features) -> [K]                vectors that each picture becomes, or each tile where tiles are stored
    sizes(config, features) -> [(width, height)]       at which the model sees each picture; empty where it sees tiles
    join(features of several prompts) -> features      as if one prompt held all their pictures
    has_pixel_bounds                                   whether the processor obeys min_pixels and max_pixels
    mixes_by_first_weight                              whether picture vectors take the first weight's type among text vectors
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
    has_pixel_bounds: bool = False
    mixes_by_first_weight: bool = False

    @property
    def sees_whole_pictures(self) -> bool:
        """Whether it sees each picture at one size, so that a place can be told in pixels of what it sees (Frame.MODEL)."""
        return self.sizes is not _no_sizes

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


def _idefics_features(config: Any, features: Features) -> list[int]:
    *_, tiles, _, height, width = features["pixel_values"].shape  # [1, tiles, 3, height, width]
    patch = config.vision_config.patch_size
    return [(height // patch) * (width // patch) // config.scale_factor**2] * tiles


def _internvl_features(config: Any, features: Features) -> list[int]:
    tiles, _, height, width = features["pixel_values"].shape
    tall, wide = config.vision_config.patch_size
    return [int((height // tall) * (width // wide) * config.downsample_ratio**2)] * tiles


def _onevision_features(config: Any, features: Features) -> list[int]:
    """A picture that is alone in its prompt is cut into tiles, of which the padding is cut away; several are one tile each."""
    from transformers.models.llava_onevision.modeling_llava_onevision import get_anyres_image_grid_shape, unpad_image

    side = config.vision_config.image_size // config.vision_config.patch_size
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    counts = []
    is_alone = [n == 1 for n in features["batch_num_images"].tolist() for _ in range(n)]
    for size, alone in zip(features["image_sizes"].tolist(), is_alone, strict=True):
        if not alone:
            counts.append(side**2 + 1)
            continue
        rows, columns = get_anyres_image_grid_shape(size, config.image_grid_pinpoints, config.vision_config.image_size)
        _, tall, wide = unpad_image(torch.empty(1, rows * side, columns * side, device="meta"), size).shape
        ratio = math.sqrt(tall * wide / (most * side**2))
        if ratio > 1.1:  # the model's own threshold for shrinking
            tall, wide = int(tall // ratio), int(wide // ratio)
        counts.append(side**2 + tall * (wide + 1))
    return counts


def _no_sizes(config: Any, features: Features) -> list[tuple[int, int]]:
    return []


def _join_rows(parts: Sequence[Features]) -> dict[str, Tensor]:
    """Pictures lie along the first axis of every tensor."""
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def _join_tiles(parts: Sequence[Features]) -> dict[str, Tensor]:
    """Tiles lie along the second axis, and are of one size for all pictures."""
    return {key: torch.cat([part[key] for part in parts], dim=1) for key in parts[0]}


def _join_padded_tiles(parts: Sequence[Features]) -> dict[str, Tensor]:
    """Pictures lie along the first axis; their tiles along the second of pixel_values, padded to the most tiles."""
    most = max(part["pixel_values"].shape[1] for part in parts)
    padded = [F.pad(part["pixel_values"], (0, 0, 0, 0, 0, 0, 0, most - part["pixel_values"].shape[1])) for part in parts]
    rest = {key: torch.cat([part[key] for part in parts]) for key in parts[0] if key != "pixel_values"}
    return {"pixel_values": torch.cat(padded), **rest}


_QWEN: dict[str, Any] = dict(
    vision=("visual",), language="language_model", positions=mrope,
    n_features=_qwen_features, sizes=_qwen_sizes, join=_join_rows, has_pixel_bounds=True,
)  # fmt: skip
_IDEFICS: dict[str, Any] = dict(
    vision=("vision_model",), connector=("connector",), language="text_model", positions=one_axis,
    n_features=_idefics_features, sizes=_no_sizes, join=_join_tiles,
)  # fmt: skip
_LLAVA: dict[str, Any] = dict(vision=("vision_tower",), language="language_model", positions=one_axis, sizes=_no_sizes)

FAMILIES: tuple[Family, ...] = (
    Family(name="Qwen2-VL", model_types=("qwen2_vl",), connector=("visual.merger",), **_QWEN),
    Family(name="Qwen2.5-VL", model_types=("qwen2_5_vl",), connector=("visual.merger",), **_QWEN),
    Family(
        name="Qwen3-VL",
        model_types=("qwen3_vl",),
        connector=("visual.merger", "visual.deepstack_merger_list"),
        **_QWEN,
    ),
    Family(name="Idefics3", model_types=("idefics3",), **_IDEFICS),
    Family(name="SmolVLM", model_types=("smolvlm",), mixes_by_first_weight=True, **_IDEFICS),
    Family(
        name="InternVL",
        model_types=("internvl",),
        connector=("multi_modal_projector",),
        n_features=_internvl_features,
        join=_join_rows,
        **_LLAVA,
    ),
    Family(
        name="LLaVA-OneVision",
        model_types=("llava_onevision",),
        connector=("multi_modal_projector", "image_newline"),
        n_features=_onevision_features,
        join=_join_padded_tiles,
        **_LLAVA,
    ),
)
