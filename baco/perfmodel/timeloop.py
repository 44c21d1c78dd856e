"""A machine, a problem and a mapping in the input language of Timeloop v3 (Parashar et al., ISPASS 2019; NVlabs/timeloop).

Four files, in YAML: what Timeloop calls architecture, problem, mapping, and the energy reference table (ERT) in Accelergy's format, written
from BACO's table of constants, so that Timeloop and the model price an access alike. Without the ERT Timeloop asks Accelergy.

The hierarchy is the one of PERFMODEL.md: DRAM, scratchpad, one accumulator for each column of the array, one register for each element;
`spatial_k` lies across the columns, below the scratchpad, and `spatial_c` across the rows, below an accumulator. Every memory is one word
wide: an access is a word, as in BACO's counts. Bandwidths are those of DOSA's simplification (`latency="shared"`).

Timeloop counts windows of inputs whole and reuses the overlap of neighbours: compare it with ``halo="reuse"``. It also wants room for whole
windows, where a program leaves out rows that a stride jumps over. A layer with a single tap is written without its stride, as if the rows
that nothing reads were not there: then windows have none of them. Of larger filters with a still larger stride, or cut into single taps by
a mapping, they do, and a mapping that needs the room is refused for want of scratchpad.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from pathlib import Path
from typing import Any

from baco.hardware import KIB
from baco.perfmodel.constants import PORTS, TABLE_6_3, EnergyTable
from baco.perfmodel.equations import access_energies
from baco.perfmodel.machine import Machine
from baco.toolchain import atomic_write
from baco.traffic import HELD
from baco.workload import ACCUMULATOR, DIMENSIONS, DRAM, LEVELS, REGISTERS, SCRATCHPAD, Mapping, Problem

LEVEL_NAMES = {"registers": "Registers", "accumulator": "Accumulator", "scratchpad": "Scratchpad", "dram": "DRAM"}
"""Timeloop's names of the levels, innermost first."""
TENSOR_NAMES = {"weights": "Weights", "inputs": "Inputs", "outputs": "Outputs"}
COMPUTE = "MACC"

ARCHITECTURE_FILE, PROBLEM_FILE, MAPPING_FILE, ENERGY_FILE = "architecture.yaml", "problem.yaml", "mapping.yaml", "ERT.yaml"
MACHINE_FILES = (ARCHITECTURE_FILE, ENERGY_FILE)
"""Those that depend on the machine alone."""

WORD_BITS, ACCUMULATOR_BITS = 8, 32


def files(problem: Problem, mapping: Mapping, machine: Machine, table: EnergyTable = TABLE_6_3) -> dict[str, str]:
    """The text of each file by its name.

    Raises:
        InvalidMapping: if the mapping is not one of `problem`.
    """
    mapping.check(problem)
    parts = {
        ARCHITECTURE_FILE: architecture(machine),
        PROBLEM_FILE: problem_shape(problem),
        MAPPING_FILE: loop_nest(problem, mapping),
        ENERGY_FILE: energy_reference(machine, table),
    }
    return {name: _yaml(part) for name, part in parts.items()}


def write(folder: Path, texts: MappingType[str, str]) -> list[Path]:
    """Write the files into `folder`, which is made if need be.

    Raises:
        OSError: if they cannot be written.
    """
    for name, text in texts.items():
        atomic_write(folder / name, text)
    return [folder / name for name in texts]


def _yaml(data: object) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=120)


def _storage(name: str, kind: str = "SRAM", **attributes: object) -> dict[str, Any]:
    return {"name": name, "class": kind, "attributes": {"block-size": 1, **attributes}}


def architecture(machine: Machine) -> dict[str, Any]:
    """The memories, from the outside in; capacities in words, bandwidths in words a cycle and instance."""
    rows, columns = machine.side, machine.columns or machine.side
    accumulator_words = int(machine.accumulator_kib * KIB * 8 / ACCUMULATOR_BITS / columns)
    dram = _storage("DRAM", "DRAM", **{"word-bits": WORD_BITS, "shared_bandwidth": machine.dram_words_per_cycle})
    scratchpad = _storage(
        "Scratchpad",
        depth=int(machine.scratchpad_kib * KIB * 8 / WORD_BITS),
        width=WORD_BITS,
        **{"word-bits": WORD_BITS, "shared_bandwidth": PORTS * rows},
    )
    accumulator = _storage(
        "Accumulator",
        depth=accumulator_words,
        width=ACCUMULATOR_BITS,
        instances=columns,
        meshX=columns,
        **{"word-bits": ACCUMULATOR_BITS, "shared_bandwidth": PORTS},
    )
    elements = {"instances": rows * columns, "meshX": columns, "word-bits": WORD_BITS}
    registers = _storage("Registers", depth=1, width=WORD_BITS, **elements)
    multiplier = {"name": COMPUTE, "class": "intmac", "attributes": {"datawidth": WORD_BITS, **elements}}
    row = {"name": f"Row[0..{rows - 1}]", "local": [registers, multiplier]}
    column = {"name": f"Column[0..{columns - 1}]", "local": [accumulator], "subtree": [row]}
    chip = {"name": "Chip", "attributes": {"technology": "45nm"}, "local": [scratchpad], "subtree": [column]}
    return {"architecture": {"version": 0.3, "subtree": [{"name": "System", "local": [dram], "subtree": [chip]}]}}


def problem_shape(problem: Problem) -> dict[str, Any]:
    """The loop nest's tensors as sums of its dimensions, and its sizes."""
    coefficients = {
        "strideP": problem.pixel_steps[0],
        "strideQ": problem.pixel_steps[1],
        "dilationR": problem.dilation[0],
        "dilationS": problem.dilation[1],
    }
    windows = [[["R", "dilationR"], ["P", "strideP"]], [["S", "dilationS"], ["Q", "strideQ"]]]
    spaces = [
        {"name": "Weights", "projection": [[[d]] for d in "CKRS"]},
        {"name": "Inputs", "projection": [[["N"]], [["C"]], *windows]},
        {"name": "Outputs", "projection": [[[d]] for d in "NKPQ"], "read-write": True},
    ]
    shape = {
        "name": "Convolution",
        "dimensions": list(DIMENSIONS),
        "coefficients": [{"name": name, "default": 1} for name in coefficients],
        "data-spaces": spaces,
    }
    return {"problem": {"shape": shape, **problem.sizes, **coefficients}}


def loop_nest(problem: Problem, mapping: Mapping) -> dict[str, Any]:
    """Loops and bypasses of each level; Timeloop writes the innermost loop of a level first.

    Where a dimension's last tiles are smaller, its factors have a remainder: `P=16,5` is 16 iterations, but 5 of the last tile around it.
    """
    directives: list[dict[str, Any]] = []
    left = {d: size - 1 for d, size in problem.sizes.items()}

    def with_remainders(factors: dict[str, int]) -> dict[str, str]:
        """The factors of the next level out; what is left of each dimension is its last index, in units of the tiles so far."""
        found = {}
        for d, n in factors.items():
            left[d], last = divmod(left[d], n)
            found[d] = f"{n},{last + 1}" if d in mapping.ragged(problem) else str(n)
        return found

    spatial = {ACCUMULATOR: ("C", mapping.spatial_c, 0), SCRATCHPAD: ("K", mapping.spatial_k, len(DIMENSIONS))}
    for level in (REGISTERS, ACCUMULATOR, SCRATCHPAD, DRAM):
        target = LEVEL_NAMES[LEVELS[level]]
        if level in spatial:
            dim, factor, split = spatial[level]  # the first `split` dimensions lie along X: the columns; the others along Y
            sizes = dict.fromkeys(DIMENSIONS, 1) | {dim: factor}
            directives.append(_directive(target, "spatial", with_remainders(sizes), "".join(DIMENSIONS)) | {"split": split})
        factors = {d: mapping.factor(level, d) for d in DIMENSIONS}
        directives.append(_directive(target, "temporal", with_remainders(factors), mapping.orders[level][::-1]))
    for level in LEVELS:
        kept = HELD[level]
        lists = {"keep": [TENSOR_NAMES[t] for t in kept], "bypass": [name for t, name in TENSOR_NAMES.items() if t not in kept]}
        directives.append({"target": LEVEL_NAMES[level], "type": "bypass"} | lists)
    return {"mapping": directives}


def _directive(target: str, kind: str, factors: MappingType[str, str], permutation: str) -> dict[str, Any]:
    text = " ".join(f"{d}={n}" for d, n in factors.items())
    return {"target": target, "type": kind, "factors": text, "permutation": permutation}


def energy_reference(machine: Machine, table: EnergyTable = TABLE_6_3) -> dict[str, Any]:
    """Accelergy's energy reference table with this table's pJ for this machine."""
    per_access = access_energies(machine.accumulator_kib_per_column, machine.scratchpad_kib, table)
    tables = [
        {"name": LEVEL_NAMES[level], "actions": [_action(action, energy) for action in ("read", "write", "update")]}
        for level, energy in per_access.items()
    ]
    return {"ERT": {"version": 0.3, "tables": [*tables, {"name": COMPUTE, "actions": [_action("compute", table.mac)]}]}}


def _action(name: str, energy: float) -> dict[str, Any]:
    return {"name": name, "arguments": {}, "energy": float(energy)}
