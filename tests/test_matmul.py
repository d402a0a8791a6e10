"""The faster matrix product is taken only where it is as exact."""

from __future__ import annotations

import pytest
import torch

from saccade.policy import matmul


@pytest.fixture(autouse=True)
def as_before():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_what_is_chosen_is_as_exact_as_float32():
    torch.set_float32_matmul_precision("highest")
    usual = matmul._error((300, 400, 500))
    matmul.choose_matmul()
    assert matmul._error((300, 400, 500)) <= matmul.ALLOWED * usual < 1e-3


def test_products_that_round_to_bfloat16_are_refused(monkeypatch):
    exact = torch.Tensor.__matmul__

    def rounded(a, b):
        is_medium = torch.get_float32_matmul_precision() == "medium"
        return exact(a.bfloat16(), b.bfloat16()).float() if is_medium and a.dtype == torch.float32 else exact(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    torch.set_float32_matmul_precision("highest")
    assert not matmul.choose_matmul()
    assert torch.get_float32_matmul_precision() == "highest"
