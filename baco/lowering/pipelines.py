"""Named pipelines, and the one way from a module to a runnable program with every stage's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from baco.dialects.mlir import ir
from baco.hardware import GemminiConfig
from baco.lowering import (  # noqa: F401  (imported so that their passes are registered)
    add_entry,
    alternate_accumulators,
    attach_lines,
    choose_layouts,
    convert_to_instgem,
    copies_to_linalg,
    drop_fences,
    guard_division,
    hoist_configs,
    hoist_loads,
    import_linalg,
    import_triton,
    loop_nest,
    lower_instgem_to_llvm,
    narrow_products,
    overrides,
    overwrite_first_product,
    pipeline_loads,
    place_in_memories,
    recognise_requantise,
    requantise_in_array,
    select_loops,
    split_host_work,
    start_from_bias,
    structure_pointers,
    tile_products,
    tile_to_dim,
    verify_stage,
)
from baco.lowering.choices import GRID_ORDER, PRIMITIVE
from baco.lowering.codegen import generate
from baco.lowering.compiled import Compiled
from baco.lowering.keep_resident import set_keep_resident
from baco.lowering.llvm_text import translate
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.remarks import remarks
from baco.sim.program import Parameter, Program

CLEAN = "canonicalize,cse"

PIPELINES: dict[str, tuple[str, ...]] = {
    "baco-to-linalg": ("recognise-requantise", "structure-pointers", f"convert-elementwise-to-linalg,linalg-fuse-elementwise-ops,{CLEAN}"),
    "tensors-to-linalg": (
        f"math-expand-ops{{ops=tanh,rsqrt}},{CLEAN}",
        "import-linalg",
        "linalg-specialize-generic-ops",
        "narrow-products",
        f"linalg-fuse-elementwise-ops,{CLEAN}",
        "start-from-bias",
        "recognise-requantise",
        f"{CLEAN},eliminate-empty-tensors",
        f"one-shot-bufferize,{CLEAN}",
        "tile-products",
    ),
    "linalg-to-instgem": (
        f"one-shot-bufferize,{CLEAN}",
        "requantise-in-array",
        "split-host-work",
        CLEAN,
        "select-loops",
        CLEAN,
        "overwrite-first-product",
        "hoist-loads",
        CLEAN,
        "keep-resident",
        CLEAN,
        "choose-layouts",
        "pipeline-loads",
        "alternate-accumulators",
        CLEAN,
        "tile-to-dim",
        CLEAN,
        "place-in-memories",
        "verify-stage",
        "convert-to-instgem",
        "verify-stage",
        f"convert-linalg-to-loops,{CLEAN}",
        "hoist-configs",
        CLEAN,
        "verify-stage",
    ),
    "instgem-to-llvm": (
        "add-entry",
        "lower-instgem-to-llvm",
        "expand-strided-metadata,lower-affine,arith-expand,convert-scf-to-cf,convert-math-to-llvm,convert-index-to-llvm",
        "finalize-memref-to-llvm,convert-arith-to-llvm,convert-func-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts",
        CLEAN,
        "attach-lines",
    ),
    "linalg-to-cpu": (
        "drop-fences",
        "convert-elementwise-to-linalg,one-shot-bufferize{allow-return-allocs-from-loops=true}",
        CLEAN,
        "buffer-deallocation-pipeline",
        "copies-to-linalg",
        "convert-linalg-to-loops",
        "expand-strided-metadata,lower-affine,arith-expand",
        "guard-division",
        CLEAN,
        "convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,convert-to-llvm",
        "reconcile-unrealized-casts",
        CLEAN,
    ),
}
"""What `baco-opt --pipeline` offers: the passes of each pipeline, in order."""


def compile_kernel(
    module: ir.Module,
    parameters: tuple[Parameter, ...],
    config: GemminiConfig,
    *,
    num_stages: int = 1,
    instructions: str = PRIMITIVE,
    grid_order: Sequence[int] = GRID_ORDER,
    keep_resident: bool = True,
    files: Mapping[str, Path] = overrides.NONE,
) -> Compiled:
    """Compile a module in the baco dialect, all the way. `num_stages` is how deep loads are buffered, `instructions` which of Gemmini's
    instructions do products (:mod:`baco.lowering.select_loops`), `grid_order` the axes of the grid, the innermost first, and
    `keep_resident` whether blocks stay on the chip while they are used again (:mod:`baco.lowering.keep_resident`). `files` take the
    place of stages (:mod:`baco.lowering.overrides`).

    Raises:
        baco.lowering.errors.CompilationError: if the program cannot be compiled for this machine.
    """
    module = overrides.replaced(module, "baco", files)
    set_hardware(module, config)
    pipeline_loads.set_num_stages(module, num_stages)
    select_loops.set_instructions(module, instructions)
    loop_nest.set_grid_order(module, grid_order)
    set_keep_resident(module, keep_resident)
    asm: dict[str, str | bytes] = {"baco": str(module)}
    run_passes(module, PIPELINES["baco-to-linalg"])
    module = overrides.replaced(module, "linalg", files)
    asm["linalg"] = str(module)
    run_passes(module, PIPELINES["linalg-to-instgem"])
    return finish(overrides.replaced(module, "instgem", files), parameters, config, asm, files)


def finish(
    module: ir.Module,
    parameters: tuple[Parameter, ...],
    config: GemminiConfig,
    asm: dict[str, str | bytes],
    files: Mapping[str, Path] = overrides.NONE,
) -> Compiled:
    """Compile a module in the instgem dialect to the end; `asm` holds the texts of the stages before."""
    from baco.lowering.passes import kernel_of

    name, notes = kernel_of(module).name.value, tuple(remarks(module))
    asm["instgem"] = str(module)
    asm["llvm"] = overrides.replaced_text(to_llvm_ir(module), "llvm", files)
    code = generate(asm["llvm"])
    asm["riscv"] = code.assembly
    asm["elf"] = code.elf
    return Compiled(name, Program(code.elf, parameters), config, asm, notes)


def to_llvm_ir(module: ir.Module) -> str:
    """LLVM IR of a module in the instgem dialect."""
    run_passes(module, PIPELINES["instgem-to-llvm"])
    return translate(module)
