"""Log-probs of sampled tokens from hidden states, a chunk at a time, so that no [tokens, vocabulary] tensor exists."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Logits of a chunk: at most this many elements at once (64 MiB in float32), and at most MAX_ROWS tokens.
MAX_LOGITS = 2**24
MAX_ROWS = 1024
# What a forbidden token's logit becomes: finite, so that entropy has no 0 * infinity, and far below any real logit.
FORBIDDEN = -1e9


@dataclass(frozen=True)
class LogProbs:
    """For each trained token: its log-prob (differentiable) and the entropy of the distribution it was drawn from (not)."""

    logp_M: Tensor
    entropy_M: Tensor


def token_logprobs(
    head: nn.Module, hidden_MH: Tensor, *, target_M: Tensor, forbidden: Tensor, temperature: float, vocabulary: int
) -> LogProbs:
    """Log-probs of `target_M` under softmax(head(hidden) / temperature) over the tokens that may be sampled.

    Each chunk's logits are thrown away and computed again in the backward pass. Log-probs are float32, or float64 for a
    float64 model.
    """
    rows = max(1, min(MAX_ROWS, MAX_LOGITS // vocabulary))
    logps, entropies = [], []
    for start in range(0, max(1, len(target_M)), rows):
        part = slice(start, start + rows)
        arguments = (head, hidden_MH[part], target_M[part], forbidden, temperature)
        if torch.is_grad_enabled():
            logp, entropy = checkpoint(_chunk, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            logp, entropy = _chunk(*arguments)
        logps.append(logp)
        entropies.append(entropy.detach())
    return LogProbs(torch.cat(logps), torch.cat(entropies))


def allowed_logits(logits: Tensor, forbidden: Tensor, temperature: float) -> Tensor:
    """The logits from which sampler and learner alike build their distribution."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return (logits / temperature).index_fill(-1, forbidden, FORBIDDEN)


def _chunk(head: nn.Module, hidden_MH: Tensor, target_M: Tensor, forbidden: Tensor, temperature: float):
    logits_MV = allowed_logits(head(hidden_MH), forbidden, temperature)
    total_M = logits_MV.logsumexp(-1)
    logp_M = logits_MV.gather(-1, target_M[:, None])[:, 0] - total_M
    with torch.no_grad():
        entropy_M = total_M - ((logits_MV - total_M[:, None]).exp() * logits_MV).sum(-1)
    return logp_M, entropy_M
