"""A layer of the vendor's library as a bare-metal program: its commands, one after another, their operands as constants, then a fence.

What the library's own host code does between commands is left out, which flatters it: it takes 115 to 175 cycles for a tile of a product
and some 450 for one of a convolution (GEMMINI_UARCH.md, section 9.2), and the search for tiles many thousands before that.
"""

from __future__ import annotations

from library_layers import BASE, LibraryLayer

from baco import isa, sim
from baco.dialects.mlir import context, func, ir
from baco.hardware import GemminiConfig
from baco.lowering.compiled import Compiled
from baco.lowering.emit import Emitter
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.pipelines import CLEAN, finish
from baco.lowering.structure_pointers import GRID_ARGUMENTS
from baco.sim.program import Parameter

PARAMETERS = (Parameter("memory", "buffer", "uint8", writable=True),)


def compile_layer(layer: LibraryLayer, config: GemminiConfig) -> Compiled:
    """The program. Its one argument is the layer's memory."""
    with context(), ir.Location.unknown():
        module = ir.Module.create()
        set_hardware(module, config)
        i64 = ir.IntegerType.get_signless(64)
        names = [*(p.name for p in PARAMETERS), *GRID_ARGUMENTS]
        with ir.InsertionPoint(module.body):
            function = func.FuncOp("layer", ([i64] * len(names), []))
        function.arg_attrs = [ir.DictAttr.get({"baco.name": ir.StringAttr.get(n)}) for n in names]
        with ir.InsertionPoint(function.add_entry_block()):
            emitter, memory = Emitter(config), function.arguments[0]
            for command in layer.commands:
                decoded = isa.decode(command)
                pointers = {
                    name: emitter.add(memory, v - BASE) for name, v in decoded.values.items() if BASE <= v < BASE + layer.memory.size
                }
                emitter.instruction(decoded.instruction.name, **{**decoded.values, **pointers})
            emitter.fence()
            func.ReturnOp([])
        run_passes(module, [CLEAN, "verify-stage"])
        return finish(module, PARAMETERS, config, {"layer": f"{layer.name}: {len(layer.commands)} commands\n"})


def run(layer: LibraryLayer, config: GemminiConfig, backend: str = "functional") -> sim.RunResult:
    """Compile and run; `layer.memory` then holds the result."""
    return sim.run(compile_layer(layer, config).program, config, [layer.memory], backend=backend)
