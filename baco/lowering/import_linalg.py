"""import-linalg: a function on whole tensors (from torch-mlir, say) becomes a kernel whose buffers are the function's tensors.

Before:
    func.func @main(%x: tensor<64x32xi8>, %w: tensor<32x16xi8>) -> tensor<64x16xi32> {
      %r = linalg.matmul ins(%x, %w) outs(%zeros) -> tensor<64x16xi32>
      return %r : tensor<64x16xi32> }

After:
    func.func @main(%x: memref<*xi8>, %w: memref<*xi8>, %out0: memref<*xi32>, %pid0: i64, ..., %num2: i64) {
      %a = bufferization.to_tensor (memref.reinterpret_cast %x ...) restrict : tensor<64x32xi8>
      ...
      %r = linalg.matmul ins(%a, %b) outs(%zeros) -> tensor<64x16xi32>
      bufferization.materialize_in_destination %r in restrict writable (memref.reinterpret_cast %out0 ...)
      return }

Results become parameters that the kernel fills. There is no launch grid, but the six arguments for it stay, so that everything after
this pass is the same as for other kernels; see :mod:`baco.lowering.tile_products` for what follows.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.dialects.mlir import bufferization, context, func, ir, memref
from baco.lowering.errors import CompilationError, UnsupportedOperation
from baco.lowering.passes import location_of, operations_named, register
from baco.lowering.rebuild import Rebuilder, new_function
from baco.lowering.structure_pointers import GRID_ARGUMENTS

ELEMENTS = {"i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "f32": "float32"}
"""Element types of parameters, with their names in NumPy."""
_INSIDE = (*ELEMENTS, "i1", "index", "f64")
"""What may be computed with. PyTorch's scalars are f64, of which the host core has all but the functions."""
_MATH = "absf absi exp exp2 log log2 sqrt sin cos floor ceil round roundeven trunc fma"
_FUNCTIONS = tuple(f"math.{name}" for name in _MATH.split())
_DIALECTS = ("arith", "linalg", "tensor", "scf", "math", "func", "bufferization", "builtin")


def parse_tensors(text: str) -> ir.Module:
    """A module from its text.

    Raises:
        CompilationError: at the first line that MLIR does not take.
    """
    try:
        with context(), ir.Location.unknown():
            return ir.Module.parse(text)
    except ir.MLIRError as error:
        first = error.error_diagnostics[0].message if error.error_diagnostics else str(error)
        raise CompilationError(f"this is not a module that MLIR can read: {first}") from None


def function_of(module: ir.Module) -> func.FuncOp:
    """The one function of a module, with what this front end takes checked.

    Raises:
        CompilationError: if there is not exactly one function, or it is not on ranked tensors of static shape and known elements.
    """
    functions = [op for op in module.body.operations if op.operation.name == "func.func"]
    if len(functions) != 1 or functions[0].is_external:
        raise CompilationError(f"a linalg module holds exactly one function with a body, not {len(functions)}.")
    function = functions[0]
    for i, type_ in enumerate(function.type.inputs):
        _check_parameter(f"argument {i}", type_, function)
    for i, type_ in enumerate(function.type.results):
        _check_parameter(f"result {i}", type_, function)
    if not function.type.results:
        raise UnsupportedOperation(
            f"function {function.name.value} gives no result, so there is nothing to compute.", location_of(function)
        )
    return function


def _check_parameter(what: str, type_: ir.Type, function: func.FuncOp) -> None:
    where = location_of(function)
    if not isinstance(type_, ir.RankedTensorType):
        raise UnsupportedOperation(f"{what} is a {type_}; this front end takes ranked tensors.", where)
    if not type_.has_static_shape:
        raise UnsupportedOperation(f"{what} is a {type_}; shapes must be static, so export the model for one size.", where)
    if str(type_.element_type) not in ELEMENTS:
        raise UnsupportedOperation(f"{what} has elements of {type_.element_type}; supported are {', '.join(ELEMENTS)}.", where)


def check_body(function: func.FuncOp) -> None:
    """Refuse operations that neither the accelerator nor the host core has.

    Raises:
        UnsupportedOperation: at the first of them.
    """

    for op in _everything(function.operation):
        dialect = op.name.split(".")[0]
        if dialect not in _DIALECTS or (dialect == "math" and op.name not in _FUNCTIONS):
            raise UnsupportedOperation(f"{op.name} has no implementation for the host core.", location_of(op))
        for value in op.results:
            type_ = value.type
            if isinstance(type_, ir.RankedTensorType):
                if not type_.has_static_shape:
                    raise UnsupportedOperation(f"{op.name} gives a {type_}; shapes must be static.", location_of(op))
                type_ = type_.element_type
            if str(type_) not in _INSIDE or (str(type_) == "f64" and dialect == "math"):
                raise UnsupportedOperation(f"{op.name} gives {type_}; supported element types are {', '.join(ELEMENTS)}.", location_of(op))


def _everything(op: ir.Operation) -> Iterator[ir.Operation]:
    """What is inside an operation, in order."""
    for region in op.regions:
        for block in region:
            for inner in block.operations:
                yield inner.operation
                yield from _everything(inner.operation)


@register("import-linalg")
def run(module: ir.Module) -> None:
    """Rewrite the module's function."""
    old = function_of(module)
    check_body(old)
    space = ir.Attribute.parse("0")
    tensors = [*old.type.inputs, *old.type.results]
    buffers = [ir.UnrankedMemRefType.get(t.element_type, space) for t in tensors]
    i64 = ir.IntegerType.get_signless(64)
    names = [*parameter_names(old), *GRID_ARGUMENTS]
    new = new_function(old, [*buffers, *[i64] * len(GRID_ARGUMENTS)], names)
    rebuilder = Rebuilder({})
    *body, last = old.entry_block.operations
    with ir.InsertionPoint(new.entry_block), old.location:
        views = [_view(argument, type_) for argument, type_ in zip(new.arguments, tensors, strict=False)]
        for before, view, type_ in zip(old.arguments, views, tensors, strict=False):
            rebuilder.values[before] = bufferization.ToTensorOp(type_, view, restrict=True).result
        for op in body:
            with op.location:
                rebuilder.clone(op)
        for value, view in zip(last.operands, views[len(old.arguments) :], strict=True):
            with last.location:
                bufferization.MaterializeInDestinationOp(None, rebuilder[value], view, restrict=True, writable=True)
        func.ReturnOp([])
    old.erase()
    for op in operations_named(module, "ml_program.global"):
        op.erase()


def parameter_names(function: func.FuncOp) -> list[str]:
    """What the kernel's parameters are called."""
    return [f"in{i}" for i in range(len(function.type.inputs))] + [f"out{i}" for i in range(len(function.type.results))]


def _view(buffer: ir.Value, type_: ir.RankedTensorType) -> ir.Value:
    """An argument as a buffer of its shape."""
    shape = list(type_.shape)
    strides = [1] * len(shape)
    for d in reversed(range(len(shape) - 1)):
        strides[d] = strides[d + 1] * shape[d + 1]
    target = ir.MemRefType.get(shape, type_.element_type, ir.StridedLayoutAttr.get(0, strides))
    return memref.ReinterpretCastOp(target, buffer, [], [], [], [0], shape, strides).result
