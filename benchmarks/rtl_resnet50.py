"""A whole ResNet-50 inference as one program on the RTL, in cycles. Run it: python benchmarks/rtl_resnet50.py [loops] [primitive]

The programs are those of benchmarks/simulator.py (224 x 224, int8, random weights, all 53 convolutions, pooling, residual additions,
the average and the fully connected layer; `primitive` has no biases), before a cold cache and DRAM unless BACO_MEMORY_MODEL says otherwise.
Every tensor is compared with a NumPy reference. Some minutes for each.
"""

from __future__ import annotations

import sys

from resnet50_program import Inference
from simulator import print_table

COLUMNS = ("whole", "device", "host", "waits for the queue", "at fences", "utilisation", "MB read", "MB written", "waited for longest")


def row(inference: Inference) -> list[str]:
    """The figures of one program, cycles in thousands.

    Raises:
        SystemExit: if a result is wrong.
    """
    memory, result = inference.run("verilator")
    if wrong := list(inference.wrong(memory)):
        raise SystemExit(f"wrong results from {wrong[0]} on")
    c = result.cycles
    longest = max(((n, f"{queue}: {why}") for queue, reasons in c.stalls.items() for why, n in reasons.items()), default=(0, "nothing"))
    counts = (c.whole, c.device, c.host, c.queue_wait, c.fence_wait)
    return [
        *(f"{n / 1000:,.0f}" for n in counts),
        f"{100 * c.utilisation:.0f} %",
        f"{c.bytes_read / 1e6:.1f}",
        f"{c.bytes_written / 1e6:.1f}",
        f"{longest[1]}, {100 * longest[0] / c.whole:.0f} %",
    ]


if __name__ == "__main__":
    print_table("ResNet-50 inference on gemmini-default's RTL, thousand cycles", COLUMNS, sys.argv[1:], row, 200)
