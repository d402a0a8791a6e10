"""Which groups share a pack, and what a pack holds."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.core.pack import Branch, Pack, Prompt, plan_packs

GROUPS = st.lists(st.tuples(st.integers(1, 60), st.lists(st.integers(0, 40), min_size=1, max_size=6)), max_size=12)


def prompt(*tokens: int) -> Prompt:
    position_AP = torch.arange(len(tokens))[None]
    return Prompt(token_P=torch.tensor(tokens), position_AP=position_AP, features={}, picture_shas=())


@settings(deadline=None)
@given(groups=GROUPS, budget=st.integers(1, 150))
def test_plan_holds_every_sibling_once_keeps_the_budget_and_splits_only_what_exceeds_it(groups, budget):
    trunks, branches = [t for t, _ in groups], [b for _, b in groups]
    plan = plan_packs(trunks, branches, budget=budget)
    placed = sorted((share.group, i) for pack in plan for share in pack for i in share.siblings)
    assert placed == [(g, i) for g, row in enumerate(branches) for i in range(len(row))]
    parts = [0] * len(groups)
    for pack in plan:
        for share in pack:
            parts[share.group] += 1
        cost = sum(trunks[s.group] + sum(branches[s.group][i] for i in s.siblings) for s in pack)
        alone = len(pack) == 1 and len(pack[0].siblings) == 1
        assert cost <= budget or alone
    for g, n in enumerate(parts):
        fits = trunks[g] + sum(branches[g]) <= budget
        assert n == 1 if fits else n <= len(branches[g])


def test_groups_of_like_length_share_a_pack():
    plan = plan_packs([10, 40, 11], [[5, 5], [5, 5], [5, 5]], budget=50)
    assert [[share.group for share in pack] for pack in plan] == [[0, 2], [1]]


def test_a_group_over_the_budget_pays_its_prompt_again():
    plan = plan_packs([10], [[6, 6, 6, 30]], budget=25)
    assert [[share.siblings for share in pack] for pack in plan] == [[(0, 1)], [(2,)], [(3,)]]


def test_the_stream_and_its_targets_in_literal_numbers():
    first = [Branch((8, 9)), Branch((4,)), Branch((3, 2, 1), (True, False, True))]
    pack = Pack.of([(prompt(5, 6, 7), first), (prompt(50, 60), [Branch((70, 80))])])
    assert pack.token_N.tolist() == [5, 6, 7, 50, 60, 8, 3, 2, 70]
    assert pack.position_AN.tolist() == [[0, 1, 2, 0, 1, 3, 3, 4, 2]]
    assert pack.target_M.tolist() == [8, 9, 4, 3, 1, 70, 80]
    assert pack.source_M.tolist() == [2, 5, 2, 2, 7, 4, 8]
    assert pack.rollout_M.tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert pack.n_rollouts == 4


@settings(deadline=None, max_examples=50)
@given(groups=GROUPS.filter(bool))
def test_every_stream_token_is_found_in_the_padded_attention_output(groups):
    rows = [(prompt(*range(t)), [Branch(tuple(range(n + 1))) for n in b]) for t, b in groups]
    pack = Pack.of(rows)
    padded = torch.cat([torch.cat([b.trunk_bP.flatten(), b.branch_bGR.flatten()]) for b in pack.buckets])
    assert torch.equal(padded[pack.output_N], torch.arange(len(pack)))
