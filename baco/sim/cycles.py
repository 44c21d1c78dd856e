"""What a run took on the clock: the report of the Verilator backend."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Cycles:
    """Cycles of a run, and what the accelerator did with them."""

    whole: int
    """From the program's first instruction until it has ended and the accelerator is at rest."""
    device: int
    """In which the accelerator was busy."""
    host: int
    """In which the host core worked, instead of waiting for the accelerator."""
    queue_wait: int
    """In which it waited to hand a command over."""
    fence_wait: int
    """In which it waited at a fence."""
    macs: int
    """Multiply-accumulates of the commands, among them those of blocks that reach over the end of an array."""
    dim: int
    reads: int = 0
    """Requests to memory."""
    writes: int = 0
    bytes_read: int = 0
    """On the memory port: whole beats, also where part of one was not asked for."""
    bytes_written: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    write_backs: int = 0
    memory: str = ""
    """The memory model."""
    stalls: dict[str, dict[str, int]] = field(default_factory=dict)
    """Cycles for which a queue waited, by queue and by what it waited for."""

    @property
    def utilisation(self) -> float:
        """Multiply-accumulates over what the array could do while the accelerator was busy: DIM^2 a cycle."""
        return self.macs / (self.device * self.dim**2) if self.device else 0.0

    def to_dict(self) -> dict[str, object]:
        """The report as JSON-ready data."""
        return {**asdict(self), "utilisation": self.utilisation}
