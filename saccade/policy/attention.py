"""Attention over a packed stream of groups, for unmodified transformers models.

`transformers` lets a model call any attention function by name. Ours (`NAME`) gets queries, keys and values of the whole
stream, [1, heads, N, D] with rotary positions already applied, and needs no N x N mask: trunks run through PyTorch's causal
attention, and branches through `BranchAttention`, which takes the softmax over trunk and own branch together without ever
copying the trunk per sibling. Which stream is being computed is said by `attending(...)`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from saccade.core.pack import Bucket, Pack

NAME = "saccade_groups"

# Scores of a chunk of branch queries: at most this many elements at once (64 MiB in float32).
MAX_SCORES = 2**24


class Stream(Protocol):
    """What attention means for the tokens now in the model: a pack being learned, or rows being sampled."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> Tensor:
        """q [H, N, D], k and v [Hk, N, D] to the attention output [N, H, D]."""


_current: list[Stream] = []


@contextlib.contextmanager
def attending(stream: Stream) -> Iterator[None]:
    """Within it, models whose attention is `NAME` compute this stream. Backward passes that recompute must be inside, too."""
    # Not a context variable: with gradient checkpointing CUDA recomputes in autograd's own threads.
    _current.append(stream)
    try:
        yield
    finally:
        _current.pop()


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any):
    if not _current:
        raise RuntimeError("a model set up for group attention was called outside attending(...)")
    for option in ("softcap", "sliding_window", "s_aux"):
        if options.get(option) is not None:
            raise NotImplementedError(f"group attention has no {option}, and this model asks for it")
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast rotary leaves them in float32
    out = _current[-1].attend(module.layer_idx, query[0], key[0], value[0], scale=scale)
    return out[None], None


AttentionInterface.register(NAME, _attention)


class PackStream:
    """Attention over a Pack, differentiable."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> Tensor:
        """See `Stream`."""
        parts = []
        for bucket in self.pack.buckets:
            parts += attend_bucket(bucket, q, k, v, scale=scale)
        if len(parts) == 1 and len(parts[0]) == q.shape[1]:
            return parts[0]
        return torch.cat(parts).index_select(0, self.pack.output_N)


def attend_bucket(bucket: Bucket, q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> list[Tensor]:
    """The padded outputs of a bucket, [b*P, H, D] for its trunks and [b*G*R, H, D] for its branches."""
    heads, kv_heads, dim = q.shape[0], k.shape[0], q.shape[-1]
    b, width = bucket.trunk_bP.shape
    _, siblings, reads = bucket.branch_bGR.shape
    flat = bucket.trunk_bP.flatten()
    qt, kt, vt = (x.index_select(1, flat).view(-1, b, width, dim).transpose(0, 1) for x in (q, k, v))
    trunk = _causal(qt, kt, vt, scale=scale)
    parts = [trunk.transpose(1, 2).reshape(b * width, heads, dim)]
    if bucket.branch_bGR.numel():
        flat, repeats = bucket.branch_bGR.flatten(), heads // kv_heads
        qb = q.index_select(1, flat).view(kv_heads, repeats, b, siblings, reads, dim).permute(2, 0, 3, 1, 4, 5)
        kb, vb = (x.index_select(1, flat).view(kv_heads, b, siblings, reads, dim).transpose(0, 1) for x in (k, v))
        out = BranchAttention.apply(qb, kt, vt, kb, vb, bucket.is_trunk_bP, scale)
        parts.append(out.permute(0, 2, 4, 1, 3, 5).reshape(-1, heads, dim))
    return parts


def _causal(q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> Tensor:
    if q.shape[1] == k.shape[1]:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    if q.is_cuda and q.dtype == torch.float32:
        # CUDA's float32 kernel shares no keys among heads; what PyTorch would take instead holds all N x N scores.
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=q.shape[1] != k.shape[1])


class BranchAttention(torch.autograd.Function):
    """Softmax attention of branch queries over [whole trunk, own branch up to itself], exact in every float type.

    q [b, Hk, G, r, R, D] (r query heads per key head), trunk k and v [b, Hk, P, D], own k and v [b, Hk, G, R, D],
    is_trunk [b, P] or None; returns [b, Hk, G, r, R, D]. Queries go through in chunks of R, the scores of a chunk are
    recomputed in the backward pass, so memory is that of inputs and outputs plus one chunk.
    """

    @staticmethod
    def forward(ctx, q, kt, vt, ko, vo, is_trunk, scale):
        """See the class; saves inputs, output and log-sum-exp only."""
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        lse = torch.empty(q.shape[:-1], dtype=_softmax_dtype(q), device=q.device)
        for rows in _chunks(q, kt):
            p_t, p_o, top, total = _chunk_scores(q, kt, ko, is_trunk, scale, rows)
            o = _join(p_t.to(vt.dtype), p_o.to(vo.dtype), vt, vo[:, :, :, : rows.stop])
            out[:, :, :, :, rows] = o / total[..., None].to(o.dtype)
            lse[:, :, :, :, rows] = top + total.log()
        ctx.save_for_backward(q, kt, vt, ko, vo, is_trunk, out, lse)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx, d_out):
        """Recomputes each chunk's probabilities from the log-sum-exp and applies the softmax rule by hand."""
        q, kt, vt, ko, vo, is_trunk, out, lse = ctx.saved_tensors
        scale = ctx.scale
        d_q = torch.empty_like(q, memory_format=torch.contiguous_format)
        d_kt, d_vt, d_ko, d_vo = (torch.zeros_like(x, memory_format=torch.contiguous_format) for x in (kt, vt, ko, vo))
        delta = (d_out * out).sum(-1).to(lse.dtype)
        for rows in _chunks(q, kt):
            own = slice(0, rows.stop)
            p_t, p_o, _, _ = _chunk_scores(q, kt, ko, is_trunk, scale, rows, lse=lse[:, :, :, :, rows])
            do, qr = d_out[:, :, :, :, rows], q[:, :, :, :, rows]
            do_t, do_o, q_t, q_o = _by_trunk(do), _by_branch(do), _by_trunk(qr), _by_branch(qr)
            d_vt += p_t.to(vt.dtype).flatten(2, 4).transpose(-1, -2) @ do_t
            d_vo[:, :, :, own] += p_o.to(vo.dtype).flatten(3, 4).transpose(-1, -2) @ do_o
            d = delta[:, :, :, :, rows, None]
            s_t = p_t.mul_((do_t @ vt.transpose(-1, -2)).view_as(p_t).to(p_t.dtype).sub_(d)).mul_(scale).to(q.dtype)
            s_o = (do_o @ vo[:, :, :, own].transpose(-1, -2)).view_as(p_o).to(p_o.dtype).sub_(d)
            s_o = p_o.mul_(s_o).mul_(scale).to(q.dtype)
            d_q[:, :, :, :, rows] = _join(s_t, s_o, kt, ko[:, :, :, own])
            d_kt += s_t.flatten(2, 4).transpose(-1, -2) @ q_t
            d_ko[:, :, :, own] += s_o.flatten(3, 4).transpose(-1, -2) @ q_o
        return d_q, d_kt, d_vt, d_ko, d_vo, None, None


def _softmax_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _chunks(q: Tensor, kt: Tensor) -> Iterator[slice]:
    b, kv_heads, siblings, repeats, reads, _ = q.shape
    per_row = b * kv_heads * siblings * repeats * (kt.shape[2] + reads)
    step = max(1, min(reads, MAX_SCORES // per_row))
    for start in range(0, reads, step):
        yield slice(start, min(reads, start + step))


def _by_trunk(x: Tensor) -> Tensor:
    """[b, Hk, G, r, R, D] to [b, Hk, G*r*R, D]: every query of a trunk in one matrix."""
    return x.flatten(2, 4)


def _by_branch(x: Tensor) -> Tensor:
    """[b, Hk, G, r, R, D] to [b, Hk, G, r*R, D]: the queries of each branch in a matrix of its own."""
    return x.flatten(3, 4)


def _chunk_scores(q, kt, ko, is_trunk, scale, rows, lse=None):
    """Unnormalised probabilities over trunk and own branch for some rows, with their maximum and total.

    With `lse` given they come out normalised, and maximum and total are None.
    """
    b, kv_heads, siblings, repeats, _, _ = q.shape
    qr, n = q[:, :, :, :, rows] * scale, rows.stop - rows.start
    shape = (b, kv_heads, siblings, repeats, n)
    dtype = _softmax_dtype(q)
    s_t = (_by_trunk(qr) @ kt.transpose(-1, -2)).view(*shape, -1).to(dtype)
    s_o = (_by_branch(qr) @ ko[:, :, :, : rows.stop].transpose(-1, -2)).view(*shape, -1).to(dtype)
    if is_trunk is not None:
        s_t = s_t.masked_fill_(~is_trunk[:, None, None, None, None], float("-inf"))
    row = torch.arange(rows.start, rows.stop, device=q.device)
    s_o = s_o.masked_fill_(row[:, None] < torch.arange(rows.stop, device=q.device), float("-inf"))
    if lse is not None:
        return s_t.sub_(lse[..., None]).exp_(), s_o.sub_(lse[..., None]).exp_(), None, None
    top = torch.maximum(s_t.amax(-1), s_o.amax(-1))
    p_t, p_o = s_t.sub_(top[..., None]).exp_(), s_o.sub_(top[..., None]).exp_()
    return p_t, p_o, top, p_t.sum(-1) + p_o.sum(-1)


def _join(w_t: Tensor, w_o: Tensor, x_t: Tensor, x_o: Tensor) -> Tensor:
    """Weights over trunk and own branch times what stands there, summed: [b, Hk, G, r, n, D]."""
    out = (_by_trunk(w_t) @ x_t).view(*w_t.shape[:-1], -1)
    return out + (_by_branch(w_o) @ x_o).view_as(out)
