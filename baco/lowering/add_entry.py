"""add-entry: the bare-metal program around a kernel, which runs it once for every point of the launch grid.

Before:
    func.func @matmul(%a: i64, %m: i64, ..., %pid0: i64, ..., %num2: i64)

After:
    llvm.mlir.global external @baco_arguments : !llvm.array<N x i64>     // grid sizes, then the kernel's arguments
    llvm.mlir.global external @baco_instance : !llvm.array<3 x i64>      // the program instance that runs
    func.func @baco_main() {
      "instgem.flush"
      scf.for %pid2 ... { scf.for %pid1 ... { scf.for %pid0 ... { func.call @matmul(...) } } }   // or as baco.grid_order says
      "instgem.fence" }

The loader fills `baco_arguments` before the start; the fence makes every result readable before the program says that it has ended. Each
loop stores its counter in `baco_instance`, so that a simulator can say which program instance an instruction belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from baco.dialects.mlir import arith, func, ir, llvm, scf
from baco.lowering.choices import AXES
from baco.lowering.emit import Emitter
from baco.lowering.errors import CompilationError
from baco.lowering.loop_nest import get_grid_order
from baco.lowering.passes import get_hardware, kernel_of, location_of, register
from baco.lowering.structure_pointers import GRID_ARGUMENTS

ARGUMENTS = "baco_arguments"
INSTANCE = "baco_instance"
MAIN = "baco_main"


@register("add-entry")
def run(module: ir.Module) -> None:
    """Add the entry function to the module."""
    kernel = kernel_of(module)
    kernel.attributes["sym_visibility"] = ir.StringAttr.get("private")
    i64 = ir.IntegerType.get_signless(64)
    if list(kernel.type.inputs)[-len(GRID_ARGUMENTS) :] != [i64] * len(GRID_ARGUMENTS):
        reason = f"the last arguments of a kernel are the launch grid's, {', '.join(GRID_ARGUMENTS)}, which structure-pointers adds."
        raise CompilationError(reason, location_of(kernel))
    own = list(kernel.type.inputs)[: -len(GRID_ARGUMENTS)]
    slots = AXES + len(own)
    with ir.InsertionPoint(module.body), kernel.location:
        array = _global(ARGUMENTS, slots)
        _global(INSTANCE, AXES)
        main = func.FuncOp(MAIN, ([], []))
        with ir.InsertionPoint(main.add_entry_block()):
            base, instance = _address(ARGUMENTS), _address(INSTANCE)
            values = [llvm.LoadOp(i64, _slot(base, array, i)).result for i in range(AXES)]
            # A float32 is the bit pattern in the low half of its slot.
            arguments = [llvm.LoadOp(t, _slot(base, array, AXES + i)).result for i, t in enumerate(own)]
            Emitter(get_hardware(module)).instruction("flush", skip=0)
            _launch(kernel, arguments, values, instance, get_grid_order(module, kernel), {})
            Emitter(get_hardware(module)).fence()
            func.ReturnOp([])


def _global(name: str, slots: int) -> ir.Type:
    """Declare `slots` 8-byte slots, zeros; their type."""
    array = ir.Type.parse(f"!llvm.array<{slots} x i64>")
    ir.Operation.create(
        "llvm.mlir.global",
        attributes={
            "global_type": ir.TypeAttr.get(array),
            "sym_name": ir.StringAttr.get(name),
            "linkage": ir.Attribute.parse("#llvm.linkage<external>"),
            "section": ir.StringAttr.get(".data"),
            "addr_space": ir.IntegerAttr.get(ir.IntegerType.get_signless(32), 0),
            "alignment": ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 8),
            "value": ir.Attribute.parse(f"dense<0> : tensor<{slots}xi64>"),
        },
        regions=1,
    )
    return array


def _address(name: str) -> ir.Value:
    return llvm.AddressOfOp(ir.Type.parse("!llvm.ptr"), ir.FlatSymbolRefAttr.get(name)).result


def _slot(base: ir.Value, array: ir.Type, index: int) -> ir.Value:
    """The address of an 8-byte slot."""
    return llvm.GEPOp(ir.Type.parse("!llvm.ptr"), base, [], [0, index], array, 0).result


def _launch(
    kernel: func.FuncOp,
    arguments: list[ir.Value],
    sizes: list[ir.Value],
    instance: ir.Value,
    order: Sequence[int],
    ids: dict[int, ir.Value],
) -> None:
    """Loops over the axes of the grid in `order`, the last outermost; `ids` are the places on those that have their loops."""
    if not order:
        func.CallOp(kernel, [*arguments, *(ids[axis] for axis in range(AXES)), *sizes])
        return
    i64 = ir.IntegerType.get_signless(64)
    zero, one = (arith.ConstantOp(i64, n).result for n in (0, 1))
    axis = order[-1]
    loop = scf.ForOp(zero, sizes[axis], one)
    with ir.InsertionPoint(loop.body):
        llvm.StoreOp(loop.induction_variable, _slot(instance, ir.Type.parse(f"!llvm.array<{AXES} x i64>"), axis))
        _launch(kernel, arguments, sizes, instance, order[:-1], {**ids, axis: loop.induction_variable})
        scf.YieldOp([])
