"""Packing groups into one token stream, so that what siblings share is computed once.

A pack is one stream of N tokens: first every group's prompt (its trunk), then every sibling's answer (its branch):

    [ prompt a | prompt b | a's answer 1 | a's answer 2 | b's answer 1 | b's answer 2 ]

A trunk token attends to its own trunk up to itself; a branch token attends to its whole trunk and to its own branch up to
itself. All branches of a trunk begin at the same position, the one after the prompt. With positions and attention given
explicitly this is exactly G separate rows `prompt + answer i`, without computing the prompt G times and without padding.

The last token of a branch is only ever predicted, never read, so it is not in the stream. The state that predicts a
branch's first token is the trunk's last, shared by all siblings.

    >>> prompt = Prompt(token_P=torch.tensor([5, 6, 7]), position_AP=torch.arange(3)[None], features={}, picture_shas=())
    >>> pack = Pack.of([(prompt, [Branch((8, 9)), Branch((4, 3, 2))])])
    >>> pack.token_N.tolist(), pack.target_M.tolist(), pack.source_M.tolist()
    ([5, 6, 7, 8, 4, 3], [8, 9, 4, 3, 2], [2, 3, 2, 4, 5])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

# Trunks whose lengths differ by less than this share one padded attention batch; the padding costs attention only.
TRUNK_SLACK = 0.75


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A sample's messages as one model reads them: P token ids, positions [A, P], the processor's picture tensors.

    `position_AP` has one row for ordinary rotary positions and three (time, height, width) for M-RoPE. `features` goes to
    the model as it is (pixel_values and friends). `picture_shas` names the pictures, in reading order; `model_sizes` are
    the (width, height) at which the model sees them.
    """

    token_P: Tensor
    position_AP: Tensor
    features: Mapping[str, Tensor]
    picture_shas: tuple[str, ...]
    model_sizes: tuple[tuple[int, int], ...] = ()

    @property
    def next_position(self) -> int:
        """The position of the first token after the prompt."""
        return int(self.position_AP.max()) + 1

    def followed_by(self, token_T: Sequence[int]) -> Prompt:
        """The prompt with the beginning of an answer behind it, to be gone on with."""
        tokens = torch.tensor(token_T, dtype=self.token_P.dtype)
        positions = self.next_position + torch.arange(len(tokens), dtype=self.position_AP.dtype)
        return replace(
            self,
            token_P=torch.cat([self.token_P, tokens]),
            position_AP=torch.cat([self.position_AP, positions.expand(len(self.position_AP), -1)], dim=1),
        )

    def __len__(self) -> int:
        return len(self.token_P)


@dataclass(frozen=True)
class Branch:
    """One sibling's tokens after the prompt; `is_sampled_T` marks those that the policy sampled, None for all.

    Where an environment showed pictures on the way, `features` are their tensors and `position_AT` the positions of all the
    branch's tokens, which then do not simply count on from the prompt's.
    """

    token_T: tuple[int, ...]
    is_sampled_T: tuple[bool, ...] | None = None
    features: Mapping[str, Tensor] = field(default_factory=dict)
    position_AT: Tensor | None = None

    @property
    def n_read(self) -> int:
        """How many of its tokens stand in the stream: all but the last."""
        return max(0, len(self.token_T) - 1)

    @property
    def n_trained(self) -> int:
        """How many of its tokens were sampled."""
        return len(self.token_T) if self.is_sampled_T is None else sum(self.is_sampled_T)


@dataclass(frozen=True)
class Bucket:
    """Trunks of similar length and their branches, as padded index tables into the stream, for one batch of attention.

    `trunk_bP` and `branch_bGR` hold stream indices; padding stands at the end of a row and repeats a valid index.
    `is_trunk_bP` is None where no trunk is padded.
    """

    trunk_bP: Tensor
    branch_bGR: Tensor
    is_trunk_bP: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Groups as one token stream. All tensors live on one device.

    token_N, position_AN   the stream
    target_M               token ids that were sampled, rollout by rollout in the order given
    source_M               index in the stream of the state that predicts each
    rollout_M              index of the rollout (counted over the whole pack) that each belongs to
    buckets, output_N      attention's index tables; output_N finds each stream token in the buckets' padded outputs
    features               picture tensors of prompts, then branches, in stream order; each picture is encoded once
    trunk_lengths          tokens of each prompt, in stream order
    """

    token_N: Tensor
    position_AN: Tensor
    target_M: Tensor
    source_M: Tensor
    rollout_M: Tensor
    buckets: tuple[Bucket, ...]
    output_N: Tensor
    features: tuple[Mapping[str, Tensor], ...]
    trunk_lengths: tuple[int, ...]
    n_rollouts: int

    def __len__(self) -> int:
        return len(self.token_N)

    @classmethod
    def of(cls, groups: Sequence[tuple[Prompt, Sequence[Branch]]]) -> Pack:
        """The pack of these groups, in this order. A group may have no branch (the sampler's prefill)."""
        if not groups:
            raise ValueError("a pack needs at least one group")
        prompts = [prompt for prompt, _ in groups]
        all_branches = [branch for _, branches in groups for branch in branches]
        starts, n = [], 0
        for prompt in prompts:
            starts.append(n)
            n += len(prompt)
        tokens = [prompt.token_P for prompt in prompts]
        positions = [prompt.position_AP for prompt in prompts]
        target, source, owner, branch_starts = [], [], [], []
        rollout = 0
        for (prompt, branches), start in zip(groups, starts, strict=True):
            axes, first, begins = prompt.position_AP.shape[0], prompt.next_position, []
            for branch in branches:
                read = branch.n_read
                begins.append(n)
                tokens.append(torch.tensor(branch.token_T[:read], dtype=torch.long))
                if branch.position_AT is None:
                    positions.append(torch.arange(first, first + read).expand(axes, read))
                else:
                    positions.append(branch.position_AT[:, :read])
                for t, token in enumerate(branch.token_T):
                    if branch.is_sampled_T is None or branch.is_sampled_T[t]:
                        target.append(token)
                        source.append(n + t - 1 if t else start + len(prompt) - 1)
                        owner.append(rollout)
                n += read
                rollout += 1
            branch_starts.append(begins)
        buckets, output = _buckets(groups, starts, branch_starts, n)
        return cls(
            token_N=torch.cat(tokens),
            position_AN=torch.cat(positions, dim=1),
            target_M=torch.tensor(target, dtype=torch.long),
            source_M=torch.tensor(source, dtype=torch.long),
            rollout_M=torch.tensor(owner, dtype=torch.long),
            buckets=buckets,
            output_N=output,
            features=tuple(part.features for part in (*prompts, *all_branches) if part.features),
            trunk_lengths=tuple(len(prompt) for prompt in prompts),
            n_rollouts=rollout,
        )

    def to(self, device: torch.device) -> Pack:
        """The same pack on a device; picture tensors stay where they are until the model asks for them."""
        if self.token_N.device == device:
            return self
        moved = {name: getattr(self, name).to(device) for name in _TENSORS}
        buckets = tuple(
            Bucket(
                b.trunk_bP.to(device),
                b.branch_bGR.to(device),
                None if b.is_trunk_bP is None else b.is_trunk_bP.to(device),
            )
            for b in self.buckets
        )
        return replace(self, **moved, buckets=buckets)


_TENSORS = ("token_N", "position_AN", "target_M", "source_M", "rollout_M", "output_N")


@dataclass(frozen=True)
class Share:
    """Which siblings of which group go into a pack: the group's index and the siblings' indices within it."""

    group: int
    siblings: tuple[int, ...] = field(default_factory=tuple)


def plan_packs(
    trunk_lengths: Sequence[int], branch_lengths: Sequence[Sequence[int]], *, budget: int
) -> list[list[Share]]:
    """Which groups share a pack, so that no pack holds more than `budget` stream tokens.

    Groups stay whole; one is split only when it alone exceeds the budget, and then into as few parts as fit, each paying
    for the prompt again. A sibling that exceeds the budget together with its prompt gets a pack of its own. Groups are
    taken by prompt length, so that a pack's prompts pad little. Branch lengths count the tokens read (`Branch.n_read`).
    """
    parts: list[tuple[int, Share]] = []
    for group, (trunk, branches) in enumerate(zip(trunk_lengths, branch_lengths, strict=True)):
        taken, cost = [], trunk
        for sibling, length in enumerate(branches):
            if taken and cost + length > budget:
                parts.append((cost, Share(group, tuple(taken))))
                taken, cost = [], trunk
            taken.append(sibling)
            cost += length
        if taken:
            parts.append((cost, Share(group, tuple(taken))))
    parts.sort(key=lambda part: (trunk_lengths[part[1].group], part[1].group, part[1].siblings))
    packs: list[list[Share]] = []
    room = 0
    for cost, share in parts:
        if not packs or cost > room:
            packs.append([])
            room = budget
        packs[-1].append(share)
        room -= cost
    return packs


def _buckets(
    groups: Sequence[tuple[Prompt, Sequence[Branch]]], starts: Sequence[int], branch_starts: Sequence[Sequence[int]], n: int
) -> tuple[tuple[Bucket, ...], Tensor]:
    """Attention batches of trunks with similar lengths, and where each stream token lies in their padded outputs."""
    order = sorted(range(len(groups)), key=lambda g: len(groups[g][0]))
    runs: list[list[int]] = []
    for g in reversed(order):  # longest first: it sets a bucket's width
        if runs and len(groups[g][0]) >= TRUNK_SLACK * len(groups[runs[-1][0]][0]):
            runs[-1].append(g)
        else:
            runs.append([g])
    buckets, output, offset = [], torch.empty(n, dtype=torch.long), 0
    for run in runs:
        run = sorted(run)
        trunk_len = [len(groups[g][0]) for g in run]
        wide, branches = max(trunk_len), [groups[g][1] for g in run]
        siblings = max(len(b) for b in branches)
        reads = max((b.n_read for row in branches for b in row), default=0)
        trunk_bP = torch.empty(len(run), wide, dtype=torch.long)
        branch_bGR = torch.empty(len(run), siblings, reads, dtype=torch.long)
        for i, g in enumerate(run):
            length = trunk_len[i]
            trunk_bP[i] = starts[g]
            trunk_bP[i, :length] = torch.arange(starts[g], starts[g] + length)
            output[starts[g] : starts[g] + length] = offset + i * wide + torch.arange(length)
        offset += len(run) * wide
        for i, g in enumerate(run):
            branch_bGR[i] = starts[g]
            for j, (branch, begin) in enumerate(zip(branches[i], branch_starts[g], strict=True)):
                branch_bGR[i, j, : branch.n_read] = torch.arange(begin, begin + branch.n_read)
                at = offset + (i * siblings + j) * reads
                output[begin : begin + branch.n_read] = at + torch.arange(branch.n_read)
        offset += branch_bGR.numel()
        is_trunk = None
        if min(trunk_len) < wide:
            is_trunk = torch.arange(wide)[None] < torch.tensor(trunk_len)[:, None]
        buckets.append(Bucket(trunk_bP, branch_bGR, is_trunk))
    return tuple(buckets), output
