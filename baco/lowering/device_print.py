"""Printing from a running kernel; part of the pass structure-pointers.

Before:
    "baco.print"(%x) {prefix = "x: "} : (tensor<16xi32>) -> ()

After:
    scf.for %i = 0 to 16 {
      func.call @baco_put(%character) ...                  // "pid (0, 0, 0) idx (3) x: ", character by character
      func.call @baco_put_int(%element) }

A line has the program instance and, for a block, the element's place, as Triton prints them. The functions belong to the bare-metal
runtime (runtime/print.c); on the CPU path this process provides them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baco.dialects import instgem
from baco.dialects.mlir import arith, bufferization, func, ir, memref, scf
from baco.lowering.rebuild import Rebuilder, constant

PUT, PUT_INT, PUT_FLOAT, STOP = "baco_put", "baco_put_int", "baco_put_float", "baco_stop"


def lower_print(r: Rebuilder, op: ir.OpView) -> None:
    """The handler of ``baco.print``."""
    value, prefix = r[op.value], ir.StringAttr(op.prefix).value
    if not isinstance(value.type, ir.RankedTensorType):
        line(r, op, prefix, [], value)
        return
    buffer = copied(value)
    # The hardware may still be writing what is about to be read.
    instgem.Fence()
    nest(ir.RankedTensorType(value.type).shape, lambda place: line(r, op, prefix, place, memref.LoadOp(buffer, place).result))


def copied(value: ir.Value) -> ir.Value:
    """A block in a buffer of its own."""
    type_ = ir.RankedTensorType(value.type)
    buffer = memref.AllocOp(ir.MemRefType.get(list(type_.shape), type_.element_type), [], []).result
    bufferization.MaterializeInDestinationOp(None, value, buffer, restrict=True, writable=True)
    return buffer


def nest(shape: Sequence[int], body: Callable[[list[ir.Value]], None], place: Sequence[ir.Value] = ()) -> None:
    """Loops over a shape; `body` gets the place."""
    if len(place) == len(shape):
        body(list(place))
        return
    loop = scf.ForOp(constant(0), constant(shape[len(place)]), constant(1))
    with ir.InsertionPoint(loop.body):
        nest(shape, body, [*place, loop.induction_variable])
        scf.YieldOp([])


def line(r: Rebuilder, op: ir.OpView, prefix: str, place: Sequence[ir.Value], value: ir.Value | None = None) -> None:
    """``pid (0, 0, 0) idx (3) prefix value``."""
    i64 = ir.IntegerType.get_signless(64)
    _text(op, "pid (")
    _list(op, r.grid[:3])
    _text(op, ") idx (")
    _list(op, [arith.IndexCastOp(i64, p).result for p in place])
    _text(op, f") {prefix}")
    if value is None:
        pass
    elif isinstance(value.type, ir.F32Type):
        _call(op, PUT_FLOAT, value)
    elif ir.IntegerType(value.type).width < 64:
        widen = arith.ExtUIOp if ir.IntegerType(value.type).width == 1 else arith.ExtSIOp
        _call(op, PUT_INT, widen(i64, value).result)
    else:
        _call(op, PUT_INT, value)
    _text(op, "\n")


def stop(op: ir.OpView) -> None:
    """End the program, with the exit code that says that a check failed."""
    _call(op, STOP)


def _list(op: ir.OpView, values: Sequence[ir.Value]) -> None:
    for position, value in enumerate(values):
        _text(op, ", " if position else "")
        _call(op, PUT_INT, value)


def _text(op: ir.OpView, text: str) -> None:
    for byte in text.encode():
        _call(op, PUT, constant(byte, ir.IntegerType.get_signless(64)))


def _call(op: ir.OpView, name: str, *values: ir.Value) -> None:
    """Call a function of the runtime, declared at its first use."""
    module = op.operation
    while module.name != "builtin.module":
        module = module.parent
    body = module.regions[0].blocks[0]
    if not any(o.operation.name == "func.func" and o.name.value == name for o in body.operations):
        with ir.InsertionPoint(body):
            func.FuncOp(name, ([v.type for v in values], []), visibility="private")
    func.CallOp([], name, list(values))
