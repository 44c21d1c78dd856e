"""From a `Mapping` of a `Problem` to a program that does those tiles in that order: what the search scores is what runs.

Tensors in DRAM: inputs N x height x width x C with their zero border, weights R x S x C x K, outputs N x P x Q x K, all int8. The program
itself is written by :mod:`baco.lowering.layer_writer`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from baco import isa
from baco.dialects.mlir import context, func, ir
from baco.hardware import GemminiConfig
from baco.lowering.choices import AUTO, LOOPS, PRIMITIVE
from baco.lowering.errors import UnsupportedOperation
from baco.lowering.layer_loops import LoopLayerWriter, NoLayerLoop
from baco.lowering.layer_writer import LayerWriter, innermost
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.pipelines import CLEAN, Compiled, finish
from baco.lowering.place_in_memories import set_rows
from baco.lowering.remarks import add_remark
from baco.lowering.select_loops import check_instructions
from baco.lowering.structure_pointers import GRID_ARGUMENTS
from baco.sim.program import Parameter
from baco.workload import (
    DRAM,
    OUTPUT_DIMENSIONS,
    REDUCTION_DIMENSIONS,
    InvalidMapping,
    Loop,
    Mapping,
    Problem,
)

if TYPE_CHECKING:
    from baco.sim import Limits, RunResult

PARAMETERS = (
    Parameter("inputs", "buffer", "int8"),
    Parameter("weights", "buffer", "int8"),
    Parameter("outputs", "buffer", "int8", writable=True),
    Parameter("partial_sums", "buffer", "int32", writable=True),
)


@dataclass(frozen=True)
class CompiledMapping:
    """A compiled layer. `asm` holds each stage's text: mapping, instgem, llvm, riscv; and elf, the bytes."""

    problem: Problem
    mapping: Mapping
    compiled: Compiled

    @property
    def program(self) -> object:
        return self.compiled.program

    @property
    def asm(self) -> dict[str, str | bytes]:
        return self.compiled.asm

    def run(
        self, inputs: np.ndarray, weights: np.ndarray, backend: str = "functional", limits: Limits | None = None
    ) -> tuple[np.ndarray, RunResult]:
        """Run the layer; see the module's description for the layouts. Returns the int8 outputs and what the machine counted."""
        from baco import sim

        p = self.problem
        outputs = np.zeros((p.N, p.P, p.Q, p.K), np.int8)
        partial = np.zeros(outputs.size if _spills(self.mapping) else 1, np.int32)
        arguments = [inputs, weights, outputs, partial]
        result = sim.run(self.program, self.compiled.config, arguments, backend=backend, limits=limits or sim.Limits())
        return outputs, result


def compile_mapping(
    problem: Problem,
    mapping: Mapping,
    config: GemminiConfig,
    *,
    scale: float = 1.0,
    relu: bool = False,
    instructions: str = PRIMITIVE,
) -> CompiledMapping:
    """Compile one layer in the tiles and order of a mapping. Outputs are scaled, rounded and clamped to int8 on the way out.

    `instructions` is one of :data:`baco.lowering.choices.INSTRUCTIONS`: primitive instructions, which do exactly what the mapping says;
    loops, one loop_ws or loop_conv_ws for each tile (:mod:`baco.lowering.layer_loops` says how their accesses differ); or, with "auto",
    loops where they can do the tiles and take fewer instructions, which the program's remarks tell.

    Raises:
        baco.workload.InvalidMapping: if the mapping breaks a rule or does not fit the machine.
        UnsupportedOperation: if loops were asked for and cannot do the mapping's tiles.
    """
    check_instructions(instructions)
    mapping.check(problem, config)
    _check_fields(problem, mapping)
    with context(), ir.Location.unknown():
        module = ir.Module.create()
        set_hardware(module, config)
        i64 = ir.IntegerType.get_signless(64)
        name = re.sub(r"\W+", "_", problem.name).strip("_") or "layer"
        with ir.InsertionPoint(module.body):
            function = func.FuncOp(f"layer_{name}", ([i64] * (len(PARAMETERS) + len(GRID_ARGUMENTS)), []))
        names = [*(p.name for p in PARAMETERS), *GRID_ARGUMENTS]
        function.arg_attrs = [ir.DictAttr.get({"baco.name": ir.StringAttr.get(n)}) for n in names]
        with ir.InsertionPoint(function.add_entry_block()):
            buffers = list(function.arguments)[: len(PARAMETERS)]
            writer = _writer(module, problem, mapping, config, buffers, scale, relu, instructions)
            writer.write()
            func.ReturnOp([])
        set_rows(module, writer.rows())
        run_passes(module, [CLEAN, "hoist-configs", CLEAN, "verify-stage"])
        compiled = finish(module, PARAMETERS, config, {"mapping": f"{problem}\n{mapping}\n"})
    return CompiledMapping(problem, mapping, compiled)


def _writer(
    module: ir.Module,
    problem: Problem,
    mapping: Mapping,
    config: GemminiConfig,
    buffers: list[ir.Value],
    scale: float,
    relu: bool,
    instructions: str,
) -> LayerWriter:
    """What writes the layer in the instructions that were asked for."""
    if instructions != PRIMITIVE:
        try:
            writer = LoopLayerWriter(problem, mapping, config, buffers, scale, relu)
            if instructions == AUTO:
                writer.check_cost()
            add_remark(module, None, f"each tile of this layer becomes one {writer.form.instruction}")
            return writer
        except NoLayerLoop as reason:
            if instructions == LOOPS:
                raise UnsupportedOperation(f"this mapping cannot be done in loop instructions: {reason}.") from None
            add_remark(module, None, f"this layer stays in primitive instructions: {reason}")
    return LayerWriter(problem, mapping, config, buffers, scale, relu)


def _check_fields(problem: Problem, mapping: Mapping) -> None:
    """Sizes that must fit an instruction field."""
    if problem.K * 4 >= 1 << 32:
        raise InvalidMapping([f"K={problem.K} is too large: a store's row stride is a 32-bit number of bytes."])
    if mapping.accumulator_rows(problem) >= isa.ROW_MASK or mapping.weight_rows(problem) + mapping.input_rows(problem) >= isa.ROW_MASK:
        raise InvalidMapping(["a tile needs more rows than a local address can name."])


def _spills(mapping: Mapping) -> bool:
    return _visits(mapping.loops(DRAM)) > 1


def _visits(loops: list[Loop]) -> int:
    """How often each output tile comes to the accumulator: once for each trip of the reduction loops around its innermost loop."""
    inner = innermost(loops, OUTPUT_DIMENSIONS)
    return math.prod(loop.trips for loop in loops[: max(inner, 0)] if loop.dim in REDUCTION_DIMENSIONS)
