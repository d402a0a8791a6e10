"""Sampling a wave of groups: each prompt and its pictures are read once, and rows that have ended stop costing.

The cache holds a prompt's keys and values once, however many siblings read it. Every step runs the language model on one
token per live row, as one stream, so unmodified transformers models need no cache object and no padding: our attention
function writes and reads the cache itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from saccade.core.pack import Bucket, Pack, Prompt
from saccade.policy.attention import attend_bucket, attending
from saccade.policy.logprobs import FORBIDDEN, allowed_logits
from saccade.policy.matmul import products_of
from saccade.policy.spec import Sampling

# Slots are gathered anew when fewer than this share of them are live.
COMPACT_BELOW = 0.6
# Tokens by which the cache of sampled tokens grows.
GROW = 64


@dataclass(frozen=True)
class Attempt:
    """A sampled row: its tokens, the log-prob of each under the sampling temperature, and whether it ended by itself."""

    token_T: tuple[int, ...]
    logp_T: tuple[float, ...]
    is_ended: bool


def sample_wave(
    states: Callable[[Tensor, Tensor, Sequence[Mapping[str, Tensor]]], Tensor],
    head: Callable[[Tensor], Tensor],
    prompts: Sequence[Prompt],
    *,
    n: int,
    sampling: Sampling,
    forbidden: Tensor,
    end: Tensor,
    generator: torch.Generator,
    device: torch.device,
) -> list[list[Attempt]]:
    """`n` attempts at each prompt, all prompts at once.

    `states(token_N, position_AN, features)` runs the model's body on a stream with the pictures of `features`, and
    `head` turns states into logits. `forbidden` and `end` are token ids.
    """
    pack = Pack.of([(prompt, ()) for prompt in prompts]).to(device)
    cache = _Cache(pack, n)
    with attending(cache):
        hidden_NH = states(pack.token_N, pack.position_AN, pack.features)
    ends = torch.tensor([len(p) for p in prompts], device=device).cumsum(0) - 1
    logits_LV = head(hidden_NH[ends]).repeat_interleave(n, 0)
    del hidden_NH
    rows_L = torch.arange(len(prompts) * n, device=device)
    first = torch.tensor([p.next_position for p in prompts], device=device).repeat_interleave(n)
    tokens = torch.zeros(len(rows_L), sampling.max_tokens, dtype=torch.long, device=device)
    logps = torch.zeros(len(rows_L), sampling.max_tokens, dtype=torch.float64, device=device)
    lengths = torch.full((len(rows_L),), sampling.max_tokens, device=device)
    is_ended = torch.zeros(len(rows_L), dtype=torch.bool, device=device)
    axes = pack.position_AN.shape[0]
    cache.keep(rows_L)
    for t in range(sampling.max_tokens):
        blocked = forbidden if t >= sampling.min_tokens else torch.cat([forbidden, end])
        token_L, logp_L = _draw(logits_LV, blocked, sampling, generator)
        tokens[rows_L, t], logps[rows_L, t] = token_L, logp_L.double()
        has_ended = torch.isin(token_L, end)
        if has_ended.any():
            lengths[rows_L[has_ended]] = t + 1
            is_ended[rows_L[has_ended]] = True
            rows_L, token_L = rows_L[~has_ended], token_L[~has_ended]
            if not len(rows_L):
                break
            cache.keep(rows_L)
        if t + 1 == sampling.max_tokens:
            break
        position_AL = (first[rows_L] + t).expand(axes, -1)
        cache.t = t
        with attending(cache), products_of(len(rows_L)):
            logits_LV = head(states(token_L, position_AL, ()))
    return _attempts(tokens, logps, lengths, is_ended, n)


def _attempts(tokens: Tensor, logps: Tensor, lengths: Tensor, is_ended: Tensor, n: int) -> list[list[Attempt]]:
    columns = zip(tokens.tolist(), logps.tolist(), lengths.tolist(), is_ended.tolist(), strict=True)
    rows = [Attempt(tuple(token[:length]), tuple(logp[:length]), ended) for token, logp, length, ended in columns]
    return [rows[i : i + n] for i in range(0, len(rows), n)]


def _draw(logits_LV: Tensor, forbidden: Tensor, sampling: Sampling, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A token per row and its log-prob under the whole distribution at the sampling temperature."""
    logits_LV = allowed_logits(logits_LV, forbidden, sampling.temperature or 1.0)
    logp_LV = logits_LV.log_softmax(-1)
    if sampling.temperature == 0:
        token_L = logp_LV.argmax(-1)
    else:
        token_L = _pick(_truncated(logp_LV, sampling).exp(), generator)
    return token_L, logp_LV.gather(-1, token_L[:, None])[:, 0]


def _pick(weight_LV: Tensor, generator: torch.Generator) -> Tensor:
    """A token per row, drawn by its weight: where a uniform number falls in the running sum. Weight 0 is never drawn."""
    # torch.multinomial draws a number per vocabulary entry, which with 150,000 of them is most of a sampling step.
    sum_LV = weight_LV.double().cumsum(-1)
    total_L1 = sum_LV[:, -1:]
    drawn_L1 = torch.rand(total_L1.shape, dtype=torch.float64, device=total_L1.device, generator=generator) * total_L1
    drawn_L1 = torch.minimum(drawn_L1, torch.nextafter(total_L1, torch.zeros_like(total_L1)))
    # Where weights are NaN it finds no place; the token's log-prob, NaN as well, tells.
    return torch.searchsorted(sum_LV, drawn_L1, right=True)[:, 0].clamp_(max=sum_LV.shape[-1] - 1)


def _truncated(logp_LV: Tensor, sampling: Sampling) -> Tensor:
    if sampling.top_k:
        kth = logp_LV.topk(min(sampling.top_k, logp_LV.shape[-1])).values[:, -1:]
        logp_LV = logp_LV.masked_fill(logp_LV < kth, FORBIDDEN)
    if sampling.top_p < 1:
        ordered, index = logp_LV.sort(-1, descending=True)
        mass = ordered.exp()
        is_out = mass.cumsum(-1) - mass >= sampling.top_p  # the mass before a token already suffices
        logp_LV = logp_LV.masked_fill(is_out.scatter(-1, index, is_out), FORBIDDEN)
    return logp_LV


class _Slots:
    """One bucket's cache: prompts' keys and values once, and a slot per sibling for what it has sampled.

    trunk [b, Hk, P, D] per layer, own [b*S, Hk, T, D] per layer; `row_bS` is the row in each slot, -1 where none lives.
    """

    def __init__(self, bucket: Bucket, groups: Tensor, n: int) -> None:
        self.bucket, self.n = bucket, n
        self.trunk: dict[int, tuple[Tensor, Tensor]] = {}
        self.own: dict[int, tuple[Tensor, Tensor]] = {}
        self.is_trunk_bP = bucket.is_trunk_bP
        self.row_bS = groups[:, None] * n + torch.arange(n, device=groups.device)
        self.slot_L: Tensor | None = None  # the slot of each of this bucket's live rows; None: rows are slots in order
        self.at_L: Tensor = torch.empty(0, dtype=torch.long)  # their places among all live rows
        self.bias: Tensor | None = None

    def keep(self, rows_L: Tensor, n_rows: int) -> None:
        """Only these rows live on; gather the cache anew when too few slots are live."""
        place = torch.full((n_rows + 1,), -1, dtype=torch.long, device=rows_L.device)
        place[rows_L] = torch.arange(len(rows_L), device=rows_L.device)
        self.row_bS = torch.where(place[self.row_bS] >= 0, self.row_bS, n_rows)
        is_live = self.row_bS < n_rows
        live = int(is_live.sum())
        widest = int(is_live.sum(1).max()) if live else 0
        groups = is_live.any(1).nonzero()[:, 0]
        if live and len(groups) * widest < COMPACT_BELOW * self.row_bS.numel():
            order = (~is_live[groups]).to(torch.int8).argsort(dim=1, stable=True)[:, :widest]
            slots = (groups[:, None] * self.row_bS.shape[1] + order).flatten()
            self.row_bS = self.row_bS.flatten()[slots].view(len(groups), widest)
            if self.is_trunk_bP is not None:
                self.is_trunk_bP = self.is_trunk_bP[groups]
            whole = len(groups) == len(is_live)
            self.trunk = self.trunk if whole else {i: (k[groups], v[groups]) for i, (k, v) in self.trunk.items()}
            self.own = {i: (k[slots], v[slots]) for i, (k, v) in self.own.items()}
        flat = self.row_bS.flatten()
        slots = (flat < n_rows).nonzero()[:, 0]
        self.at_L = place[flat[slots]]
        self.slot_L = None if len(slots) == len(flat) else slots
        self.bias = None
        if self.is_trunk_bP is not None:
            self.bias = torch.zeros(self.is_trunk_bP.shape, device=flat.device)
            self.bias = self.bias.masked_fill_(~self.is_trunk_bP, float("-inf"))[:, None, None]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, t: int, scale: float) -> Tensor:
        """One new token per live row: q [L, H, D], k and v [L, Hk, D] to [L, H, D]."""
        (kt, vt), slots = self.trunk[layer], self.row_bS.numel()
        b, siblings, (_, heads, dim), kv_heads = *self.row_bS.shape, q.shape, k.shape[1]
        ko, vo = self._own(layer, k, t)
        if self.slot_L is None:
            ko[:, :, t], vo[:, :, t] = k, v
        else:
            ko[self.slot_L, :, t], vo[self.slot_L, :, t] = k, v
            q = q.new_zeros(slots, heads, dim).index_copy_(0, self.slot_L, q)
        q = q.view(slots, kv_heads, -1, dim) * scale
        repeats = q.shape[2]
        q_t = q.view(b, siblings, kv_heads, repeats, dim).transpose(1, 2).reshape(b, kv_heads, -1, dim)
        s_t = q_t @ kt.transpose(-1, -2)
        s_o = q @ ko[:, :, : t + 1].transpose(-1, -2)
        if self.bias is not None:
            s_t = s_t + self.bias
        s_t = s_t.view(b, kv_heads, siblings, repeats, -1).transpose(1, 2).reshape(slots, kv_heads, repeats, -1)
        width = s_t.shape[-1]
        p = torch.cat([s_t, s_o], -1)
        p = (p if p.dtype == torch.float64 else p.float()).softmax(-1).to(v.dtype)
        p_t = p[..., :width].view(b, siblings, kv_heads, repeats, width).transpose(1, 2)
        out = (p_t.reshape(b, kv_heads, -1, width) @ vt).view(b, kv_heads, siblings, repeats, dim).transpose(1, 2)
        out = out.reshape(slots, kv_heads, repeats, dim) + p[..., width:] @ vo[:, :, : t + 1]
        out = out.reshape(slots, heads, dim)
        return out if self.slot_L is None else out[self.slot_L]

    def _own(self, layer: int, like: Tensor, t: int) -> tuple[Tensor, Tensor]:
        if layer not in self.own:
            shape = (self.row_bS.numel(), like.shape[1], GROW, like.shape[2])
            self.own[layer] = (like.new_zeros(shape), like.new_zeros(shape))
        elif t >= self.own[layer][0].shape[2]:
            self.own[layer] = tuple(F.pad(x, (0, 0, 0, max(GROW, t // 2))) for x in self.own[layer])
        return self.own[layer]


class _Cache:
    """Attention while sampling: while `t` is -1 the prompts are read, then the t-th token of every live row."""

    def __init__(self, pack: Pack, n: int) -> None:
        self.pack, self.n_rows, self.t = pack, len(pack.trunk_lengths) * n, -1
        lengths = torch.tensor(pack.trunk_lengths)
        starts = lengths.cumsum(0) - lengths
        group_of = {int(start): g for g, start in enumerate(starts)}
        self.buckets = []
        for bucket in pack.buckets:
            groups = torch.tensor([group_of[int(s)] for s in bucket.trunk_bP[:, 0]], device=bucket.trunk_bP.device)
            self.buckets.append(_Slots(bucket, groups, n))

    def keep(self, rows_L: Tensor) -> None:
        """Only these rows live on."""
        for slots in self.buckets:
            slots.keep(rows_L, self.n_rows)
        self.buckets = [slots for slots in self.buckets if len(slots.at_L)]
        self.is_in_order = len(self.buckets) == 1 and torch.equal(
            self.buckets[0].at_L, torch.arange(len(rows_L), device=rows_L.device)
        )

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> Tensor:
        """See `saccade.policy.attention.Stream`."""
        if self.t < 0:
            return self._prefill(layer, q, k, v, scale)
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        if self.is_in_order:
            return self.buckets[0].attend(layer, q, k, v, t=self.t, scale=scale)
        out = torch.empty_like(q)
        for slots in self.buckets:
            at = slots.at_L
            out[at] = slots.attend(layer, q[at], k[at], v[at], t=self.t, scale=scale)
        return out

    def _prefill(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        parts = []
        for slots in self.buckets:
            flat, (b, width) = slots.bucket.trunk_bP.flatten(), slots.bucket.trunk_bP.shape
            slots.trunk[layer] = tuple(
                x.index_select(1, flat).view(-1, b, width, x.shape[-1]).transpose(0, 1).contiguous() for x in (k, v)
            )
            parts += attend_bucket(slots.bucket, q, k, v, scale=scale)
        return torch.cat(parts).index_select(0, self.pack.output_N)
