"""hoist-configs: configure once, not once for every move.

Before:
    scf.for %i = ... {
      "instgem.config_ld"(%rows, %one, %stride) {load_id = 0, ...}
      "instgem.mvin"(...) }

After:
    "instgem.config_ld"(%rows, %one, %stride) {load_id = 0, ...}
    scf.for %i = ... {
      "instgem.mvin"(...) }

A configuration leaves a loop, and the branches around it in there, when its operands do not change there and nothing in the loop sets
the same state differently; one that repeats what is already set is dropped. A configuration that runs although the loop or the branch
does not is harmless: whoever moves data afterwards sets its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.dialects.mlir import ir
from baco.lowering.passes import kernel_of, operations, register, run_passes

_CONFIGS = ("instgem.config_ex", "instgem.config_ld", "instgem.config_st")
Key = tuple[str, str]


@register("hoist-configs")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    run_passes(module, ["loop-invariant-code-motion,cse"])
    _block(kernel_of(module).entry_block)


def _block(block: ir.Block) -> None:
    for op in list(block.operations):
        for region in op.operation.regions:
            for inner in region:
                _block(inner)
        if op.operation.name == "scf.for":
            _hoist(op)
    _drop_repeats(block)


def _hoist(loop: ir.OpView) -> None:
    body = loop.operation.regions[0].blocks[0]
    for op in list(_outside_loops(body)):
        if not any(_defined_in(v, loop) for v in op.operation.operands):
            rivals = (other for other in _configs(body) if _key(other) == _key(op))
            if all(_same(op, other) for other in rivals):
                op.operation.move_before(loop.operation)


def _outside_loops(block: ir.Block) -> Iterator[ir.OpView]:
    """The configurations of a block and of the branches in it; those in loops have left them where they could."""
    for op in block.operations:
        if op.operation.name in _CONFIGS:
            yield op
        elif op.operation.name == "scf.if":
            for region in op.operation.regions:
                for inner in region:
                    yield from _outside_loops(inner)


def _drop_repeats(block: ir.Block) -> None:
    """Straight-line code only: an operation with regions forgets the state its configurations may set."""
    current: dict[Key, ir.OpView] = {}
    for op in list(block.operations):
        if op.operation.name in _CONFIGS:
            key = _key(op)
            if key in current and _same(op, current[key]):
                op.operation.erase()
            else:
                current[key] = op
        else:
            for region in op.operation.regions:
                for inner in region:
                    for config in _configs(inner):
                        current.pop(_key(config), None)


def _configs(block: ir.Block) -> Iterator[ir.OpView]:
    return (op for op in operations(block) if op.operation.name in _CONFIGS)


def _key(op: ir.OpView) -> Key:
    """Which state a configuration sets: each load has its own."""
    attributes = op.operation.attributes
    return op.operation.name, str(attributes["load_id"]) if "load_id" in attributes else ""


def _same(a: ir.OpView, b: ir.OpView) -> bool:
    x, y = a.operation, b.operation
    flags = [{name: op.attributes[name] for name in op.attributes} for op in (x, y)]
    return x.name == y.name and flags[0] == flags[1] and list(x.operands) == list(y.operands)


def _defined_in(value: ir.Value, loop: ir.OpView) -> bool:
    """Whether a value comes from inside a loop, its induction variable included."""
    owner = value.owner
    parent = owner.owner if isinstance(owner, ir.Block) else owner.operation.parent
    while parent is not None and parent.name != "func.func":
        if parent == loop.operation:
            return True
        parent = parent.parent
    return False
