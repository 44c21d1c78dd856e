"""The accelerator model with its memories: runs single commands, and is what the host core's RoCC instructions reach."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baco import knobs
from baco.hardware import GemminiConfig
from baco.isa import INSTRUCTIONS, Command
from baco.sim import native
from baco.sim.counters import Counters
from baco.sim.errors import FAULT_KINDS, SimulationFault
from baco.sim.rules import RULES
from baco.traffic import PLACES, Traffic


@dataclass(frozen=True)
class DramRegion:
    """A range of DRAM that the accelerator may read, and write if `writable`."""

    base: int
    size: int
    writable: bool = True
    name: str = "DRAM"


class Accelerator:
    """One Gemmini of the given configuration, its private memories zero, nothing configured.

    `dram` is the memory (bytes) that starts at guest address `dram_base`; `regions` are the parts of it that commands may touch, all
    of it by default. `strict` refuses what breaks a rule of :mod:`baco.sim.rules`, instead of doing as Spike does; BACO_STRICT decides
    where it is None. `scratchpad` and `accumulator` are NumPy views of the private memories, one row a row.
    """

    def __init__(
        self,
        config: GemminiConfig,
        dram: np.ndarray | None = None,
        dram_base: int = 0x8000_0000,
        regions: Sequence[DramRegion] | None = None,
        strict: bool | None = None,
    ) -> None:
        self.config = config
        self.dram = np.zeros(0, np.uint8) if dram is None else dram
        self.dram_base = dram_base
        self.scratchpad = np.zeros((config.scratchpad_rows, config.dim), np.int8)
        self.accumulator = np.zeros((config.accumulator_rows, config.dim), np.int32)
        if regions is None:
            regions = [DramRegion(dram_base, self.dram.size)]
        for region in regions:
            if not dram_base <= region.base <= region.base + region.size <= dram_base + self.dram.size:
                raise ValueError(f"region {region} is not inside the {self.dram.size} bytes of DRAM at {dram_base:#x}.")
        self._library = native.load()
        # The state is aligned by hand: a ctypes buffer only promises the alignment of a byte.
        self._state = ctypes.create_string_buffer(self._library.host_gemmini_size() + 64)
        self.address = -(-ctypes.addressof(self._state) // 64) * 64
        self._regions = (native.Region * len(regions))(*(_native_region(region) for region in regions))
        self._library.host_setup(self.address)[0] = native.Setup(
            dim=config.dim,
            scratchpad_rows=config.scratchpad_rows,
            accumulator_rows=config.accumulator_rows,
            max_block_columns=config.max_block_columns,
            max_accumulator_columns=config.max_accumulator_columns,
            weight_stationary_only=config.weight_stationary_only,
            full_width_stores=config.full_width_stores,
            strict=knobs.strict.value if strict is None else strict,
            scratchpad=self.scratchpad.ctypes.data,
            accumulator=self.accumulator.ctypes.data,
            dram=self.dram.ctypes.data,
            dram_base=dram_base,
            dram_size=self.dram.size,
            regions=self._regions,
            region_count=len(regions),
        )

    def execute(self, command: Command) -> None:
        """Run one command.

        Raises:
            SimulationFault: of the kind at hand, if the command is illegal. It then had no effect, but that a loop may have done the steps
                before the one at fault.
        """
        given = native.NativeCommand(command.funct7, command.rs1, command.rs2)
        if not self._library.gemmini_execute(self.address, given):
            raise self.fault()

    def observe(self, observer: native.Observer | None, instance: int | None = None) -> None:
        """Let `observer` take steps down from now on, and nobody if it is None; `instance` is where in this process the program instance
        that runs is kept, three 64-bit numbers. Whoever calls must keep the observer alive."""
        setup = self._library.host_setup(self.address)[0]
        setup.observer = None if observer is None else ctypes.addressof(observer)
        setup.instance = instance

    def fault(self) -> SimulationFault:
        """The fault that stopped the last command, as an exception to raise."""
        found = self._library.host_fault(self.address)[0]
        kind = FAULT_KINDS[found.kind - 1] if found.kind else SimulationFault
        return kind(
            found.reason.decode(errors="replace"),
            pc=found.pc if found.has_pc else None,
            command=Command(found.funct7, found.rs1, found.rs2) if found.has_command else None,
            rule=RULES[found.rule - 1] if found.rule else None,
        )

    @property
    def counters(self) -> Counters:
        """What the commands so far have done."""
        values = self._library.host_counters(self.address)
        by_name = {name: values[i] for i, name in enumerate(native.COUNTER_NAMES)}
        return Counters(
            instructions={i.name: by_name[i.name] for i in INSTRUCTIONS if by_name[i.name]},
            unrolled={i.name: n for i in INSTRUCTIONS if (n := by_name[f"unrolled_{i.name}"])},
            traffic=Traffic(
                macs=by_name["macs"],
                reads={place: by_name["reads_{}_{}".format(*place)] for place in PLACES},
                writes={place: by_name["writes_{}_{}".format(*place)] for place in PLACES},
            ),
            dram_bytes_read=by_name["dram_bytes_read"],
            dram_bytes_written=by_name["dram_bytes_written"],
        )


def _native_region(region: DramRegion) -> native.Region:
    return native.Region(region.base, region.size, region.writable, region.name.encode()[:59])
