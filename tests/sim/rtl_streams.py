"""Random legal streams for the RTL, and the comparison of what it makes of them with what the functional simulator does.

The hardware does not order loads and stores by their DRAM addresses, so loads read one half of DRAM and stores write the other one. What
strict mode refuses is left out of a stream, and so are normalisations, which the generator's default leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from command_streams import BASE, DRAM_BYTES, PRIMITIVES, Generator, Step
from hypothesis import strategies as st
from loop_streams import LoopGenerator

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATOR_BIT, BY_NAME, FULL_WIDTH_BIT, GARBAGE, NORM_COMMAND_LOW, ROW_MASK, Command, decode, encode, float_bits
from baco.sim import SimulationFault
from baco.sim.accelerator import Accelerator
from baco.sim.rtl import MemoryModel, Rtl

SCALES = (1.0, 1.0, 0.5, 0.037, 1.7, 100.0, 0.0)
KINDS = tuple(kind for kind in PRIMITIVES if kind != "config_norm")
LOOP_KINDS = ("loop_ws",) * 4 + ("residual_add",) * 2 + ("loop_conv_ws",) * 4
SIZE = 1 << 18
STORES = DRAM_BYTES
"""Where the half begins that is stored to."""
DUMP = 2 * DRAM_BYTES
"""Where the private memories go at the end."""
LOADS = ("mvin", "mvin2", "mvin3")
PRELOAD = BY_NAME["preload"].funct7
STORED = {"mvout": "dram", "loop_ws_config_addrs_dc": "c", "loop_conv_ws_config_5": "output"}
"""The operands that are addresses to store to."""


@st.composite
def rtl_streams(draw: Callable, config: GemminiConfig, length: int = 24, kinds: tuple[str, ...] = KINDS) -> list[Step]:
    """Configurations, then random commands."""
    gen = Generator(draw, config)
    gen.start()
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=6, max_size=length)):
        getattr(gen, kind)()
    return gen.steps


@st.composite
def rtl_loop_streams(draw: Callable, config: GemminiConfig, length: int = 6, kinds: tuple[str, ...] = LOOP_KINDS) -> list[Step]:
    """Configurations, then loops alone: what they leave in the private memories is nobody's business (rule loop_placement)."""
    gen = LoopGenerator(draw, config)
    gen.start()
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=length)):
        getattr(gen, kind)()
    return gen.steps


def mild(name: str, fields: dict[str, int]) -> Step | None:
    """A step without what no strict stream may have; None if nothing is left of it."""
    if name == "config_norm":
        return None
    fields = dict(fields)
    for field in ("scale", "acc_scale"):
        if field in fields and float_bits(1e9) < fields[field] & 0x7FFF_FFFF:
            fields[field] = float_bits(SCALES[fields[field] % len(SCALES)])
    if name in ("config_st", "loop_ws") and fields.get("activation", 0) > 1:
        fields["activation"] &= 1
    if name == "config_st" and fields.get("activation"):
        fields["acc_scale"] = fields.get("acc_scale", 0) & 0x7FFF_FFFF
    if name == "config_ex":
        fields["c_stride"] = max(1, fields["c_stride"]) if fields["dataflow"] else 1  # rows of C follow each other at once
        fields["in_shift"] = 0
    if name == "mvout":
        fields["local"] &= ~(7 << NORM_COMMAND_LOW)
    if name in STORED and fields.get(STORED[name]):
        fields[STORED[name]] += STORES
    return name, fields


def legal(steps: list[Step], config: GemminiConfig) -> list[Command]:
    """The commands of a stream that strict mode takes; a preload only with its compute, a loop only with its configuration."""
    machine = accelerator(config)
    kept: list[Command] = []
    group: list[Command] = []
    stationary, keeps = 0, False
    for step in (mild(name, fields) for name, fields in steps):
        if step is None:
            continue
        name, fields = step
        if name == "config_ex" and not fields.get("set_only_strides") and fields["dataflow"] != stationary:
            stationary, keeps = fields["dataflow"], False
        if name == "compute_accumulated" and not keeps:
            name = "compute_preloaded"
        if name.startswith("compute") and group:
            # Output-stationary sums leave the array with their result, sooner or later: nobody can add to them any more.
            keeps = bool(stationary) or decode(group[-1]).values.get("c") == GARBAGE
        preloaded, computes = bool(group) and group[-1].funct7 == PRELOAD, name.startswith("compute")
        if preloaded and not computes:
            group = []
        if computes and not preloaded:
            continue
        group.append(encode(name, **fields))
        if name == "preload" or (name.startswith("loop_") and name not in ("loop_ws", "loop_conv_ws")):
            continue
        try:
            if relies_on_the_past(group):
                continue
            for command in group:
                machine.execute(command)
            kept += group
        except SimulationFault:
            machine = accelerator(config)
            for command in kept:
                machine.execute(command)
        finally:
            group = []
    return kept


def relies_on_the_past(group: list[Command]) -> bool:
    """Whether a loop takes operands or sums that another one left where only hardware knows (rule loop_placement)."""
    v = {(d.instruction.name, field): value for d in map(decode, group) for field, value in d.values.items()}
    if ("loop_ws", "full_c") in v:
        operands = all(v.get(("loop_ws_config_addrs_ab", operand)) for operand in "ab")
        return not operands or bool(v["loop_ws", "ex_accumulate"] and not v.get(("loop_ws_config_addrs_dc", "d")))
    if ("loop_conv_ws", "no_pool") in v:
        return not all(v.get((f"loop_conv_ws_config_{n}", name)) for n, name in ((5, "weights"), (6, "input"), (6, "bias")))
    return False


def in_order(commands: list[Command], config: GemminiConfig) -> Iterator[list[Command]]:
    """The commands in parts that must be waited for one by one.

    Hardware does not order two loads into the same rows, nor a compute behind one whose results in the scratchpad it reads, unless it reads
    them from the first row on (GEMMINI_UARCH.md sections 2.3 and 6.1).
    """
    part: list[Command] = []
    results: set[int] = set()
    strides = {0: (config.dim, 1), 1: (config.dim, 1), 2: (config.dim, 1)}
    loaded: set[tuple[bool, int]] = set()
    for command in commands:
        decoded = decode(command)
        name, v = decoded.instruction.name, decoded.values
        if name == "config_ld":
            strides[v["load_id"]] = v["block_stride"], max(1, v["pixel_repeats"])
        elif name in LOADS:
            stride, repeats = strides[LOADS.index(name)]
            first, blocks = v["local"] & ROW_MASK, -(-v["local_cols"] // config.dim)
            rows = {first + b * stride + row for b in range(blocks) for row in range(1 - repeats, v["local_rows"])}
            new = {(bool(v["local"] & ACCUMULATOR_BIT), row) for row in rows}
            if new & loaded:
                yield part
                part, loaded, results = [], set(), set()
            loaded |= new
        elif name == "preload" or name.startswith("compute"):
            if results & {row for operand in ("a", "bd") if operand in v for row in reach(v[operand], config)}:
                held = [part.pop()] if part and part[-1].funct7 == PRELOAD else []  # a preload goes with its compute
                yield part
                part, loaded, results = held, set(), set().union(*(reach(decode(c).values["c"], config) for c in held))
            if name == "preload":
                results |= reach(v["c"], config)
        part.append(command)
    yield part


def reach(address: int, config: GemminiConfig) -> set[int]:
    """The scratchpad rows that an operand at a local address may take, with the largest stride that streams have."""
    return set() if address & ACCUMULATOR_BIT else set(range(address, address + 3 * config.dim))


def accelerator(config: GemminiConfig, seed: int = 0) -> Accelerator:
    """The functional simulator with random bytes in the half that is loaded from."""
    dram = np.zeros(SIZE, np.uint8)
    rng = np.random.default_rng(seed)
    dram[:DRAM_BYTES] = rng.integers(0, 256, DRAM_BYTES, dtype=np.uint8)
    dram[: DRAM_BYTES // 2] = rng.normal(0, 3000, DRAM_BYTES // 8).astype(np.int32).view(np.uint8)
    return Accelerator(config, dram, BASE, strict=True)


def windows(config: GemminiConfig) -> Iterator[tuple[bool, int]]:
    """The blocks of DIM rows that random operands lie in (Generator.WINDOW), and in which memory."""
    for accumulator, rows in ((False, config.scratchpad_rows), (True, config.accumulator_rows)):
        size = min(rows, Generator.WINDOW * config.dim)
        starts = {0, (rows - size) // 2, rows - size}
        yield from ((accumulator, row) for row in sorted({s + at for s in starts for at in range(0, size, config.dim)}))


def fill(config: GemminiConfig) -> list[Command]:
    """Commands that put something into the windows."""
    dim, commands = config.dim, []
    commands.append(encode("config_ld", block_stride=dim, scale=float_bits(1.0), dram_stride=4 * dim))
    for n, (accumulator, row) in enumerate(windows(config)):
        dram = BASE + n * 61 % (DRAM_BYTES - 4 * dim * dim)
        commands.append(encode("mvin", dram=dram, local=row | accumulator * ACCUMULATOR_BIT, local_rows=dim, local_cols=dim))
    return commands


def dump(config: GemminiConfig) -> list[Command]:
    """Commands that store the windows."""
    dim, at = config.dim, BASE + DUMP
    commands = [encode("config_st", dram_stride=4 * dim, acc_scale=float_bits(1.0))]
    for accumulator, row in windows(config):
        local = row | (ACCUMULATOR_BIT | FULL_WIDTH_BIT) * accumulator
        commands.append(encode("mvout", dram=at, local=local, local_rows=dim, local_cols=dim))
        at += 4 * dim * dim
    assert at <= BASE + SIZE
    return commands


def compare(steps: list[Step], config: GemminiConfig, seed: int, model: MemoryModel, interval: int = 1, *, contents: bool = True) -> None:
    """Both end with the same DRAM, and with the same private memories if `contents` is asked for.

    Raises:
        AssertionError: if the two differ.
        AcceleratorHangs: if the RTL hangs.
    """
    commands = [*fill(config), *legal(steps, config), *(dump(config) if contents else ())]
    expected = accelerator(config, seed)
    rtl = Rtl(config, expected.dram.copy(), BASE, model)
    for command in commands:
        expected.execute(command)
    for part in in_order(commands, config):
        rtl.stream(part, interval)
    wrong = np.flatnonzero(rtl.memory != expected.dram)
    where = wrong[0] if wrong.size else 0
    assert not wrong.size, f"{wrong.size} bytes of DRAM differ, first at +{where:#x}: {rtl.memory[where]} for {expected.dram[where]}."
