"""The two workloads that every side of the benchmark does, and the problems in them.

This module is also imported in vLLM's own virtual environment, so it needs only numpy and Pillow.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

THREADS = 2
LEARNING_RATE = 1e-6
MAX_GRAD_NORM = 1.0
FILLER = " a"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One workload: `prompts` prompts with one square picture each, `siblings` answers to each prompt.

    `side` is the picture's edge in pixels; prompts and answers have exactly the stated number of tokens.
    """

    name: str
    prompts: int = 2
    siblings: int
    side: int
    prompt_tokens: int
    answer_tokens: int

    @property
    def rows(self):
        return self.prompts * self.siblings

    @property
    def image_tokens(self):
        return (self.side // 28) ** 2

    @property
    def sampled_tokens(self):
        return self.rows * self.answer_tokens

    def with_side(self, side):
        """The same workload with another picture size and the same amount of text."""
        text = self.prompt_tokens - self.image_tokens
        return replace(self, side=side, prompt_tokens=text + (side // 28) ** 2)


SETTINGS = {
    "A": Setting(name="A", siblings=8, side=448, prompt_tokens=341, answer_tokens=64),
    "B": Setting(name="B", siblings=16, side=644, prompt_tokens=614, answer_tokens=24),
}


def varied(setting, option, value):
    """The same workload with another number of `siblings`, picture `side` or number of `answer_tokens`."""
    return setting.with_side(value) if option == "side" else replace(setting, **{option: value})


def picture(side, seed):
    """A seeded picture of coloured rectangles; every seed gives another one, so nothing can be cached between steps."""
    random = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(24):
        left, top = random.integers(0, side - 20, 2)
        width, height = random.integers(10, side // 2, 2)
        pixels[top : top + height, left : left + width] = random.integers(0, 256, 3)
    return Image.fromarray(pixels)


def conversation(words, image=None):
    """One user turn: the picture, then the words. Without `image` only its placeholder stands there."""
    shown = {"type": "image"} if image is None else {"type": "image", "image": image}
    return [{"role": "user", "content": [shown, {"type": "text", "text": words}]}]


def question(setting, processor):
    """The words that bring the prompt of this setting to exactly its number of tokens."""

    def tokens(words):
        text = processor.apply_chat_template(conversation(words), add_generation_prompt=True, tokenize=False)
        return len(processor.tokenizer(text)["input_ids"]) - 1 + setting.image_tokens  # the placeholder is one token

    words = "How many red rectangles stand in this picture?"
    missing = setting.prompt_tokens - tokens(words)
    if missing < 0:
        raise ValueError(f"the shortest prompt has {tokens(words)} tokens; setting {setting.name} allows {setting.prompt_tokens}")
    words += FILLER * missing
    if tokens(words) != setting.prompt_tokens:
        raise ValueError(f"{FILLER!r} is not one token here: got {tokens(words)} tokens, want {setting.prompt_tokens}")
    return words


def reward(prompt_seed, sibling):
    """A seeded reward between 0 and 1 that needs no reading of the answer, the same on every side."""
    return float(np.random.default_rng((prompt_seed, sibling)).random())
