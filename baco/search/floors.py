"""What no machine of a side can go below, whatever its memories and the mappings."""

from __future__ import annotations

from baco.perfmodel.constants import DRAM_WORDS_PER_CYCLE
from baco.search.goals import Rules
from baco.workloads import Network


def floor_of_side(network: Network, side: int, rules: Rules) -> float:
    """A lower bound on the objective for any machine of this side."""
    return rules.goal.value(*floor_totals(network, side, rules))


def floor_totals(network: Network, side: int, rules: Rules) -> tuple[float, float]:
    """Lower bounds on the network's energy in pJ and latency in cycles: all elements busy, and each tensor crossing DRAM once."""
    table, energy, cycles = rules.table, 0.0, 0.0
    for layer in network.layers:
        p = layer.problem
        # A dilated filter may leave inputs unread, so those are not counted there.
        tensors = ("weights", "inputs") if p.dilation == (1, 1) else ("weights",)
        reads, writes = sum(p.tile_words(tensor, p.sizes) for tensor in tensors), p.tile_words("outputs", p.sizes)
        energy += layer.count * (p.macs * (table.mac + table.register) + (reads + writes) * table.dram)
        words = reads + writes if rules.latency == "shared" else max(reads, writes)
        cycles += layer.count * max(p.macs / side**2, words / DRAM_WORDS_PER_CYCLE)
    return energy, cycles
