"""How one checkpoint reads a sample: its processor, its chat template, its positions, and the checks that pictures survive.

    reader = Reader(processor, config=model.config, family=family, forbidden=ids)     # of a model that is loaded
    reader = Reader.of(ModelSpec(path="Qwen/Qwen2.5-VL-3B-Instruct"))                 # without its weights
    prompt = reader.encode(sample)           # token ids, positions and picture tensors, once per sample
"""

from __future__ import annotations

import codecs
import functools
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from saccade.core.pack import Branch, Prompt
from saccade.core.picture import Picture
from saccade.core.sample import Sample
from saccade.policy.families import Family, UnsupportedModel
from saccade.policy.loading import load_processor, vision_token_ids
from saccade.policy.spec import ModelSpec

# Encoded prompts that are kept: at most this many bytes of picture tensors.
CACHED_BYTES = 2**31
# What the processor gives besides picture tensors.
TEXT_KEYS = {"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"}
# Byte-level BPE (Radford et al. 2019) writes each byte as a printable character: its own, or else one from 256 on.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_HIDDEN = (byte for byte in range(256) if byte not in _PRINTABLE)
BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(_HIDDEN)}


class PictureMismatch(RuntimeError):
    """Image tokens without features, features without tokens, or pixels that changed on the way; names the sample."""


class Reader:
    """Turns samples into what one model reads, and what it wrote into text. `forbidden` are its vision tokens' ids."""

    def __init__(self, processor: Any, *, config: Any, family: Family, forbidden: Sequence[int]) -> None:
        self.processor, self.config, self.family = processor, config, family
        self.tokenizer = processor.tokenizer
        self._vision_tokens = tuple(t for t in self.tokenizer.convert_ids_to_tokens(list(forbidden)) if t)
        self._encoded: dict[tuple, Prompt] = {}
        self._encoded_bytes = 0

    @classmethod
    def of(cls, spec: ModelSpec) -> Reader:
        """The reader of a checkpoint, without its weights. UnsupportedModel in one sentence where it cannot be had."""
        config, processor, family = load_processor(spec)
        return cls(processor, config=config, family=family, forbidden=sorted(vision_token_ids(config, processor.tokenizer)))

    def encode(self, sample: Sample) -> Prompt:
        """The sample's messages as this model reads them, with the generation prompt; kept for the next time.

        PictureMismatch when the number of image tokens is not the number of vectors that the vision tower will give.
        """
        # By content, not by id: two stages may ask the same problem in different words.
        asked = tuple((m.role, *(p if isinstance(p, str) else (p.sha,) for p in m.parts)) for m in sample.messages)
        if asked not in self._encoded:
            prompt = self.read(sample)
            self._encoded_bytes += _bytes(prompt)
            while self._encoded and self._encoded_bytes > CACHED_BYTES:
                self._encoded_bytes -= _bytes(self._encoded.pop(next(iter(self._encoded))))
            self._encoded[asked] = prompt
        return self._encoded[asked]

    def read(self, sample: Sample) -> Prompt:
        """What `encode` gives, computed anew and not kept."""
        encoded = self.processed(sample)
        token_P = encoded["input_ids"][0]
        features = {key: value for key, value in encoded.items() if key not in TEXT_KEYS}
        self._check_pictures(sample, token_P, features)
        return Prompt(
            token_P=token_P,
            position_AP=self.family.positions(self.config, token_P, features),
            features=features,
            picture_shas=tuple(picture.sha for picture in sample.pictures),
            model_sizes=tuple(self.family.sizes(self.config, features)) if features else (),
        )

    def processed(self, sample: Sample) -> dict[str, Tensor]:
        """What the checkpoint's own processor makes of the sample, batch axis and all."""
        chat = [
            {"role": message.role, "content": [_content(part) for part in message.parts]} for message in sample.messages
        ]
        self.check(sample)
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        images = [picture.image for picture in sample.pictures]
        # Nested, as the pictures of one conversation: LLaVA-OneVision treats several pictures unlike a lone one.
        try:
            return dict(self.processor(text=[text], images=[images] if images else None, return_tensors="pt"))
        except ValueError as error:  # Qwen's processor takes no picture 200 times longer than wide
            raise PictureMismatch(f"sample {sample.id!r}: the model's processor refuses it: {error}") from error

    def check(self, sample: Sample) -> None:
        """PictureMismatch if the sample's text holds a token that this model reads as part of a picture."""
        self._check_text("".join(message.text for message in sample.messages), of=f"sample {sample.id!r}")

    def _check_text(self, text: str, *, of: str) -> None:
        for token in self._vision_tokens:
            if token in text:
                raise PictureMismatch(
                    f"{of}: its text holds {token!r}, which this model reads as part of a picture; "
                    "remove it, pictures are given as parts of a message"
                )

    def _check_pictures(self, sample: Sample, token_P: Tensor, features: dict[str, Tensor]) -> None:
        tokens = int((token_P == self.image_token).sum())
        vectors = sum(self.family.n_features(self.config, features)) if features else 0
        if tokens != vectors:
            raise PictureMismatch(
                f"sample {sample.id!r}: the prompt holds {tokens} image tokens but its {len(sample.pictures)} pictures "
                f"become {vectors} vectors; look for image tokens in the text, or a processor of another model"
            )

    @property
    def context(self) -> int | None:
        """The most tokens of a prompt with its answer that the model knows positions for; None where it does not say."""
        return getattr(self.config.get_text_config(), "max_position_embeddings", None)

    @property
    def image_token(self) -> int:
        """The id of the token that a picture's vectors replace."""
        config = self.config
        return config.image_token_id if hasattr(config, "image_token_id") else config.image_token_index

    def seen(self, sample: Sample) -> tuple[Picture, ...]:
        """The sample's pictures with the sizes at which this model sees them, where its family has such a size."""
        sizes = self.encode(sample).model_sizes
        return tuple(map(Picture.seen_at, sample.pictures, sizes)) if sizes else sample.pictures

    def branch_of(self, text: str) -> Branch:
        """A written answer as the tokens that the model should have sampled, the end token included.

        PictureMismatch where it holds a token that stands for pictures, which can never be sampled.
        """
        self._check_text(text, of=f"solution {text[:60]!r}")
        token_T = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return Branch((*token_T, self.tokenizer.eos_token_id))

    def text_of(self, token_T: Sequence[int]) -> str:
        """What the model wrote, without special tokens."""
        return self.tokenizer.decode(token_T, skip_special_tokens=True).strip()

    def pieces(self, token_T: Sequence[int]) -> tuple[str, ...]:
        """The text that each token adds: joined they are what the model wrote, without special tokens, unstripped.

        A character that spans several tokens is the first one's: the step at which it was begun. Linear in the length.
        UnsupportedModel where tokens are not pieces of UTF-8 (byte-level BPE, which all known families use, has such).
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        texts, begun = [""] * len(token_T), 0
        for t, token in enumerate(token_T):
            is_open = bool(decoder.getstate()[0])
            text = decoder.decode(self._bytes_of(token))
            if is_open and text:
                texts[begun] += text[0]
                text, is_open = text[1:], False
            texts[t] += text
            if not is_open:
                begun = t
        if text := decoder.decode(b"", final=True):
            texts[begun] += text
        return tuple(texts)

    def _bytes_of(self, token: int) -> bytes:
        """What one token adds to the text as UTF-8, which may be a part of a character; special tokens add nothing."""
        if token in self._special:
            return b""
        written = self.tokenizer.convert_ids_to_tokens(token) or ""  # None where the model has more ids than the tokenizer
        if all(letter in BYTE_OF for letter in written):
            return bytes(BYTE_OF[letter] for letter in written)
        return written.encode()  # a word that was added as it is

    @functools.cached_property
    def _special(self) -> frozenset[int]:
        """Ids that stand for no text. UnsupportedModel where tokens are not the bytes of their text."""
        decoder = type(self.tokenizer.backend_tokenizer.decoder).__name__
        if decoder != "ByteLevel":
            raise UnsupportedModel(
                f"this model's tokenizer decodes by {decoder}, and single tokens have a text of their own with ByteLevel "
                "only; leave the triggers of evaluations empty, and let no reward call `pieces`"
            )
        return frozenset(i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special)


def _bytes(prompt: Prompt) -> int:
    tensors = (prompt.token_P, prompt.position_AP, *prompt.features.values())
    return sum(tensor.nbytes for tensor in tensors)


def _content(part: str | Picture) -> dict[str, Any]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
