"""The vendor's default schedules beside ours, in cycles of the RTL: products, BERT's, and every distinct convolution of ResNet-50.

    python benchmarks/rtl_schedules.py                            # everything: some 20 minutes on two cores
    python benchmarks/rtl_schedules.py products --memory flat:6
    python benchmarks/rtl_schedules.py resnet50 --only layer1 conv1 --stalls

library: the tiles and loop instructions of the vendor's library, its host code replaced by constants (benchmarks/library_program.py);
mapping: the mapping that the search thinks best on the default machine, in primitive instructions, and with a loop instruction a tile;
kernel:  the matmul example, with blocks of 64 and `num_stages=2`, and with loop instructions.

Without biases, int8 in and out, one layer a program, the memory cold. Cycles are those of the whole program, of the accelerator (device)
and of the host core. % is the array's utilisation over the whole program. `--stalls` says what each queue waited for longest. Rows run side
by side.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import library_program
import numpy as np
from library_layers import LibraryLayer, convolution_layer, matmul_layer
from rich.console import Console
from rich.table import Table

from baco import knobs
from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.lowering.mapping_program import compile_mapping
from baco.search import default_machine
from baco.sim.cycles import Cycles
from baco.sim.rtl import Rtl
from baco.workload import Mapping, Problem
from baco.workloads import Layer, Network, network

CONFIG = GemminiConfig()
SCALE = 2**-10
SIZES = (64, 128, 256, 512)


@dataclass(frozen=True)
class Outcome:
    """A run of one schedule, or the sentence that says why there is none."""

    cycles: Cycles | None
    reason: str = ""

    def wait(self) -> str:
        """What each queue waited for longest, as a share of the whole program."""
        c = self.cycles
        found = [(n, queue, why) for queue, reasons in c.stalls.items() for why, n in reasons.items()] if c else []
        found += [(c.fence_wait, "host core", "a fence"), (c.queue_wait, "host core", "the command queue")] if c else []
        return "; ".join(f"{queue}: {why} {100 * n / c.whole:.0f} %" for n, queue, why in sorted(found, reverse=True)[:4] if n)


def library_layer(problem: Problem) -> LibraryLayer:
    """The layer as the library is called for it: 1x1 convolutions of stride 1 are products of all pixels."""
    p = problem
    if p.R * p.S == 1 and p.stride == (1, 1):
        return matmul_layer(p.N * p.P * p.Q, p.K, p.C, CONFIG, bias=False)
    return convolution_layer(p, CONFIG, bias=False)


def run_library(problem: Problem, _: Mapping) -> Cycles:
    """The vendor's default schedule."""
    layer = library_layer(problem)
    result = library_program.run(layer, CONFIG, "verilator")
    _check(layer.result(), layer.expected)
    return result.cycles


def run_mapping(problem: Problem, mapping: Mapping, instructions: str) -> Cycles:
    """A mapping as the compiler writes it, checked against the functional simulator."""
    p, rng = problem, np.random.default_rng(0)
    compiled = compile_mapping(p, mapping, CONFIG, scale=SCALE, instructions=instructions)
    inputs = rng.integers(-128, 128, (p.N, p.input_height, p.input_width, p.C), np.int8)
    weights = rng.integers(-128, 128, (p.R, p.S, p.C, p.K), np.int8)
    outputs, result = compiled.run(inputs, weights, "verilator")
    _check(outputs, compiled.run(inputs, weights)[0])
    return result.cycles


def run_kernel(problem: Problem, _: Mapping, **options: object) -> Cycles:
    """The matmul example.

    Raises:
        BacoError: for what is no product of two matrices.
    """
    from compiler import example

    p = problem
    if p.R * p.S * p.N * p.Q > 1:
        raise BacoError("not a product of two matrices")
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (p.P, p.C), np.int8), rng.integers(-128, 128, (p.C, p.K), np.int8)
    c, again = (np.zeros((p.P, p.K), np.int8) for _ in range(2))
    result = example().launch(a, b, c, scale=SCALE, relu=False, backend="verilator", **options)
    example().launch(a, b, again, scale=SCALE, relu=False, **options)
    _check(c, again)
    return result.cycles


def _check(got: np.ndarray, expected: np.ndarray) -> None:
    if not np.array_equal(got, expected):
        raise SystemExit(f"{np.count_nonzero(got != expected)} elements of {got.size} are wrong.")


def _primitive(problem: Problem, mapping: Mapping) -> Cycles:
    return run_mapping(problem, mapping, "primitive")


def _loops(problem: Problem, mapping: Mapping) -> Cycles:
    return run_mapping(problem, mapping, "loops")


def _pipelined_kernel(problem: Problem, mapping: Mapping) -> Cycles:
    return run_kernel(problem, mapping, num_stages=2)


def _looped_kernel(problem: Problem, mapping: Mapping) -> Cycles:
    return run_kernel(problem, mapping, instructions="loops")


SCHEDULES: dict[str, Callable[[Problem, Mapping], Cycles]] = {
    "library": run_library,
    "mapping": _primitive,
    "mapping, loops": _loops,
    "kernel": _pipelined_kernel,
    "kernel, loops": _looped_kernel,
}
WITHOUT_KERNELS = ("library", "mapping", "mapping, loops")


def outcome(schedule: str, problem: Problem, mapping: Mapping, memory: str) -> Outcome:
    """Run one schedule of one layer."""
    with knobs.memory_model.scope(memory):
        try:
            return Outcome(SCHEDULES[schedule](problem, mapping))
        except BacoError as error:
            return Outcome(None, str(error))


def products() -> Network:
    """Square products."""
    return Network("products", tuple(Layer(Problem.gemm(n, n, n, name=f"{n}^3"), 1) for n in SIZES))


NETWORKS: dict[str, tuple[Callable[[], Network], tuple[str, ...]]] = {
    "products": (products, tuple(SCHEDULES)),
    "bert": (lambda: network("bert"), tuple(SCHEDULES)),
    "resnet50": (lambda: network("resnet50"), WITHOUT_KERNELS),
}


def compare(name: str, pool: ProcessPoolExecutor, memory: str, only: list[str], stalls: bool) -> Iterable[Table]:
    """The tables of one network."""
    make, schedules = NETWORKS[name]
    best = {r.problem: r.mapping for r in default_machine(make()).layers}
    layers = [layer for layer in make().layers if not only or any(word in layer.name for word in only)]
    jobs = {(layer.name, s): pool.submit(outcome, s, layer.problem, best[layer.problem], memory) for layer in layers for s in schedules}
    yield _cycles_table(name, layers, schedules, jobs, memory)
    if stalls:
        table = Table(title=f"{name}: what was waited for longest, cycles of the whole program", title_justify="left")
        for title in ("layer", "schedule", "waited"):
            table.add_column(title)
        for layer in layers:
            for schedule in schedules:
                got = jobs[layer.name, schedule].result()
                table.add_row(layer.name, schedule, got.wait() if got.cycles else got.reason)
        yield table


def _cycles_table(
    name: str, layers: list[Layer], schedules: tuple[str, ...], jobs: dict[tuple[str, str], Future[Outcome]], memory: str
) -> Table:
    """Whole (device, host) cycles, utilisation; the sums count a layer as often as the network has it. The library stands in where a
    schedule cannot do a layer, and in the column of the best of each layer."""
    table = Table(title=f"{name} on gemmini-default, memory {memory}: whole (device, host) thousand cycles, %", title_justify="left")
    table.add_column("layer")
    table.add_column("ideal", justify="right")
    for schedule in (*schedules, "best"):
        table.add_column(schedule, justify="right")
    sums = {s: [0, 0, 0] for s in (*schedules, "best")}
    macs = 0
    for layer in layers:
        found = {s: jobs[layer.name, s].result().cycles for s in schedules}
        fastest = min((s for s in schedules if found[s]), key=lambda s: found[s].whole)
        cells = []
        for schedule in schedules:
            c = found[schedule]
            cells.append(_cell(c.whole, c.device, c.host, layer.problem.macs) if c else "-")
            _add(sums[schedule], c or found["library"], layer.count)
        _add(sums["best"], found[fastest], layer.count)
        macs += layer.problem.macs * layer.count
        times = f" x{layer.count}" if layer.count > 1 else ""
        table.add_row(layer.name + times, f"{layer.problem.macs / CONFIG.dim**2 / 1e3:.1f}", *cells, fastest)
    table.add_section()
    table.add_row("sum", f"{macs / CONFIG.dim**2 / 1e3:.0f}", *(_cell(*sums[s], macs) for s in sums))
    return table


def _add(total: list[int], cycles: Cycles, count: int) -> None:
    for n, value in enumerate((cycles.whole, cycles.device, cycles.host)):
        total[n] += count * value


def _cell(whole: int, device: int, host: int, macs: int) -> str:
    return f"{whole / 1e3:.1f} ({device / 1e3:.1f}, {host / 1e3:.1f}) {100 * macs / CONFIG.dim**2 / whole:.0f}"


def main(given: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; all by default")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="layers whose name holds one of these")
    parser.add_argument("--memory", default="cached", help="the memory model, as BACO_MEMORY_MODEL takes it")
    parser.add_argument("--stalls", action="store_true", help="say what was waited for")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args(given)
    if unknown := set(options.networks) - set(NETWORKS):
        parser.error(f"there is no network {min(unknown)!r}; those there are: {', '.join(NETWORKS)}")
    Rtl(CONFIG, np.zeros(64, np.uint8))  # built once, here
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for name in options.networks or NETWORKS:
            for table in compare(name, pool, options.memory, options.only, options.stalls):
                Console(width=220).print(table)


if __name__ == "__main__":
    main()
