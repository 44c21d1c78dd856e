"""Energy of one access, in pJ a word: the only table of energy constants in BACO.

Source: Table 6.3 of the BACO dissertation, which rounds DOSA's constants (MICRO'23 artifact: MAC 0.5608, register 0.48746,
scratchpad slope 0.02513), themselves Accelergy's for the MAC and Timeloop's built-in tables for the memories.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnergyTable:
    """pJ a multiply-accumulate or an access; memory energies grow linearly with capacity."""

    mac: float = 0.561
    register: float = 0.487
    accumulator: float = 1.94
    accumulator_per_kib_per_column: float = 0.1005
    """Times the accumulator's KiB divided by the side of the array: one column's own SRAM."""
    scratchpad: float = 0.49
    scratchpad_per_kib: float = 0.025
    dram: float = 100.0
    source: str = "BACO dissertation, Table 6.3"


TABLE_6_3 = EnergyTable()

DRAM_WORDS_PER_CYCLE = 8
"""Table 6.3: words per cycle between DRAM and the scratchpad, reads and writes together."""

PORTS = 2
"""Table 6.3: the accumulator and the scratchpad move 2 words per cycle and column (row), the registers 2 per element."""
