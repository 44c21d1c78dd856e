"""import-triton: a kernel in Triton's IR becomes one in the baco dialect, so that `@triton.jit` functions run here as they are.

Before (generic form, which needs no parser for the `tt` dialect):
    "tt.func"() <{sym_name = "copy", function_type = (!tt.ptr<i8>, !tt.ptr<i8>, i32) -> ()}> ({
    ^bb0(%x: !tt.ptr<i8>, %y: !tt.ptr<i8>, %n: i32):
      %r = "tt.make_range"() <{start = 0 : i32, end = 64 : i32}> : () -> tensor<64xi32>
      %s = "tt.splat"(%x) : (!tt.ptr<i8>) -> tensor<64x!tt.ptr<i8>>
      %p = "tt.addptr"(%s, %r) : (tensor<64x!tt.ptr<i8>>, tensor<64xi32>) -> tensor<64x!tt.ptr<i8>>
      %v = "tt.load"(%p, %mask) : ...

After:
    func.func @copy(%x: !baco.ptr<i8>, %y: !baco.ptr<i8>, %n: i32) {
      %r = "baco.make_range"() {start = 0 : i64, end = 64 : i64} : () -> tensor<64xi32>
      %o = arith.extsi %r : tensor<64xi32> to tensor<64xi64>
      %p = "baco.add_pointer"(%x, %o) : (!baco.ptr<i8>, tensor<64xi64>) -> !baco.ptr_block<tensor<64xi8>>
      %v = "baco.gather"(%p, %mask, %c0_i8) : ...

A block of pointers is kept as the pointer it starts from and a block of offsets until it is used or carried around a loop. Every
operation gets the place in the person's own file, not the one in Triton's library of functions. Cache hints, divisibility and the like
are dropped: they promise speed on a GPU. What has no counterpart is refused at its line.
"""

from __future__ import annotations

from baco.dialects.mlir import context, ir
from baco.lowering.errors import CompilationError
from baco.lowering.passes import kernel_of, operations_named, register
from baco.lowering.rebuild import argument_names
from baco.lowering.triton_operations import HANDLERS, KEPT, REASONS
from baco.lowering.triton_values import Importer


def parse_ttir(text: str) -> ir.Module:
    """Triton's IR, in generic form, as a module.

    Raises:
        CompilationError: if it cannot be read.
    """
    ctx = context()
    ctx.allow_unregistered_dialects = True
    try:
        return ir.Module.parse(text, ctx)
    except ir.MLIRError as error:
        raise CompilationError(f"this is not Triton IR in generic form: {str(error).splitlines()[-1]}") from None
    finally:
        ctx.allow_unregistered_dialects = False


@register("import-triton")
def run(module: ir.Module) -> None:
    """Rewrite the module's one `tt.func`."""
    functions = [op for op in module.body.operations if op.operation.name == "tt.func"]
    if len(functions) != 1:
        raise CompilationError(
            f"a Triton module holds exactly one function after inlining, not {len(functions)}; device functions cannot be noinline."
        )
    Importer(functions[0], HANDLERS, KEPT, REASONS).run()
    functions[0].operation.erase()


def stored_arguments(module: ir.Module) -> set[str]:
    """The names of the arguments that a kernel in the baco dialect writes to."""
    kernel = kernel_of(module)
    names = dict(zip(kernel.arguments, argument_names(kernel), strict=True))
    return {names[_root(op.operands[0])] for op in operations_named(module, "baco.store", "baco.scatter", "baco.atomic")}


def _root(pointer: ir.Value) -> ir.Value:
    """The argument that a pointer comes from."""
    owner = pointer.owner
    if not isinstance(owner, ir.Block):
        loop = owner.name in ("scf.for", "scf.while")
        skip = 3 if owner.name == "scf.for" else 0
        return _root(owner.operands[skip + list(owner.results).index(pointer)] if loop else owner.operands[0])
    parent = owner.owner
    if parent.operation.name == "func.func":
        return pointer
    # A loop's argument: what the loop starts with. scf.for has an index before the carried values, and three bounds before their starts.
    position = list(owner.arguments).index(pointer)
    return _root(parent.operation.operands[position + 2 if parent.operation.name == "scf.for" else position])
