"""What instructions cost on the host core, in cycles of an in-order Rocket with warm caches and predicted branches.

Every instruction takes one cycle, a RoCC instruction among them, and these more. The figures for fences are measured, those for the
iterative multiplier and divider typical; misses of the caches and the branch predictor are left out (GEMMINI_UARCH.md section 9.2).
"""

from __future__ import annotations

__all__ = ["DIVIDE_CYCLES", "FENCE_AFTER", "FENCE_CYCLES", "MULTIPLY_CYCLES", "TAKEN_CYCLE", "TAKEN_FENCE", "TAKEN_KIND"]

MULTIPLY_CYCLES = 5
DIVIDE_CYCLES = 33
FENCE_CYCLES = 9
"""A fence with the accelerator at rest."""
FENCE_AFTER = 5
"""From the first cycle in which the accelerator is at rest to the instruction behind a fence that waited."""

TAKEN_KIND = 30
"""The lowest of the bits that say what an instruction was that the loader took out: 0 a read of retired instructions."""
TAKEN_CYCLE, TAKEN_FENCE = 1, 2
