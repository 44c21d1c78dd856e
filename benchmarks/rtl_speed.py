"""How fast the RTL simulates: cycles in a second of one core, for a product at each array size.

    python benchmarks/rtl_speed.py              # DIM 4, 8, 16, 32; the first run builds them, a minute each
    python benchmarks/rtl_speed.py --dim 16

The product is that of the vendor's library, 16 DIM x 16 DIM x 16 DIM, with the cached memory. Seconds are processor time of this process.
"""

from __future__ import annotations

import argparse
import time

from library_layers import BASE, matmul_layer
from rich.console import Console
from rich.table import Table

from baco.hardware import GemminiConfig
from baco.sim.rtl import Rtl


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dim", type=int, nargs="*", default=[4, 8, 16, 32])
    options = parser.parse_args()
    table = Table("DIM", "product", "cycles", "seconds", "kHz", title="Simulated cycles in a second of one core", title_justify="left")
    for dim in options.dim:
        config, size = GemminiConfig(dim=dim), 16 * dim
        layer = matmul_layer(size, size, size, config)
        rtl = Rtl(config, layer.memory, BASE)
        start = time.process_time()
        rtl.stream(layer.commands, interval=4)
        seconds = time.process_time() - start
        assert (layer.result() == layer.expected).all()
        cycles = rtl.counts.cycle
        table.add_row(str(dim), f"{size}^3", f"{cycles:,}", f"{seconds:.2f}", f"{cycles / seconds / 1000:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
