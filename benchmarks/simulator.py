"""How fast the functional simulator runs, beside Spike on the same ELF. Run it: python benchmarks/simulator.py [loops] [primitive]

loops:     a whole ResNet-50 inference (224 x 224, int8, random weights) with loop instructions.
primitive: the same network, without biases, in primitive instructions: the best mapping of every layer, as the compiler writes it.

Results are compared with a NumPy reference of every layer, and the simulators' output memories with each other, byte for byte. Seconds are
processor time, of one core, for a whole run, loading and bringing back the memory included: the best of three for the functional simulator,
one run for Spike, which is $BACO_SPIKE (``{dim}`` in it stands for 16) or `spike` on the search path, and left out where there is none.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Sequence

import numpy as np
from resnet50_loops import compile_with_loops
from resnet50_network import Convolution, make, steps
from resnet50_primitive import compile_with_primitives
from resnet50_program import Inference
from rich.console import Console
from rich.table import Table

from baco.hardware import GemminiConfig
from baco.search import default_machine
from baco.sim import ProgramError, spike
from baco.workload import Mapping, Problem
from baco.workloads.network import merge

REPEATS = 3
COLUMNS = ("GMAC", "RoCC instructions", "host instructions", "seconds", "GMAC/s", "Spike's seconds", "times as fast", "memory")


def loops() -> Inference:
    """ResNet-50 in loop instructions."""
    return compile_with_loops(make(steps()), GemminiConfig())


def primitive() -> Inference:
    """ResNet-50 in primitive instructions."""
    network = make(steps(), biased=False)
    return compile_with_primitives(network, GemminiConfig(), best_mappings(network.steps))


def best_mappings(of: tuple[object, ...]) -> dict[Problem, Mapping]:
    """The best mapping of every convolution on the default machine."""
    layers = merge("resnet50", (step.problem for step in of if isinstance(step, Convolution)), "its steps")
    return {layer.problem: layer.mapping for layer in default_machine(layers).layers}


PROGRAMS = {"loops": loops, "primitive": primitive}


def seconds() -> float:
    """Processor time so far, of this process and of those it has waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def row(inference: Inference) -> list[str]:
    """The figures of one program.

    Raises:
        SystemExit: if a result is wrong.
    """
    taken = []
    for _ in range(REPEATS):
        start = seconds()
        memory, result = inference.run()
        taken.append(seconds() - start)
    if wrong := list(inference.wrong(memory)):
        raise SystemExit(f"wrong results from {wrong[0]} on")
    ours, counters = min(taken), result.counters
    giga = counters.traffic.macs / 1e9
    cells = [
        f"{giga:.2f}",
        f"{sum(counters.instructions.values()):,}",
        f"{counters.host_instructions:,}",
        f"{ours:.2f}",
        f"{giga / ours:.2f}",
    ]
    try:
        spike.find(inference.compiled.config.dim)
    except ProgramError:
        return [*cells, "no Spike", "", ""]
    start = seconds()
    spikes, _ = inference.run("spike")
    theirs = seconds() - start
    return [*cells, f"{theirs:.1f}", f"{theirs / ours:.0f}", "equal" if np.array_equal(memory, spikes) else "DIFFERENT"]


def print_table(title: str, columns: Sequence[str], names: list[str], row: Callable[[Inference], list[str]], width: int) -> None:
    """Print a table of the programs with these names, all if there are none: a row each.

    Raises:
        SystemExit: for a program that there is not, or a wrong result.
    """
    if unknown := [name for name in names if name not in PROGRAMS]:
        raise SystemExit(f"there is no program {unknown[0]!r}; those there are: {', '.join(PROGRAMS)}.")
    result = Table(title=title, title_justify="left")
    result.add_column("instructions")
    for name in columns:
        result.add_column(name, justify="right")
    for name in names or PROGRAMS:
        result.add_row(name, *row(PROGRAMS[name]()))
    Console(width=width).print(result)


if __name__ == "__main__":
    print_table("ResNet-50 inference on gemmini-default", COLUMNS, sys.argv[1:], row, 160)
