"""How many multiply-adds a step must do at the least, counted from the model's configuration.

What siblings share is counted once: a picture goes through the vision tower once, a prompt through the language model
once, and each sibling pays for its own tokens. Learning is a forward and a backward pass, three times the forward.
Norms, activations, softmax and sampling itself are left out, as is the optimizer.

    python -m bench.operations FOLDER       compares the count of a prompt with torch's own counter
"""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Operations:
    """Multiply-adds of one step's two halves."""

    sampling: int
    learning: int

    @property
    def whole(self):
        return self.sampling + self.learning


def of_step(config, setting):
    """The operations of one step of a setting."""
    read = setting.answer_tokens - 1  # an answer's last token is never read
    shared = vision(config.vision_config, setting.side) + text(config.text_config, setting.prompt_tokens)
    own = text(config.text_config, read, after=setting.prompt_tokens)
    heads = setting.rows * setting.answer_tokens * head(config.text_config)
    forward = setting.prompts * (shared + setting.siblings * own) + heads
    first_shared = setting.prompts * (setting.siblings - 1) * head(config.text_config)
    return Operations(sampling=forward - first_shared, learning=3 * forward)


def vision(config, side):
    """One square picture through the vision tower."""
    width, merged = config.hidden_size, config.spatial_merge_size**2
    edge = side // config.patch_size
    patches = edge**2
    embedding = patches * config.in_channels * config.temporal_patch_size * config.patch_size**2 * width
    linears = patches * (4 * width**2 + 3 * width * config.intermediate_size)
    n_full = len(config.fullatt_block_indexes)
    windows = (config.depth - n_full) * window_pairs(config, edge) + n_full * patches**2
    merger = patches // merged * (merged * width) * (merged * width + config.out_hidden_size)
    return embedding + config.depth * linears + 2 * width * windows + merger


def window_pairs(config, edge):
    """Pairs of patches that share an attention window on an `edge` x `edge` grid; windows at the rim are cut off."""
    window = config.window_size // config.patch_size
    rows = [min(window, edge - start) for start in range(0, edge, window)]
    return sum((tall * wide) ** 2 for tall in rows for wide in rows)


def text(config, tokens, *, after=0, is_causal=True):
    """`tokens` tokens through all decoder layers, each seeing those before it and `after` earlier ones."""
    width = config.hidden_size
    head_dim = getattr(config, "head_dim", None) or width // config.num_attention_heads
    queries, keys = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    linears = tokens * width * (2 * queries + 2 * keys + 3 * config.intermediate_size)
    pairs = tokens * after + (tokens * (tokens + 1) // 2 if is_causal else tokens**2)
    return config.num_hidden_layers * (linears + 2 * queries * pairs)


def head(config):
    """One token's logits."""
    return config.hidden_size * config.vocab_size


def check(folder):
    """(our count, torch's count) of multiply-adds of setting A's prompt in one plain forward pass."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    from bench import settings

    setting = settings.SETTINGS["A"]
    processor = AutoProcessor.from_pretrained(folder)
    # Eager attention, so that torch sees its products; it computes the upper triangle, too.
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, attn_implementation="eager")
    chat = settings.conversation(settings.question(setting, processor), settings.picture(setting.side, 0))
    inputs = processor.apply_chat_template(
        [chat], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    counter = FlopCounterMode(display=False)
    with counter:
        model(**inputs)
    words = model.config.text_config
    ours = vision(model.config.vision_config, setting.side) + setting.prompt_tokens * head(words)
    ours += text(words, setting.prompt_tokens, is_causal=False)
    return ours, counter.get_total_flops() // 2


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    ours, torchs = check(parser.parse_args().folder)
    print(f"ours {ours:,}, torch {torchs:,}, ratio {ours / torchs:.4f}")
