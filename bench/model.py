"""Makes the model of the benchmark: a small Qwen2.5-VL folder with seeded random weights and a real processor."""

import argparse
from pathlib import Path

import torch
from transformers import AutoProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

EMBEDDED = Path(__file__).parent.parent / "saccade" / "policy" / "tiny"
LARGEST_SIDE = 1288


def config(tokenizer):
    """The benchmark's architecture around `tokenizer`: hidden 256, 6 layers, a 4-block vision tower of width 128."""
    token = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config=dict(
            vocab_size=len(tokenizer),
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[8, 12, 12]),
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        vision_config=dict(
            depth=4,
            hidden_size=128,
            intermediate_size=344,
            num_heads=4,
            patch_size=14,
            spatial_merge_size=2,
            temporal_patch_size=2,
            window_size=112,
            fullatt_block_indexes=[3],
            out_hidden_size=256,
        ),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def make(folder, processor_folder=EMBEDDED, seed=0):
    """Writes the model and its processor into `folder` as an ordinary checkpoint and returns the folder."""
    folder = Path(folder)
    processor = AutoProcessor.from_pretrained(processor_folder)
    processor.image_processor.size = {"shortest_edge": 28 * 28, "longest_edge": LARGEST_SIDE**2}
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config(processor.tokenizer))
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processor", type=Path, default=EMBEDDED)
    arguments = parser.parse_args()
    print(make(arguments.folder, arguments.processor))
