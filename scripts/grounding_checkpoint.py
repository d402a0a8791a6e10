"""The tiny model as the grounding teacher begins with it: more words in its vocabulary, everything it knew kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from tiny_checkpoint import SPECIALS, make_model

PHRASES = (  # one token each: what every answer says word for word
    "<think>", "</think>", "<answer>", "</answer>", "]}",
    "```json\n[", "```json\n[]\n```", '{"bbox_2d": [', '"}, {"bbox_2d": [', '], "label": "', '"}]\n```',
    "[{'action': '", "', 'point': [", "', 'point': [-100, -100], 'input_text': '", "], 'input_text': '", "'}]",
    "no input text",
)  # fmt: skip


def extended(processor, texts: Iterable[str], *, merges: int):
    """A processor that also knows PHRASES and up to `merges` new merges learnt from the texts; old merges come first.

    A text without new merges or phrases is cut as before, so what the old embeddings mean is kept.
    """
    from transformers import AddedToken, Qwen2_5_VLProcessor, Qwen2Tokenizer

    old = processor.tokenizer
    parts = json.loads(old.backend_tokenizer.to_str())["model"]
    specials = set(SPECIALS)
    vocabulary = {token: number for token, number in parts["vocab"].items() if token not in specials}
    pairs = [tuple(pair) for pair in parts["merges"]]
    for pair in new_merges(old, texts, merges):
        pairs.append(pair)
        vocabulary.setdefault("".join(pair), len(vocabulary))
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=pairs,
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIALS),
        model_max_length=4096,
    )
    tokenizer.add_tokens([AddedToken(phrase, normalized=False, special=False) for phrase in PHRASES])
    return Qwen2_5_VLProcessor(
        image_processor=processor.image_processor,
        video_processor=processor.video_processor,
        tokenizer=tokenizer,
        chat_template=processor.chat_template,
    )


def new_merges(tokenizer, texts: Iterable[str], most: int, least_count: int = 20) -> list[tuple[str, str]]:
    """Byte-pair merges to append to the tokenizer's own, the most frequent pair first."""
    backend = tokenizer.backend_tokenizer
    between = re.compile("|".join(re.escape(phrase) for phrase in sorted(PHRASES, key=len, reverse=True)))
    words = Counter(
        word
        for text in texts
        for piece in between.split(text)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(piece)
    )
    cut = {word: [token.value for token in backend.model.tokenize(word)] for word in words}
    found = []
    while len(found) < most:
        pairs = Counter()
        for word, pieces in cut.items():
            for pair in zip(pieces, pieces[1:], strict=False):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < least_count:
            break
        found.append(best)
        cut = {word: _merged(pieces, best) for word, pieces in cut.items()}
    return found


def _merged(pieces: Sequence[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] = out[-1] + piece
        else:
            out.append(piece)
    return out


@torch.no_grad()
def grown(model, before, processor, seed: int):
    """A copy of `model` for the extended processor (`before` is the one it had).

    A new token begins as the same word after a space, where the model knows that, else as the mean of its pieces.
    """
    larger = make_model(processor, seed)
    weights = model.state_dict()
    rows = weights["model.language_model.embed_tokens.weight"]
    old, new = before.tokenizer, processor.tokenizer
    known, table = old.get_vocab(), larger.state_dict()["model.language_model.embed_tokens.weight"].clone()
    for token, number in new.get_vocab().items():
        if token in known:
            table[number] = rows[known[token]]
        elif "Ġ" + token in known:
            table[number] = rows[known["Ġ" + token]]
        else:
            table[number] = rows[old(new.decode([number]))["input_ids"]].mean(0)
    for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        if name in weights:
            weights[name] = table
    larger.load_state_dict(weights)
    return larger
