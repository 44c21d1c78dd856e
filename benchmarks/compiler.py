"""What compiling costs, and how good the code is. Run it: python benchmarks/compiler.py [gemm] [resident] [layers] [time]

time:   seconds to compile the matmul example: in a new process with nothing cached, again from the cache, and stage by stage.
gemm:   for square products on gemmini-default, both ways of issuing them: RoCC and host instructions for each compute instruction, and the
        bytes moved to and from DRAM over the least possible (every operand once).
resident: the bytes moved over the least possible for products, those of BERT-base at 128 and 512 tokens among them, with every block loaded
        for each program instance, and with blocks that several instances use kept on the chip, for both orders of the grid.
layers: the same for every distinct convolution of ResNet-50, each with its best mapping on gemmini-default: in primitive instructions, and
        with one loop instruction for each tile where one can do it.

Seconds depend on the machine and on what else it does; everything else here is counted, and is the same everywhere.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

EXAMPLE = Path(__file__).parent.parent / "examples" / "01_matmul.py"
COLUMNS = ("RoCC", "host", "compute", "RoCC / compute", "host / compute", "DRAM bytes", "over least")


def example() -> object:
    """The matmul example as a module."""
    spec = importlib.util.spec_from_file_location("matmul_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(counters: object, least: int) -> list[str]:
    """The figures of one run; `least` is the least DRAM traffic in bytes. Computes that loop instructions stand for count too."""
    rocc = sum(counters.instructions.values())
    compute = sum(n.get(f"compute_{kind}", 0) for n in (counters.instructions, counters.unrolled) for kind in ("preloaded", "accumulated"))
    moved = counters.dram_bytes_read + counters.dram_bytes_written
    per = (lambda n: f"{n / compute:.2f}") if compute else (lambda _: "-")
    return [
        f"{rocc:,}",
        f"{counters.host_instructions:,}",
        f"{compute:,}",
        per(rocc),
        per(counters.host_instructions),
        f"{moved:,}",
        f"{moved / least:.2f}",
    ]


def table(title: str, first: str) -> Table:
    """An empty table of code figures."""
    result = Table(title=title, title_justify="left")
    result.add_column(first)
    for name in COLUMNS:
        result.add_column(name, justify="right")
    return result


def gemm(console: Console) -> None:
    """Square products with 64-wide blocks, int8 results."""
    launch = example().launch
    result = table("Products n x n x n on gemmini-default, 64 x 64 x 64 blocks, int8 result", "n, options")
    for n in (64, 128, 256, 512):
        for options in ({}, {"num_stages": 2}, {"instructions": "loops"}):
            a, b, c = np.ones((n, n), np.int8), np.ones((n, n), np.int8), np.zeros((n, n), np.int8)
            counters = launch(a, b, c, scale=0.01, **options).counters
            label = ", ".join(f"{k}={v}" for k, v in options.items()) or "default"
            result.add_row(f"{n}, {label}", *row(counters, 3 * n * n))
    console.print(result)


PRODUCTS = ((512, 512, 512), *((m, *shape) for m in (128, 512) for shape in ((768, 768), (3072, 768), (768, 3072))))
"""M, N and K: a square product, then BERT-base's projections and both products of its feed-forward network."""


def resident(console: Console) -> None:
    """DRAM traffic with and without blocks that stay on the chip, from the analysis, which counts what a run does."""
    import baco

    result = Table(title="DRAM bytes over the least possible on gemmini-default, int8 result", title_justify="left")
    result.add_column("M x N x K, blocks")
    for name in ("least bytes", "loaded each time", "kept, M innermost", "kept, N innermost", "kept, num_stages=2"):
        result.add_column(name, justify="right")
    kept = ({"keep_resident": False}, {}, {"grid_order": (1, 0)}, {"num_stages": 2})
    for m, n, k in PRODUCTS:
        strides = {"stride_am": k, "stride_ak": 1, "stride_bk": n, "stride_bn": 1, "stride_cm": n, "stride_cn": 1}
        scalars = {"M": m, "N": n, "K": k, **strides, "scale": 0.01}
        least = m * k + k * n + m * n
        for block in ((64, 64, 64), (128, 128, 64)):
            blocks = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True))
            grid = (baco.cdiv(m, block[0]), baco.cdiv(n, block[1]))
            cells = []
            for options in kept:
                try:
                    special = example().matmul.warmup(np.int8, np.int8, np.int8, **scalars, **blocks, **options)
                except baco.BacoError as error:
                    cells.append(type(error).__name__)
                    continue
                counters = special.counters(grid, **scalars)
                cells.append(f"{(counters.dram_bytes_read + counters.dram_bytes_written) / least:.2f}")
            result.add_row(f"{m} x {n} x {k}, {' x '.join(map(str, block))}", f"{least:,}", *cells)
    console.print(result)


def layers(console: Console) -> None:
    """Every distinct layer of ResNet-50, compiled from its best mapping on the default machine."""
    from baco.hardware import GemminiConfig
    from baco.lowering.mapping_program import compile_mapping
    from baco.search import default_machine
    from baco.workloads import network

    result = table("ResNet-50 on gemmini-default, best mapping of each layer", "layer")
    rng = np.random.default_rng(0)
    for layer in default_machine(network("resnet50")).layers:
        p = layer.problem
        inputs = rng.integers(-128, 128, (p.N, p.input_height, p.input_width, p.C), dtype=np.int8)
        weights = rng.integers(-128, 128, (p.R, p.S, p.C, p.K), dtype=np.int8)
        least = p.tile_words("inputs", p.sizes) + weights.size + p.N * p.P * p.Q * p.K
        for instructions in ("primitive", "auto"):
            compiled = compile_mapping(p, layer.mapping, GemminiConfig(), scale=0.01, instructions=instructions)
            loop = next((name for name in ("loop_ws", "loop_conv_ws") if f'"instgem.{name}"' in compiled.asm["instgem"]), "primitive")
            if instructions == "auto" and loop == "primitive":
                console.print(f"{p.name}: {compiled.compiled.remarks[0]}")
                continue
            _, run = compiled.run(inputs, weights)
            result.add_row(f"{p.name}, {loop}", *row(run.counters, least))
    console.print(result)


def compile_time(console: Console) -> None:
    """Seconds to compile the matmul example."""
    script = (
        "import time, sys, runpy; start = time.perf_counter(); import numpy as np;"
        f"launch = runpy.run_path({str(EXAMPLE)!r})['launch'];"
        "a = np.ones((64, 64), np.int8); launch(a, a, np.zeros((64, 64), np.int32)); print(time.perf_counter() - start)"
    )
    result = Table(title="Compiling the matmul example", title_justify="left")
    result.add_column("what")
    result.add_column("seconds", justify="right")
    with tempfile.TemporaryDirectory() as cache:
        for what in ("new process, empty cache (builds the simulator too)", "new process, kernel and simulator cached"):
            environment = {**os.environ, "BACO_CACHE_DIR": cache}
            seconds = subprocess.run(
                [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=600
            ).stdout
            result.add_row(what, f"{float(seconds):.2f}")
    for stage, seconds in stages():
        result.add_row(f"stage: {stage}", f"{seconds:.3f}")
    console.print(result)


def stages() -> list[tuple[str, float]]:
    """Seconds of each stage, in a process that has compiled before."""
    from baco.hardware import GemminiConfig
    from baco.lang.frontend import read_kernel
    from baco.lang.launch import signature_of
    from baco.lowering.codegen import generate
    from baco.lowering.llvm_text import translate
    from baco.lowering.passes import run_passes, set_hardware
    from baco.lowering.pipelines import PIPELINES

    kernel = example().matmul
    kernel.warmup(*ARGUMENTS)
    times, start = [], time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal start
        times.append((stage, time.perf_counter() - start))
        start = time.perf_counter()

    signature = signature_of("matmul", kernel.bind(ARGUMENTS, {}), kernel.constexprs)
    module, _ = read_kernel(kernel.source, kernel.namespace, signature)
    lap("Python to baco")
    set_hardware(module, GemminiConfig())
    for pipeline in ("baco-to-linalg", "linalg-to-instgem", "instgem-to-llvm"):
        run_passes(module, PIPELINES[pipeline])
        lap(pipeline)
    text = translate(module)
    lap("LLVM dialect to LLVM IR")
    generate(text)
    lap("LLVM IR to ELF (clang and lld)")
    return times


ARGUMENTS = (np.int8, np.int8, np.int8, 100, 200, 300, 300, 1, 200, 1, 200, 1, 0.01, 64, 64, 64)
PARTS = {"time": compile_time, "gemm": gemm, "resident": resident, "layers": layers}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part](Console(width=140))
