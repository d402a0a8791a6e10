"""What every side measures in the same way: seconds of a step's parts, and the process's peak memory."""

import json
import resource
import statistics
import time
from contextlib import contextmanager


def resident_mb():
    """Memory of this process now, in MB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def peak_mb():
    """The most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Stopwatch:
    """Adds up the seconds of named parts until `take` returns them and starts again at zero."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def part(self, name):
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def take(self):
        seconds, self.seconds = self.seconds, {}
        return seconds


def line(*, side, setting, steps, before_mb, warmup=1, **more):
    """One JSON line: the median seconds of each part over the steps after the warm-up, and the memory."""
    counted = steps[warmup:]
    median = {name: statistics.median(step[name] for step in counted) for name in counted[0]}
    memory = {"peak_mb": peak_mb(), "before_mb": before_mb}
    return json.dumps(
        {"side": side, "setting": setting.name, **median, **memory, "steps": len(counted), "each": counted, **more}
    )


def matmul_gflops(size=1536, seconds=2.0):
    """The best float32 speed of a large matrix product here, of PyTorch's two libraries (MKL, oneDNN)."""
    import torch

    from bench import settings

    torch.set_num_threads(settings.THREADS)
    a, b = torch.randn(size, size), torch.randn(size, size)
    products = [lambda: torch.mm(a, b)]
    if torch.backends.mkldnn.is_available():
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    best = 0.0
    for product in products:
        product()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            product()
            best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
    return best


if __name__ == "__main__":
    print(matmul_gflops())
