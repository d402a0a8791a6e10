"""A text model that answers questions in batches, greedily: a judge without a server.

    >>> answers = TextJudge.load("Qwen/Qwen2.5-1.5B-Instruct")
    >>> answers([(Message("system", ("Reply with yes or no.",)), Message("user", ("Is 7 odd?",)))], max_tokens=4)
    ['yes']

Wrapped as `Local(answers, name="qwen2.5-1.5b")` it is a judge for rewards. Nothing in a message can become a special token
of the model: where the text holds one, it is broken by a space before the chat template is filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from saccade.core.picture import Picture
from saccade.core.sample import Message
from saccade.policy.families import UnsupportedModel

TOKENS = 65_536  # O prompt and answer tokens, padding included, of one batch


class CannotRead(ValueError):
    """A conversation that this model cannot answer; the message says why."""


class TextJudge:
    """A causal language model with a chat template. Called with conversations, it gives a text, or CannotRead, for each."""

    def __init__(self, model: nn.Module, tokenizer: Any, *, tokens: int = TOKENS) -> None:
        if not tokenizer.chat_template:
            raise UnsupportedModel(
                f"the model {model.name_or_path!r} has no chat template, so it cannot be told who says what; take an "
                "instruction-tuned one"
            )
        self.model, self.tokenizer, self.tokens = model.eval(), tokenizer, tokens
        self.device = next(model.parameters()).device
        # Tokens that chat templates use are not always marked as special; runs of spaces are tokens that change nothing.
        added = {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if len(token.content.strip()) > 1}
        self._special_ids = set(added) - {tokenizer.unk_token_id}
        self._special = re.compile("|".join(map(re.escape, sorted(added.values(), key=len, reverse=True))) or r"(?!)")
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.ends = sorted({i for i in (*ends, tokenizer.eos_token_id) if i is not None})
        # Rows are filled up on the left, so that all answers begin at the same place.
        self.padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.ends[0]

    @classmethod
    def load(cls, path: str, *, dtype: str = "bfloat16", device: str = "auto", tokens: int = TOKENS) -> TextJudge:
        """The judge of a checkpoint folder or hub name. UnsupportedModel in one sentence where there is none."""
        place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype), trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UnsupportedModel(f"the judge {path!r} cannot be loaded as a causal language model: {why}") from error
        return cls(model.to(place), tokenizer, tokens=tokens)

    def __call__(self, conversations: Sequence[Sequence[Message]], *, max_tokens: int) -> list[str | CannotRead]:
        """The most likely answer to each, in order, of at most `max_tokens` tokens."""
        read = [self.encode(messages, max_tokens=max_tokens) for messages in conversations]
        found: list[str | CannotRead] = ["" if isinstance(row, list) else row for row in read]
        rows = {i: row for i, row in enumerate(read) if isinstance(row, list)}
        for batch in self._batches(rows, max_tokens):
            answers = self._greedy([rows[i] for i in batch], max_tokens)
            for i, tokens in zip(batch, answers, strict=True):
                found[i] = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return found

    def encode(self, messages: Sequence[Message], *, max_tokens: int) -> list[int] | CannotRead:
        """The token ids of a conversation, with the beginning of the answer; or why it cannot be read."""
        if any(isinstance(part, Picture) for message in messages for part in message.parts):
            return CannotRead("the question has pictures, and the judge reads text only")
        chat = [{"role": m.role, "content": self._special.sub(_broken, m.text)} for m in messages]
        for message in chat:  # a tokenizer that normalises text may find further ones
            if not self._special_ids.isdisjoint(self._ids(message["content"])):
                return CannotRead("the question's text holds special tokens of the judge")
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = self._ids(text)
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most is not None and len(ids) + max_tokens > most:
            return CannotRead(
                f"the question has {len(ids)} tokens; with {max_tokens} for the answer the judge reads at most {most}"
            )
        return ids

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _batches(self, rows: dict[int, list[int]], max_tokens: int) -> Iterator[list[int]]:
        """Rows that are answered together: of similar lengths, and within the token budget with their padding."""
        batch: list[int] = []
        for i in sorted(rows, key=lambda i: len(rows[i])):
            if batch and (len(batch) + 1) * (len(rows[i]) + max_tokens) > self.tokens:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    @torch.inference_mode()
    def _greedy(self, rows: Sequence[list[int]], max_tokens: int) -> list[list[int]]:
        """What the model adds to each row, up to an end token, which is not in it."""
        longest = max(map(len, rows))
        token_BT = torch.tensor([[self.padding] * (longest - len(row)) + row for row in rows], device=self.device)
        is_real_BT = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=self.device)
        out_BT: Tensor = self.model.generate(
            input_ids=token_BT, attention_mask=is_real_BT, max_new_tokens=max_tokens, do_sample=False, num_beams=1,
            temperature=None, top_p=None, top_k=None, repetition_penalty=1.0, eos_token_id=self.ends,
            pad_token_id=self.padding,
        )  # fmt: skip
        return [self._to_end(row) for row in out_BT[:, longest:].tolist()]

    def _to_end(self, tokens: list[int]) -> list[int]:
        end = next((t for t, token in enumerate(tokens) if token in self.ends), len(tokens))
        return tokens[:end]


def _broken(match: re.Match[str]) -> str:
    """A special token with a space after its first character: text like any other."""
    token = match.group()
    return f"{token[:1]} {token[1:]}"
