"""Which library multiplies float32 matrices on this CPU.

torch gives large float32 products to MKL, which on AMD processors does not use their widest instructions. At the precision that
torch calls "medium" it may give them to oneDNN instead, which does: more than twice as fast there. "medium" also permits
bfloat16 inside, so it is kept only where it was measured to be as exact as float32 on this very machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

SHAPES = ((64, 256, 64), (512, 512, 512), (1500, 256, 700))
# bfloat16 inside would make the error hundreds of times larger; two orders of summation differ by less than this.
ALLOWED = 4.0
FEW = 64  # rows


def choose_matmul() -> bool:
    """Use oneDNN for this process's float32 products if it is as exact as the default; whether it is now used.

    Where there is a GPU nothing is changed: the same setting would let it round float32 products.
    """
    if torch.cuda.is_available():
        return False
    before = torch.get_float32_matmul_precision()
    usual = [_error(shape) for shape in SHAPES]
    torch.set_float32_matmul_precision("medium")
    if all(_error(shape) <= ALLOWED * error for shape, error in zip(SHAPES, usual, strict=True)):
        return True
    torch.set_float32_matmul_precision(before)
    return False


@contextlib.contextmanager
def products_of(rows: int) -> Iterator[None]:
    """Within it matrices of so many rows are multiplied; torch's usual library does it where they are few: it is faster then."""
    if rows > FEW or torch.get_float32_matmul_precision() == "highest":
        yield
        return
    chosen = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(chosen)


def _error(shape: tuple[int, int, int]) -> float:
    """The largest error of a product of standard normal matrices [m, k] and [k, n]."""
    m, k, n = shape
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(m, k, generator=generator), torch.randn(k, n, generator=generator)
    return float(((a @ b).double() - a.double() @ b.double()).abs().max())
