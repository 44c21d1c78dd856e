"""add-entry: the bare-metal program around a kernel, which runs it once for every point of the launch grid.

Before:
    func.func @matmul(%a: i64, %m: i64, ..., %pid0: i64, ..., %num2: i64)

After:
    llvm.mlir.global external @baco_arguments : !llvm.array<N x i64>     // grid sizes, then the kernel's arguments
    func.func @baco_main() {
      "instgem.flush"
      scf.for %pid2 ... { scf.for %pid1 ... { scf.for %pid0 ... { func.call @matmul(...) } } }
      "instgem.fence" }

The loader fills `baco_arguments` before the start; the fence makes every result readable before the program says that it has ended.
"""

from __future__ import annotations

from baco.dialects.mlir import arith, func, ir, llvm, scf
from baco.lowering.emit import Emitter
from baco.lowering.passes import get_hardware, kernel_of, register
from baco.lowering.structure_pointers import GRID_ARGUMENTS

ARGUMENTS = "baco_arguments"
MAIN = "baco_main"
_AXES = 3


@register("add-entry")
def run(module: ir.Module) -> None:
    """Add the entry function to the module."""
    kernel = kernel_of(module)
    kernel.attributes["sym_visibility"] = ir.StringAttr.get("private")
    i64 = ir.IntegerType.get_signless(64)
    own = list(kernel.type.inputs)[: -len(GRID_ARGUMENTS)]
    slots = _AXES + len(own)
    with ir.InsertionPoint(module.body), kernel.location:
        array = ir.Type.parse(f"!llvm.array<{slots} x i64>")
        _global(array)
        main = func.FuncOp(MAIN, ([], []))
        with ir.InsertionPoint(main.add_entry_block()):
            base = llvm.AddressOfOp(ir.Type.parse("!llvm.ptr"), ir.FlatSymbolRefAttr.get(ARGUMENTS)).result
            values = [_slot(base, array, i, i64) for i in range(_AXES)]
            arguments = [_slot(base, array, _AXES + i, t) for i, t in enumerate(own)]
            Emitter(get_hardware(module)).instruction("flush", skip=0)
            _launch(kernel, arguments, values, [])
            Emitter(get_hardware(module)).fence()
            func.ReturnOp([])


def _global(array: ir.Type) -> None:
    ir.Operation.create(
        "llvm.mlir.global",
        attributes={
            "global_type": ir.TypeAttr.get(array),
            "sym_name": ir.StringAttr.get(ARGUMENTS),
            "linkage": ir.Attribute.parse("#llvm.linkage<external>"),
            "section": ir.StringAttr.get(".data"),
            "addr_space": ir.IntegerAttr.get(ir.IntegerType.get_signless(32), 0),
            "alignment": ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 8),
            "value": ir.Attribute.parse(f"dense<0> : tensor<{str(array).split('<')[1].split(' ')[0]}xi64>"),
        },
        regions=1,
    )


def _slot(base: ir.Value, array: ir.Type, index: int, type_: ir.Type) -> ir.Value:
    """The argument in an 8-byte slot; a float32 is the bit pattern in its low half."""
    place = llvm.GEPOp(ir.Type.parse("!llvm.ptr"), base, [], [0, index], array, 0).result
    return llvm.LoadOp(type_, place).result


def _launch(kernel: func.FuncOp, arguments: list[ir.Value], sizes: list[ir.Value], ids: list[ir.Value]) -> None:
    """Loops over the grid, the last axis outermost."""
    if len(ids) == _AXES:
        func.CallOp(kernel, [*arguments, *reversed(ids), *sizes])
        return
    i64 = ir.IntegerType.get_signless(64)
    zero, one = (arith.ConstantOp(i64, n).result for n in (0, 1))
    loop = scf.ForOp(zero, sizes[_AXES - 1 - len(ids)], one)
    with ir.InsertionPoint(loop.body):
        _launch(kernel, arguments, sizes, [*ids, loop.induction_variable])
        scf.YieldOp([])
