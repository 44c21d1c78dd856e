"""The functional simulator against Spike with its gemmini extension: same program, same arguments, every byte of every memory.

Each test skips where no Spike is found for its array dimension; $BACO_SPIKE names one, ``{dim}`` in it standing for the dimension.
"""

import numpy as np
import pytest
from command_streams import streams
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from loop_streams import loop_streams
from riscv_programs import assemble, command_program
from spike_runs import compare, compare_many, found
from test_run import COPY, COPY_PARAMETERS, copy_arguments

from baco.hardware import GemminiConfig
from baco.isa import GARBAGE
from baco.sim import Limits, Parameter, Program, ProgramError, run
from baco.sim.errors import HostFault, LimitReached, LocalAddressFault

DIMS = (4, 8, 16, 32)


def need_spike(dim: int) -> None:
    if not found(dim):
        pytest.skip(f"no Spike for DIM {dim}")


@pytest.mark.parametrize("dim", DIMS)
def test_random_primitives(dim: int) -> None:
    need_spike(dim)
    check_streams(streams(GemminiConfig(dim=dim)), dim, 10)


@pytest.mark.parametrize("dim", DIMS)
def test_random_loops(dim: int) -> None:
    need_spike(dim)
    check_streams(loop_streams(GemminiConfig(dim=dim)), dim, 15)


@pytest.mark.long
@pytest.mark.parametrize("dim", DIMS)
def test_many_random_primitives(dim: int) -> None:
    need_spike(dim)
    compare_many(drawn(streams(GemminiConfig(dim=dim), length=60), 1000), GemminiConfig(dim=dim))


@pytest.mark.long
@pytest.mark.parametrize("dim", DIMS)
def test_many_random_loops(dim: int) -> None:
    need_spike(dim)
    compare_many(drawn(loop_streams(GemminiConfig(dim=dim)), 1500), GemminiConfig(dim=dim))


def drawn(cases: st.SearchStrategy, examples: int) -> list:
    found: list = []

    @settings(max_examples=examples, database=None, phases=[Phase.generate])
    @given(cases)
    def draw(stream: list) -> None:
        found.append(stream)

    draw()
    return found


def check_streams(cases: st.SearchStrategy, dim: int, examples: int) -> None:
    @settings(max_examples=examples, database=None)
    @given(cases, st.integers(0, 1000))
    def check(stream: list, seed: int) -> None:
        compare(stream, GemminiConfig(dim=dim), seed)

    check()


@pytest.mark.parametrize("dim", DIMS)
def test_a_program_with_arguments(dim: int) -> None:
    need_spike(dim)
    arguments = copy_arguments()
    result = run(Program(assemble(COPY), COPY_PARAMETERS), GemminiConfig(dim=dim), arguments, (2, 3, 4), backend="spike")
    assert result.exit_code == 7
    np.testing.assert_array_equal(arguments[1], arguments[0])
    assert arguments[2][:4].tolist() == [2, 3, 4, -5]


CLOCKS = """
  ld s1, 24(s0)
  rdcycle t0
  rdinstret t1
  li t2, 1000
1:
  addi t2, t2, -1
  bnez t2, 1b
  rdcycle t3
  rdinstret t4
  sub t3, t3, t0
  sub t4, t4, t1
  sd t3, 0(s1)
  sd t4, 8(s1)
  li a0, 0
"""


def test_clocks_count_as_spikes_do() -> None:
    need_spike(16)
    counted = []
    for backend in ("functional", "functional", "spike"):
        clocks = np.zeros(2, np.int64)
        run(Program(assemble(CLOCKS), (Parameter("clocks", "buffer", "int64", writable=True),)), GemminiConfig(), [clocks], backend=backend)
        counted.append(clocks.tolist())
    assert counted == [[2003, 2003]] * 3


@pytest.mark.parametrize(("dim", "other"), [(4, 8), (16, 4)])
def test_a_spike_for_another_dimension_is_refused(dim: int, other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    need_spike(dim)
    from baco.sim import spike

    path = spike.find(dim)
    monkeypatch.setattr(spike, "find", lambda _: path)
    arguments = copy_arguments()
    with pytest.raises(ProgramError, match=f"is built for DIM {dim}, but the machine has DIM {other}"):
        run(Program(assemble(COPY), COPY_PARAMETERS), GemminiConfig(dim=other), arguments, backend="spike")
    assert not arguments[1].any()


def test_programs_that_do_not_end_on_spike() -> None:
    need_spike(16)
    with pytest.raises(LimitReached, match=r"on Spike within 0\.5 seconds"):
        run(Program(assemble("1: j 1b\n")), GemminiConfig(), [], backend="spike", limits=Limits(seconds=0.5))
    beyond = "  li a0, 0x3f80000000100001\n  .insn r CUSTOM_3, 3, 0, x0, a0, a0\n"
    beyond += "  li a0, 0\n  li a1, 0x0010001000ffffff\n  .insn r CUSTOM_3, 3, 2, x0, a0, a1\n  li a0, 0\n"
    with pytest.raises(HostFault, match=r"Spike stopped with status .*range_check"):
        run(Program(assemble(beyond)), GemminiConfig(), [], backend="spike")


def test_rows_of_a_transposed_operand_that_only_spike_reads() -> None:
    need_spike(16)
    rows = GemminiConfig().scratchpad_rows
    start = ("config_ex", {"dataflow": 0, "transpose_a": 1, "transpose_b": 1, "a_stride": 1, "c_stride": 1})
    preload = ("preload", {"bd": GARBAGE, "bd_rows": 16, "bd_cols": 16, "c": 0, "c_rows": 16, "c_cols": 16})
    fields = {"a": 0, "a_rows": 16, "a_cols": 16, "bd": rows - 8, "bd_cols": 8}
    compare([start, preload, ("compute_preloaded", {**fields, "bd_rows": 8})], GemminiConfig(), 0)
    beyond = command_program([start, preload, ("compute_preloaded", {**fields, "bd_rows": 16})])
    with pytest.raises(HostFault, match="range_check"):
        run(Program(beyond), GemminiConfig(), [], backend="spike")
    with pytest.raises(LocalAddressFault, match=f"B takes scratchpad rows {rows - 8} to {rows + 7}"):
        run(Program(beyond), GemminiConfig(), [])


def test_no_spike_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACO_SPIKE", "/nowhere/spike-{dim}")
    with pytest.raises(ProgramError, match=r"not found as '/nowhere/spike-16'.*BACO_SPIKE"):
        run(Program(assemble("  li a0, 0\n")), GemminiConfig(), [], backend="spike")
