"""Words moved at every memory level, tensor by tensor: what the model predicts and what the simulator counts, in one form."""

from __future__ import annotations

from dataclasses import dataclass, field

HELD: dict[str, tuple[str, ...]] = {
    "registers": ("weights",),
    "accumulator": ("outputs",),
    "scratchpad": ("weights", "inputs"),
    "dram": ("weights", "inputs", "outputs"),
}
"""Which tensors each memory level holds, innermost level first."""

PLACES: tuple[tuple[str, str], ...] = tuple((level, tensor) for level, tensors in HELD.items() for tensor in tensors)


@dataclass
class Traffic:
    """Multiply-accumulates and the words read from and written to each (level, tensor) of :data:`PLACES`.

    A word is one element: int8 for weights and inputs, int32 in the accumulator; an output or partial sum that crosses to DRAM
    is one word whatever its width.
    """

    macs: int = 0
    reads: dict[tuple[str, str], int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    writes: dict[tuple[str, str], int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))

    def accesses(self, level: str) -> int:
        """Reads and writes of all tensors at `level`."""
        return sum(self.reads[level, t] + self.writes[level, t] for t in HELD[level])

    def differences(self, other: Traffic) -> list[str]:
        """One sentence for each figure in which `other` differs from this one; empty when they are equal."""
        mine, theirs = self._figures(), other._figures()
        return [f"{name}: {mine[name]} against {theirs[name]}." for name in mine if mine[name] != theirs[name]]

    def _figures(self) -> dict[str, int]:
        figures = {"MACs": self.macs}
        for level, tensor in PLACES:
            figures[f"{level} {tensor} reads"] = self.reads[level, tensor]
            figures[f"{level} {tensor} writes"] = self.writes[level, tensor]
        return figures

    def to_dict(self) -> dict[str, int]:
        """Flat figures under readable names, for JSON."""
        return self._figures()
