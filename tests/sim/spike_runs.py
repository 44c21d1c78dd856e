"""Runs the same command stream on Spike and on the functional simulator: one program that takes its commands as an argument."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from command_streams import BASE, DRAM_BYTES, Step
from riscv_programs import assemble

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATOR_BIT, FULL_WIDTH_BIT, encode, float_bits
from baco.sim import Parameter, Program, ProgramError, run, spike
from baco.sim.errors import HostFault, SimulationFault

# Arguments: commands of four words each (funct7, rs1, rs2, which operands are DRAM addresses), how many, DRAM, a dump of both memories.
INTERPRETER = (
    """
  ld s1, 24(s0)
  ld s2, 32(s0)
  ld s3, 40(s0)
  ld s4, 48(s0)
  la s5, commands
next:
  beqz s2, done
  ld t1, 0(s1)
  ld a0, 8(s1)
  ld a1, 16(s1)
  ld t2, 24(s1)
  andi t3, t2, 1
  beqz t3, 1f
  add a0, a0, s3
1:
  andi t3, t2, 2
  beqz t3, 1f
  add a1, a1, s3
1:
  andi t3, t2, 4
  beqz t3, 1f
  add a0, a0, s4
1:
  addi s1, s1, 32
  addi s2, s2, -1
  slli t1, t1, 3
  add t1, t1, s5
  jr t1
.option push
.option norvc
.balign 8
commands:
"""
    + "".join(f"  .insn r CUSTOM_3, 3, {funct7}, x0, a0, a1\n  j next\n" for funct7 in range(128))
    + """.option pop
done:
  fence
  li a0, 0
"""
)
PARAMETERS = (
    Parameter("commands", "buffer", "uint64"),
    Parameter("count", "scalar", "int64"),
    Parameter("dram", "buffer", "uint8", writable=True),
    Parameter("dump", "buffer", "uint8", writable=True),
)
IN_DRAM, SECOND_IN_DRAM, IN_DUMP = 1, 2, 4


def found(dim: int) -> bool:
    """Whether there is a Spike for this array dimension: a plain name may be one for any, and runs tell."""
    try:
        path: Path = spike.find(dim)
    except ProgramError:
        return False
    return "{dim}" in os.environ.get(spike.VARIABLE, "") or dimension(str(path)) == dim


@cache
def dimension(path: str) -> int:
    """The array dimension that a Spike is built for."""
    for dim in (16, 8, 4, 32):
        try:
            compare([("flush", {})], GemminiConfig(dim=dim), 0)
        except ProgramError:
            continue
        return dim
    return 0


@cache
def program() -> Program:
    return Program(assemble(INTERPRETER), PARAMETERS)


def fill(config: GemminiConfig) -> list[Step]:
    """Commands that give both memories other contents than zeros, from all of DRAM."""
    dim, steps = config.dim, []
    for accumulator, rows, columns in (
        (0, config.scratchpad_rows, config.max_block_columns),
        (1, config.accumulator_rows, config.max_accumulator_columns),
    ):
        pitch = columns * (4 if accumulator else 1)
        steps.append(("config_ld", {"block_stride": dim, "scale": float_bits(1.0), "dram_stride": pitch}))
        tiles = columns // dim
        for n, row in enumerate(range(0, rows, dim * tiles)):
            dram = BASE + n * 61 % (DRAM_BYTES - pitch * dim)
            steps.append(("mvin", {"dram": dram, "local": row | accumulator * ACCUMULATOR_BIT, "local_rows": dim, "local_cols": columns}))
    return steps


def dump(config: GemminiConfig) -> list[tuple[Step, int]]:
    """Commands that store all of both memories, and how many bytes before each."""
    dim, at, steps = config.dim, 0, []
    for activation in (1, 0):  # SOFTMAX only leaves for another activation
        steps.append((("config_st", {"dram_stride": config.max_block_columns, "acc_scale": float_bits(1.0), "activation": activation}), 0))
    blocks = config.max_block_columns // dim
    for row in range(0, config.scratchpad_rows, dim * blocks):
        steps.append((("mvout", {"local": row, "local_rows": dim, "local_cols": dim * blocks}), at))
        at += dim * dim * blocks
    steps.append((("config_st", {"dram_stride": dim * 4, "acc_scale": float_bits(1.0)}), 0))
    for row in range(0, config.accumulator_rows, dim):
        steps.append((("mvout", {"local": row | ACCUMULATOR_BIT | FULL_WIDTH_BIT, "local_rows": dim, "local_cols": dim}), at))
        at += dim * dim * 4
    return steps


def words(streams: Iterable[Iterable[Step]], dump_steps: Iterable[tuple[Step, int]]) -> np.ndarray:
    """The interpreter's input: streams one after the other, each with DRAM_BYTES of DRAM of its own, then the dump."""
    rows = []
    for number, (name, fields) in ((number, step) for number, steps in enumerate(streams) for step in steps):
        command = encode(name, **fields)
        operands, flags = [command.rs1, command.rs2], 0
        addresses = name in ("mvin", "mvin2", "mvin3", "mvout"), False
        if "addrs" in name or name in ("loop_conv_ws_config_5", "loop_conv_ws_config_6"):
            addresses = True, True
        for index, is_address in enumerate(addresses):
            if is_address and operands[index]:
                operands[index] += number * DRAM_BYTES - BASE
                flags |= (IN_DRAM, SECOND_IN_DRAM)[index]
        rows.append((command.funct7, *operands, flags))
    for (name, fields), at in dump_steps:
        command = encode(name, **fields)
        rows.append((command.funct7, at if name == "mvout" else command.rs1, command.rs2, IN_DUMP if name == "mvout" else 0))
    return np.array(rows, np.uint64)


def compare(stream: list[Step], config: GemminiConfig, seed: int) -> None:
    """Both simulators end with the same DRAM and the same private memories.

    Raises:
        SimulationFault: if the stream is illegal.
        AssertionError: if the two differ.
    """
    compare_together([stream], config, seed)


def compare_many(streams: list[list[Step]], config: GemminiConfig, together: int = 8) -> None:
    """The same for many streams, `together` of them run one after the other, which saves most of the time; one by one after a failure."""
    for seed in range(0, len(streams), together):
        some = streams[seed : seed + together]
        try:
            compare_together(some, config, seed)
        except (SimulationFault, AssertionError):
            for stream in some:
                compare(stream, config, seed)
            raise


def compare_together(streams: list[list[Step]], config: GemminiConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dram = rng.integers(0, 256, (len(streams), DRAM_BYTES), dtype=np.uint8)
    dram[:, : DRAM_BYTES // 2] = rng.normal(0, 3000, (len(streams), DRAM_BYTES // 8)).astype(np.int32).view(np.uint8)
    commands = words([[*fill(config), *streams[0]], *streams[1:]], dump(config))
    ours, spikes = (
        [commands, len(commands), dram.copy(), np.zeros(config.scratchpad_bytes + config.accumulator_bytes, np.uint8)] for _ in range(2)
    )
    run(program(), config, ours, strict=False)
    try:
        run(program(), config, spikes, backend="spike")
    except HostFault as fault:
        raise AssertionError(f"only Spike stops: {fault}") from fault
    for name, found, expected in zip(("DRAM", "private memory"), ours[2:], spikes[2:], strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=f"{name} differs from Spike's")
