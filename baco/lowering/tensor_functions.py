"""From a function on whole tensors to a runnable program: import, bufferise, tile its products, then the way every kernel goes."""

from __future__ import annotations

from dataclasses import replace

from baco.dialects.mlir import func, ir
from baco.hardware import GemminiConfig
from baco.lowering import import_linalg, pipeline_loads, tile_products  # noqa: F401  (imported so that their passes are registered)
from baco.lowering.compiled import Compiled
from baco.lowering.cpu import CpuProgram, compile_cpu
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.pipelines import PIPELINES, finish
from baco.sim.program import Parameter


def parameters_of(function: func.FuncOp) -> tuple[Parameter, ...]:
    """The buffers of a function's program: its arguments, then its results."""
    types = [*function.type.inputs, *function.type.results]
    names = import_linalg.parameter_names(function)
    first_result = len(function.type.inputs)
    return tuple(
        Parameter(name, "buffer", import_linalg.ELEMENTS[str(t.element_type)], i >= first_result)
        for i, (name, t) in enumerate(zip(names, types, strict=True))
    )


def compile_tensors(module: ir.Module, config: GemminiConfig, *, num_stages: int = 1) -> Compiled:
    """Compile a module with one function on tensors for the accelerator. `num_stages` is how deep loads are buffered.

    Raises:
        baco.lowering.errors.CompilationError: if the program cannot be compiled for this machine.
    """
    parameters = parameters_of(import_linalg.function_of(module))
    set_hardware(module, config)
    pipeline_loads.set_num_stages(module, num_stages)
    asm: dict[str, str | bytes] = {"tensors": str(module)}
    run_passes(module, PIPELINES["tensors-to-linalg"])
    asm["linalg"] = str(module)
    run_passes(module, PIPELINES["linalg-to-instgem"])
    return finish(module, parameters, config, asm)


def compile_tensors_for_cpu(module: ir.Module) -> CpuProgram:
    """Compile it for this process instead.

    Raises:
        baco.lowering.errors.CompilationError: if the program cannot be compiled.
    """
    parameters = parameters_of(import_linalg.function_of(module))
    text = str(module)
    run_passes(module, PIPELINES["tensors-to-linalg"][:-1])
    program = compile_cpu(module, parameters)
    return replace(program, asm={"tensors": text, **program.asm})
