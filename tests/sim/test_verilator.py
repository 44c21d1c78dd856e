"""The Verilator backend: programs on the RTL with the results of the functional simulator, and with the cycles that they should take."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from riscv_programs import assemble
from rtl_streams import compare, rtl_loop_streams, rtl_streams
from test_run import COPY, COPY_PARAMETERS, copy_arguments

import baco
import baco.language as bl
from baco import knobs
from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATOR_BIT, encode, float_bits
from baco.lang.check import check, inputs
from baco.sim import Parameter, Program, ProgramError, rtl_build, run
from baco.sim.counters import Limits
from baco.sim.errors import AcceleratorHangs, LimitReached, StateFault
from baco.sim.observer import Observer
from baco.sim.rtl import MemoryModel, Rtl
from baco.sim.trace import trace_of
from baco.testing import do_bench

pytestmark = pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator here")

DIMS = (4, 8, 16, 32)
SMALL, DEFAULT = GemminiConfig(dim=4), GemminiConfig()
ONE = float_bits(1.0)
FLAT = MemoryModel(flat=True)
BASE = 0x8000_0000


@baco.jit
def matmul(a, b, c, M, N, K, BLOCK: bl.constexpr):
    row, col = bl.program_id(0) * BLOCK, bl.program_id(1) * BLOCK
    a_ptr = bl.make_block_ptr(a, (M, K), (K, 1), (row, 0), (BLOCK, BLOCK), (1, 0))
    b_ptr = bl.make_block_ptr(b, (K, N), (N, 1), (0, col), (BLOCK, BLOCK), (1, 0))
    acc = bl.zeros((BLOCK, BLOCK), dtype=bl.int32)
    for _ in range(0, K, BLOCK):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr, b_ptr = bl.advance(a_ptr, (0, BLOCK)), bl.advance(b_ptr, (BLOCK, 0))
    bl.store(bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BLOCK, BLOCK), (1, 0)), acc, boundary_check=(0, 1))


def product(m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (k, n), np.int8), np.zeros((m, n), np.int32)


def random_streams(config: GemminiConfig, cases: st.SearchStrategy, examples: int, *, contents: bool) -> None:
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases, st.integers(0, 1000), st.sampled_from([1, 6, 20, 40]), st.sampled_from([1, 4, 30]))
    def check_one(stream: list, seed: int, latency: int, interval: int) -> None:
        memory = MemoryModel(flat=True, get_latency=latency, put_latency=max(1, latency - 2))
        compare(stream, config, seed, memory, interval, contents=contents)

    check_one()


def test_random_primitives() -> None:
    random_streams(SMALL, rtl_streams(SMALL), 40, contents=True)


def test_random_loops() -> None:
    random_streams(SMALL, rtl_loop_streams(SMALL), 25, contents=False)


@pytest.mark.long
@pytest.mark.parametrize("dim", DIMS)
def test_many_random_primitives(dim: int) -> None:
    config = GemminiConfig(dim=dim)
    random_streams(config, rtl_streams(config, length=60), 500, contents=True)


@pytest.mark.long
@pytest.mark.parametrize("dim", DIMS)
def test_many_random_loops(dim: int) -> None:
    config = GemminiConfig(dim=dim)
    random_streams(config, rtl_loop_streams(config), 500, contents=False)


@pytest.mark.parametrize("instructions", ["primitive", "loops"])
def test_a_kernel_and_its_report(instructions: str) -> None:
    a, b, c = product(100, 80, 70)
    result = matmul[(4, 3)](a, b, c, 100, 70, 80, BLOCK=32, backend="verilator", instructions=instructions)
    np.testing.assert_array_equal(c, a.astype(np.int32) @ b.astype(np.int32))
    cycles = result.cycles
    assert cycles is not None
    assert cycles.host + cycles.queue_wait + cycles.fence_wait <= cycles.whole
    assert 100 * 80 * 70 <= cycles.macs == result.counters.traffic.macs
    assert cycles.macs / 256 < cycles.device <= cycles.whole  # the array does 256 products a cycle
    assert cycles.utilisation == pytest.approx(cycles.macs / 256 / cycles.device)
    assert cycles.bytes_written == c.nbytes and cycles.bytes_read >= a.nbytes + b.nbytes
    assert cycles.cache_hits + cycles.cache_misses == cycles.reads + cycles.writes
    assert set(cycles.stalls) <= {"load queue", "execute queue", "execute controller", "store queue", "reservation station", "loops"}
    json.dumps(cycles.to_dict())
    d = np.zeros_like(c)
    bench = do_bench(lambda: matmul[(4, 3)](a, b, d, 100, 70, 80, BLOCK=32, backend="verilator", instructions=instructions))
    assert bench == cycles.whole


def test_a_check_compares_with_the_hardware() -> None:
    arguments = inputs("*i8[9x8], *i8[8x6], *i32[9x6], 9, 6, 8, BLOCK=4", matmul)
    report = check(matmul, arguments, (3, 2), ("functional", "verilator"), SMALL)
    assert report.ran == {"functional": "agrees", "verilator": "agrees"}


def stream(commands: list, model: MemoryModel = FLAT, config: GemminiConfig = DEFAULT) -> tuple[Rtl, int]:
    """The accelerator after it has done the commands, and the cycles that they took, from the first one's arrival to rest."""
    rtl = Rtl(config, np.zeros(1 << 16, np.uint8), BASE, model)
    configured = [
        encode("config_ld", dram_stride=64, scale=ONE, block_stride=config.dim),
        encode("config_st", dram_stride=64, acc_scale=ONE),
        encode("config_ex", dataflow=1, a_stride=1, c_stride=1),
    ]
    rtl.stream(configured)
    taken = rtl.stream(commands)
    return rtl, rtl.counts.last_busy - taken[0]


def load(columns: int, rows: int) -> object:
    return encode("mvin", dram=BASE, local=0, local_cols=columns, local_rows=rows)


@pytest.mark.parametrize("latency", [6, 40])
def test_isolated_latencies(latency: int) -> None:
    """GEMMINI_UARCH.md section 11.3, item 2."""
    flat = MemoryModel(flat=True, get_latency=latency, put_latency=latency)
    pair = [
        encode("preload", bd=0, bd_cols=16, bd_rows=16, c=ACCUMULATOR_BIT, c_cols=16, c_rows=16),
        encode("compute_preloaded", a=4096, a_cols=16, a_rows=16, bd=0xFFFF_FFFF, bd_cols=16, bd_rows=16),
    ]
    assert stream([encode("config_ld", dram_stride=64, scale=ONE)], flat)[1] == 7
    assert stream([load(16, 1)], flat)[1] == 21 + latency
    assert stream([load(64, 16)], flat)[1] == 84 + latency
    assert stream([encode("mvout", dram=BASE, local=ACCUMULATOR_BIT, local_cols=16, local_rows=1)], flat)[1] == 26 + latency
    assert stream(pair, flat)[1] == 76


def test_cached_memory() -> None:
    cached = MemoryModel.cached(DEFAULT)
    assert (cached.miss_latency, cached.line_cycles) == (40, 8)  # dram_latency, and 64 bytes at dram_bytes_per_cycle
    rtl, first = stream([load(64, 1)], cached)
    before = rtl.counts
    taken = rtl.stream([load(64, 1)])
    again = rtl.counts.last_busy - taken[0]
    assert first - again == cached.miss_latency - cached.hit_latency
    assert (before.hits, before.misses, rtl.counts.hits, rtl.counts.misses) == (0, 1, 1, 1)
    # Sixteen lines, one after the other from the DRAM channel, at most ten under way.
    rtl, sixteen = stream([load(64, 16)], cached)
    assert rtl.counts.misses == 16 and sixteen >= first + 15 * cached.line_cycles


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flat", (True, 6, 4, 40)),
        ("flat:40", (True, 40, 40, 40)),
        ("flat:9:3", (True, 9, 3, 40)),
        ("cached:60", (False, 6, 4, 70)),
    ],
)
def test_memory_models_by_name(text: str, expected: tuple) -> None:
    model = MemoryModel.parse(text, DEFAULT)
    assert (model.flat, model.get_latency, model.put_latency, model.miss_latency) == expected


@pytest.mark.parametrize("text", ["", "flat:", "cached:1:2", "flat:0", "dram"])
def test_memory_models_that_there_are_not(text: str) -> None:
    with pytest.raises(ProgramError, match="the memory model is"):
        MemoryModel.parse(text, DEFAULT)


def test_a_hang_says_what_waits() -> None:
    silent = MemoryModel(flat=True, get_latency=1 << 30)
    rtl = Rtl(SMALL, np.zeros(4096, np.uint8), BASE, silent, hang_cycles=500)
    commands = [
        encode("config_ld", dram_stride=4, scale=ONE, block_stride=4),
        encode("mvin", dram=BASE, local=8, local_cols=4, local_rows=1),
        encode("mvout", dram=BASE, local=8, local_cols=4, local_rows=1),
    ]
    with pytest.raises(AcceleratorHangs) as caught:
        rtl.stream(commands)
    said = str(caught.value)
    assert "mvin dram=0x80000000, local=scratchpad[8], local_cols=4, local_rows=1: issued in cycle" in said
    assert "mvout dram=0x80000000, local=scratchpad[8], local_cols=4, local_rows=1: waits since cycle" in said
    assert "store queue waited for a load (" in said


# Cycles between two reads of the clock with a fence between, before and after a load; and what instret says.
CLOCKS = """
  ld a2, 24(s0)
  rdcycle t0
  fence
  rdcycle t1
  sub t2, t1, t0
  sd t2, 0(a2)
  li a0, 1 | (1 << 16) | (0x3f800000 << 32)
  li a1, 4
  .insn r CUSTOM_3, 3, 0, x0, a0, a1
  mv a0, a2
  li a1, (1 << 32) | (1 << 48)
  rdcycle t0
  .insn r CUSTOM_3, 3, 2, x0, a0, a1
  rdcycle t1
  fence
  rdcycle t2
  sub t1, t1, t0
  sd t1, 8(a2)
  sub t2, t2, t0
  sd t2, 16(a2)
  rdinstret t0
  sd t0, 24(a2)
  li a0, 0
"""


def test_clocks_and_fences_of_the_host_core() -> None:
    clocks = np.zeros(4, np.int64)
    program = Program(assemble(CLOCKS), (Parameter("clocks", "buffer", "int64", writable=True),))
    with knobs.memory_model.scope("flat"):
        result = run(program, SMALL, [clocks], backend="verilator")
    # GEMMINI_UARCH.md section 9.2: a fence with the accelerator at rest 9, the read itself 1; a command 1, if nothing is in its way.
    assert clocks[0] == 10 and clocks[1] == 2
    # The command is at the port in the cycle after it, done 21 + L later, and the core goes on after 5 more.
    assert abs(clocks[2] - (2 + 21 + 6 + 5)) <= 3
    assert clocks[3] <= result.counters.host_instructions
    assert result.cycles is not None and result.cycles.fence_wait > 20


def test_programs_end_as_on_the_functional_backend() -> None:
    arguments, expected = copy_arguments(), copy_arguments()
    program = Program(assemble(COPY), COPY_PARAMETERS)
    assert (
        run(program, SMALL, arguments, (2, 3, 4), backend="verilator").exit_code == run(program, SMALL, expected, (2, 3, 4)).exit_code == 7
    )
    for ours, theirs in zip(arguments, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(LimitReached, match="its time limit"):
        run(Program(assemble("1: j 1b\n")), SMALL, [], backend="verilator", limits=Limits(seconds=0.2))
    unconfigured = "  li a0, 0\n  li a1, (1 << 32) | (1 << 48)\n  .insn r CUSTOM_3, 3, 2, x0, a0, a1\n  li a0, 0\n"
    with pytest.raises(StateFault, match="before a config_ld set it"):
        run(Program(assemble(unconfigured)), SMALL, [], backend="verilator")


def test_a_trace_in_cycles() -> None:
    a, b, c = product(16, 16, 16)
    special = matmul.warmup(a, b, c, 16, 16, 16, BLOCK=8, hardware=SMALL, instructions="loops")
    values = [{"a": a, "b": b, "c": c, "M": 16, "N": 16, "K": 16}[p.name] for p in special.program.parameters]
    observer = Observer(10_000)
    result = run(special.program, SMALL, values, (2, 2), backend="verilator", observer=observer)
    assert result.cycles is not None and observer.lives is not None
    trace = trace_of(observer, special.program.elf, SMALL, "matmul")
    slices = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert trace["otherData"]["time"].startswith("measured")
    assert max(e["ts"] + e["dur"] for e in slices) <= result.cycles.whole
    read = sum(e["args"]["bytes"] for e in slices if e["cat"] == "load queue" and "bytes" in e["args"])
    written = sum(e["args"]["bytes"] for e in slices if e["cat"] == "store queue" and "bytes" in e["args"])
    assert (read, written) == (result.counters.dram_bytes_read, result.counters.dram_bytes_written)
    assert sum(e["args"].get("macs", 0) for e in slices if e["cat"] == "array") == 16**3
    for track in {e["cat"] for e in slices}:
        ends = sorted((e["ts"], e["ts"] + e["dur"]) for e in slices if e["cat"] == track)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


def test_a_library_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = rtl_build.build(SMALL)
    monkeypatch.setattr(rtl_build, "_compile", lambda *_: pytest.fail("it was there"))
    assert rtl_build.build(SMALL) == built
    with knobs.cache_dir.scope(tmp_path), pytest.raises(pytest.fail.Exception):
        rtl_build.build(GemminiConfig(dim=8))
    with pytest.raises(ProgramError, match="at least 16 bits; hardware.dma_bus_bits is 8"):
        rtl_build.build(GemminiConfig(dma_bus_bits=8))
