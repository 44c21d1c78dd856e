"""The files for Timeloop, its figures read back, its faults told, and where it is installed its verdict."""

from __future__ import annotations

import shutil

import pytest
import yaml
from hypothesis import given, settings
from mapping_cases import cases

from baco import knobs
from baco.perfmodel import Machine, TimeloopError
from baco.perfmodel.constants import EnergyTable
from baco.perfmodel.timeloop import files, loop_nest
from baco.perfmodel.timeloop_run import Comparison, compare, parse, run, without_leaving
from baco.traffic import Traffic
from baco.workload import DIMENSIONS, Mapping, Problem

PROBLEM = Problem(R=3, S=3, P=4, Q=4, C=4, K=8, stride=(2, 1))
MAPPING = Mapping.parse("L3[WIO] K2 P2 - L2[WI] N1 K2X - L1[O] K2 C2 R3 S3 C2X - L0[W] P2 Q4")
MACHINE = Machine(2, 4, 1)

GOLDEN = {
    "architecture.yaml": """\
architecture:
  version: 0.3
  subtree:
  - name: System
    local:
    - name: DRAM
      class: DRAM
      attributes: {block-size: 1, word-bits: 8, shared_bandwidth: 8}
    subtree:
    - name: Chip
      attributes: {technology: 45nm}
      local:
      - name: Scratchpad
        class: SRAM
        attributes: {block-size: 1, depth: 4096, width: 8, word-bits: 8, shared_bandwidth: 4}
      subtree:
      - name: Column[0..1]
        local:
        - name: Accumulator
          class: SRAM
          attributes: {block-size: 1, depth: 128, width: 32, instances: 2, meshX: 2, word-bits: 32, shared_bandwidth: 2}
        subtree:
        - name: Row[0..1]
          local:
          - name: Registers
            class: SRAM
            attributes: {block-size: 1, depth: 1, width: 8, instances: 4, meshX: 2, word-bits: 8}
          - name: MACC
            class: intmac
            attributes: {datawidth: 8, instances: 4, meshX: 2, word-bits: 8}
""",
    "mapping.yaml": """\
mapping:
- {target: Registers, type: temporal, factors: R=1 S=1 P=2 Q=4 C=1 K=1 N=1, permutation: QPNKCSR}
- {target: Accumulator, type: spatial, factors: R=1 S=1 P=1 Q=1 C=2 K=1 N=1, permutation: RSPQCKN, split: 0}
- {target: Accumulator, type: temporal, factors: R=3 S=3 P=1 Q=1 C=2 K=2 N=1, permutation: SRCKNQP}
- {target: Scratchpad, type: spatial, factors: R=1 S=1 P=1 Q=1 C=1 K=2 N=1, permutation: RSPQCKN, split: 7}
- {target: Scratchpad, type: temporal, factors: R=1 S=1 P=1 Q=1 C=1 K=1 N=1, permutation: NKCQPSR}
- {target: DRAM, type: temporal, factors: R=1 S=1 P=2 Q=1 C=1 K=2 N=1, permutation: PKNCQSR}
- target: Registers
  type: bypass
  keep: [Weights]
  bypass: [Inputs, Outputs]
- target: Accumulator
  type: bypass
  keep: [Outputs]
  bypass: [Weights, Inputs]
- target: Scratchpad
  type: bypass
  keep: [Weights, Inputs]
  bypass: [Outputs]
- target: DRAM
  type: bypass
  keep: [Weights, Inputs, Outputs]
  bypass: []
""",
}

LEVEL = """\
=== {name} ===

    STATS
    -----
    Cycles               : 48
{tensors}
"""
TENSOR = """\
    {name}:
        Utilized instances (max)                 : {instances}
        Scalar reads (per-instance)              : {reads}
        Scalar updates (per-instance)            : {updates}
        Scalar fills (per-instance)              : {fills}
        Energy (per-instance)                    : 1.00 pJ
        Energy (total)                           : {energy} pJ
"""
SUMMARY = """\
Networks
--------
Network 0
---------
Scratchpad <==> Accumulator

    Weights:
        Energy (total)                          : 7.00 pJ

Summary Stats
-------------
Cycles: 50
Energy: 0.00 uJ

Computes = 100
pJ/Compute
    MACC                        = 0.56
    Scratchpad <==> Accumulator = 0.25
    Total                       = 7.46
"""


def statistics_text() -> str:
    def tensor(name: str, instances: int, reads: int, fills: int, updates: int, energy: float) -> str:
        return TENSOR.format(**locals())

    held = {
        "Registers": tensor("Weights", 4, 25, 5, 0, 60.5),
        "Accumulator": tensor("Outputs", 2, 9, 1, 10, 20.0),
        "Scratchpad": tensor("Weights", 1, 20, 6, 0, 3.0) + tensor("Inputs", 1, 50, 7, 0, 4.0),
        "DRAM": tensor("Weights", 1, 6, 0, 0, 5.0) + tensor("Inputs", 1, 7, 0, 0, 6.0) + tensor("Outputs", 1, 2, 0, 12, 7.0),
    }
    arithmetic = (
        "=== MACC ===\n\n    Computes (total)        : 100\n    Cycles                  : 25\n    Energy (total)          : 56.10 pJ\n"
    )
    return arithmetic + "".join(LEVEL.format(name=name, tensors=tensors) for name, tensors in held.items()) + SUMMARY


def installed() -> bool:
    return shutil.which(knobs.timeloop.value) is not None


def test_files_are_as_they_were() -> None:
    written = files(PROBLEM, MAPPING, MACHINE)
    assert {name: written[name] for name in GOLDEN} == GOLDEN
    problem = yaml.safe_load(written["problem.yaml"])["problem"]
    coefficients = {"strideP": 2, "strideQ": 1, "dilationR": 1, "dilationS": 1}
    assert {k: v for k, v in problem.items() if k != "shape"} == PROBLEM.sizes | coefficients
    inputs = problem["shape"]["data-spaces"][1]
    assert inputs["projection"] == [[["N"]], [["C"]], [["R", "dilationR"], ["P", "strideP"]], [["S", "dilationS"], ["Q", "strideQ"]]]


def test_the_energies_are_those_of_the_table() -> None:
    tables = yaml.safe_load(files(PROBLEM, MAPPING, MACHINE, EnergyTable(dram=50))["ERT.yaml"])["ERT"]["tables"]
    found = {t["name"]: {a["energy"] for a in t["actions"]} for t in tables}
    accumulator, scratchpad = 1.94 + 0.1005 * 1 / 2, 0.49 + 0.025 * 4
    assert found == {"Registers": {0.487}, "Accumulator": {accumulator}, "Scratchpad": {scratchpad}, "DRAM": {50.0}, "MACC": {0.561}}


def test_figures_are_read() -> None:
    found = parse(statistics_text())
    assert (found.traffic.macs, found.cycles) == (100, 50)
    assert found.energies == {
        "compute": 56.1, "registers": 60.5, "accumulator": 20.0, "scratchpad": 7.0, "dram": 18.0, "networks": 25.0,
    }  # fmt: skip
    reads = {
        ("registers", "weights"): 100, ("accumulator", "outputs"): 18, ("scratchpad", "weights"): 20, ("scratchpad", "inputs"): 50,
        ("dram", "weights"): 6, ("dram", "inputs"): 7, ("dram", "outputs"): 2,
    }  # fmt: skip
    writes = {("registers", "weights"): 20, ("accumulator", "outputs"): 22, ("scratchpad", "weights"): 6, ("scratchpad", "inputs"): 7}
    assert found.traffic == Traffic(100, reads, dict.fromkeys(reads, 0) | writes | {("dram", "outputs"): 12})


@pytest.mark.parametrize("missing", ["=== DRAM ===", "Computes (total)", "Cycles:"])
def test_figures_that_are_missing_are_named(missing) -> None:
    with pytest.raises(TimeloopError, match=r"Timeloop's figures (have no level DRAM|lack '(Computes|Cycles))"):
        parse(statistics_text().replace(missing, "?"))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a shell script stand for timeloop-model."""

    def make(script: str) -> None:
        path = tmp_path / "timeloop-model"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("BACO_TIMELOOP", str(path))

    return make


def test_figures_are_those_of_the_program_named(program, tmp_path) -> None:
    (tmp_path / "figures").write_text(statistics_text())
    program(f'test -f "$4" && test "$5" = -o && cp {tmp_path}/figures "$6/timeloop-model.stats.txt"')
    assert run(PROBLEM, MAPPING, MACHINE).cycles == 50


def test_without_a_table_accelergy_is_asked(program, tmp_path) -> None:
    (tmp_path / "figures").write_text(statistics_text())
    program(f'test "$4" = -o && ! grep -q ERT: "$1" "$2" "$3" && cp {tmp_path}/figures "$5/timeloop-model.stats.txt"')
    assert run(PROBLEM, MAPPING, MACHINE, table=None).cycles == 50


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'ERROR: no room' >&2; exit 1", r"failed with status 1: ERROR: no room$"),
        ("echo 'Failed to run Accelergy.'", r"wrote no figures: Failed to run Accelergy\.$"),
        ("exec sleep 20", r"did not finish within 0\.2 seconds\.$"),
    ],
)
def test_faults_are_told(program, script, said) -> None:
    program(script)
    with pytest.raises(TimeloopError, match=said):
        run(PROBLEM, MAPPING, MACHINE, seconds=0.2 if "sleep" in script else 20)


def test_it_says_where_it_looked(monkeypatch) -> None:
    monkeypatch.setenv("BACO_TIMELOOP", "/nowhere/timeloop-model")
    with pytest.raises(TimeloopError, match=r"not found as '/nowhere/timeloop-model'.*BACO_TIMELOOP"):
        run(PROBLEM, MAPPING, MACHINE)


@pytest.mark.skipif(not installed(), reason="timeloop-model is not installed")
@settings(max_examples=40, deadline=None)
@given(cases())
def test_timeloop_counts_the_same(case) -> None:
    """But for the reads of outputs that leave, and inputs reused over two loops where the filter's taps are looped innermost."""
    problem, mapping = case
    machine = Machine(4, 1 << 12, 1 << 12)
    full = compare(problem, mapping, machine)
    alike = Comparison(without_leaving(full.model, mapping, machine), full.timeloop)
    wrong = {name for name, error in alike.access_errors().items() if error}
    loops = mapping.loops(3)
    if loops and loops[-1].dim in "RS":
        wrong -= {"dram inputs reads", "scratchpad inputs writes"}
    else:
        assert alike.energy_error == pytest.approx(0, abs=1e-5)
        assert alike.cycles_error == pytest.approx(0, abs=8 / alike.timeloop.cycles)
    assert wrong == set()


@pytest.mark.skipif(not installed(), reason="timeloop-model is not installed")
def test_timeloop_says_what_does_not_fit() -> None:
    with pytest.raises(TimeloopError, match="couldn't map level Scratchpad: mapped tile size"):
        run(PROBLEM, MAPPING, Machine(2, 0.0625, 1))


@settings(max_examples=60, deadline=None)
@given(cases(ragged=True))
def test_factors_with_remainders_make_up_the_problem_as_timeloop_adds_them(case):
    """Timeloop's parser: from the outermost level in, index of the last point = that so far x trips + remainder - 1."""
    problem, mapping = case
    last = dict.fromkeys(DIMENSIONS, 0)
    for directive in reversed([d for d in loop_nest(problem, mapping)["mapping"] if "factors" in d]):
        for word in directive["factors"].split():
            dim, _, numbers = word.partition("=")
            trips, _, remainder = numbers.partition(",")
            assert bool(remainder) == (dim in mapping.ragged(problem))
            last[dim] = last[dim] * int(trips) + int(remainder or trips) - 1
    assert {d: n + 1 for d, n in last.items()} == problem.sizes
