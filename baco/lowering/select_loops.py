"""select-loops: give whole blocks of a product or convolution to Gemmini's own loop instructions, where they can do them.

Before, with ``baco.instructions = "loops"``:
    linalg.fill ins(%c0_i32) outs(%c : memref<64x64xi32>)
    scf.for %i = %c0 to %k step %c64 {
      memref.copy (%x at %i), %a
      memref.copy (%y at %i), %b
      linalg.matmul ins(%a, %b) outs(%c) }
    memref.copy %c, %z

After:
    scf.if (%k > 0 and %k mod DIM = 0) {
      scf.for %i = %c0 to %k step %c64 {
        "instgem.config_ld" ...                                            // one each for A, B and, with a bias, D; and config_st
        "instgem.loop_ws_config_bounds"(pads, %rows / DIM, %columns / DIM, %depth / DIM)
        "instgem.loop_ws_config_addrs_ab"(%x at %i, %y at %i)
        "instgem.loop_ws_config_addrs_dc"(0, %z in the last step, else 0)
        "instgem.loop_ws_config_strides_ab" ...
        "instgem.loop_ws_config_strides_dc" ...
        "instgem.loop_ws" ... {ex_accumulate = 1, or 0 in the first step} } }
    else { what was there }

One loop_ws stands for all the moves and computes of a block, so that the core issues a few instructions, not one for every tile, and the
hardware's unroller works ahead of it with both halves of the memories. What it asks for (GEMMINI_ISA.md sections 7.10 and 9.18 to 9.20):

* The loop takes half of each memory, and chooses the rows itself: the blocks must fit, and nothing else may live on the chip meanwhile.
* In hardware the accumulator half changes after each loop with a C pointer, so only a sum's last step has one; all five configurations
  are sent every time, since each of the hardware's two loop slots has its own.
* Hardware reads whole tiles of the right operand's rows, beyond its end where the depth is no multiple of DIM. Such depths are left to
  primitive instructions, by the branch above where the depth is known only at run time.

Which sums are looked for: :mod:`baco.lowering.summed_products`. What is none of them may be a tile of a convolution, which becomes
loop_conv_ws: :mod:`baco.lowering.convolution_sums`, :mod:`baco.lowering.loop_convolution`. The module attribute ``baco.instructions``
says what to do:

* ``primitive`` (the default): nothing.
* ``loops``: every product; one that cannot be a loop is an error.
* ``auto``: the cheaper by the instructions that the core issues for a block, where loads do not run ahead (``baco.num_stages`` is 1: a
  loop would take their rows). A step in primitive instructions takes an mvin for up to 64 columns of DIM rows of A and of B, and a preload
  and a compute for each tile; a loop takes :data:`LOOP_COMMANDS`. What stays primitive, and why, is a remark.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.dialects.mlir import arith, func, ir, memref, scf
from baco.hardware import GemminiConfig
from baco.lowering import choices
from baco.lowering.block_loads import body_of, nested
from baco.lowering.blocks_to_linalg import OUTPUT_STATIONARY
from baco.lowering.choices import AUTO, LOOPS, PRIMITIVE
from baco.lowering.convert_to_instgem import read_and_written
from baco.lowering.depth_of_sum import Condition, Depth, compare, is_inside
from baco.lowering.emit import Emitter, Quantity
from baco.lowering.errors import CompilationError, SourceLocation, UnsupportedOperation
from baco.lowering.loop_convolution import ConvolutionLoop
from baco.lowering.passes import get_hardware, kernel_of, location_of, operations_named, register, run_passes
from baco.lowering.pipeline_loads import NUM_STAGES
from baco.lowering.place_in_memories import ACCUMULATOR, LOOP_ROWS, SCRATCHPAD
from baco.lowering.remarks import add_remark
from baco.lowering.summed_products import InDram, NoLoop, is_pure, requantisation, something_else_lives, summed_product
from baco.lowering.tile_to_dim import HOST, is_on_chip, root, transposes

INSTRUCTIONS = "baco.instructions"
"""Module attribute: which instructions products become, one of :data:`baco.lowering.choices.INSTRUCTIONS`."""
LOOP_COMMANDS = 6
"""What the core issues for a loop: five configurations and the loop itself; load and store configurations leave the loop around it."""


def check_instructions(choice: str) -> None:
    """Refuse what is no choice of instructions.

    Raises:
        CompilationError: if there is no such choice.
    """
    if choice not in choices.INSTRUCTIONS:
        raise CompilationError(f"instructions is one of {', '.join(choices.INSTRUCTIONS)}, not {choice!r}.")


def set_instructions(module: ir.Module, choice: str) -> None:
    """Record which instructions products become.

    Raises:
        CompilationError: if there is no such choice.
    """
    check_instructions(choice)
    with module.context:
        module.operation.attributes[INSTRUCTIONS] = ir.StringAttr.get(choice)


@register("select-loops")
def run(module: ir.Module) -> None:
    """Rewrite the products of the module's kernel.

    Raises:
        UnsupportedOperation: if loops were asked for and a product cannot be one.
    """
    attributes = module.operation.attributes
    choice = ir.StringAttr(attributes[INSTRUCTIONS]).value if INSTRUCTIONS in attributes else PRIMITIVE
    if choice == PRIMITIVE:
        return
    run_passes(module, ["loop-invariant-code-motion,cse"])  # so that sizes known before a loop are seen to be
    kernel, config = kernel_of(module), get_hardware(module)
    products = [op for op in operations_named(module, "linalg.matmul") if _is_product(op)]
    if choice == LOOPS and not products:
        raise UnsupportedOperation("loop instructions were asked for, but the kernel has no product for them.", location_of(kernel))
    stages = ir.IntegerAttr(attributes[NUM_STAGES]).value if NUM_STAGES in attributes else 1
    shared = read_and_written(kernel)
    done: set[ir.Operation] = set()
    for product in products:
        if product in done:
            continue
        place, reasons = location_of(product), []
        for instruction, form in (("loop_ws", _Loop), ("loop_conv_ws", ConvolutionLoop)):
            try:
                loop = form(kernel, config, product.opview, shared)
                if choice == AUTO:
                    loop.check_cost(stages)
                done.update(loop.products)
                otherwise = loop.replace()
            except NoLoop as reason:
                reasons.append((instruction, reason))
                continue
            _record_rows(module, loop.rows)
            but = f", but primitive instructions where {otherwise}" if otherwise else ""
            add_remark(module, place, f"this product becomes {instruction}{but}")
            break
        else:
            _stays(module, choice, place, reasons)


def _stays(module: ir.Module, choice: str, place: SourceLocation | None, reasons: list[tuple[str, NoLoop]]) -> None:
    """A product that no loop instruction can do.

    Raises:
        UnsupportedOperation: if loops were asked for.
    """
    first = reasons[0][1]
    if choice == LOOPS:
        text = "; ".join(f"{name} cannot do this product: {reason}" for name, reason in reasons)
        raise UnsupportedOperation(f"{text}.", first.place or place)
    add_remark(module, place, f"this product stays in primitive instructions: {'; '.join(str(r) for _, r in reasons)}")


def _is_product(op: ir.Operation) -> bool:
    elements = [str(ir.MemRefType(v.type).element_type) for v in op.operands if isinstance(v.type, ir.MemRefType)]
    return HOST not in op.attributes and elements == ["i8", "i8", "i32"]


def _record_rows(module: ir.Module, rows: dict[str, int]) -> None:
    """Remember the most rows that a loop of the module needs, for the placement of the other blocks."""
    attributes = module.operation.attributes
    before = {n.name: ir.IntegerAttr(n.attr).value for n in ir.DictAttr(attributes[LOOP_ROWS])} if LOOP_ROWS in attributes else {}
    with module.context:
        i64 = ir.IntegerType.get_signless(64)
        most = {memory: ir.IntegerAttr.get(i64, max(n, before.get(memory, 0))) for memory, n in rows.items()}
        attributes[LOOP_ROWS] = ir.DictAttr.get(most)


class _Loop:
    """One sum of products, checked and then replaced."""

    def __init__(self, kernel: func.FuncOp, config: GemminiConfig, product: ir.OpView, shared: set[ir.Value]) -> None:
        self.config = config
        self.place = location_of(product)
        self.sum = summed_product(product)
        self.products = [product.operation]
        products = [op for op in nested(kernel.operation) if op.name == "linalg.matmul"]
        self.modes = any(any(transposes(op)) or OUTPUT_STATIONARY in op.attributes for op in products)
        tiles = tuple(-(-size // config.dim) for size in self.sum.shape)
        self.tiles = tiles
        i, j, k = tiles
        self.rows = {SCRATCHPAD: 2 * (i * k + k * j) * config.dim, ACCUMULATOR: 2 * i * j * config.dim}
        for memory, there in ((SCRATCHPAD, config.scratchpad_rows), (ACCUMULATOR, config.accumulator_rows)):
            if self.rows[memory] > there:
                raise NoLoop(f"its blocks take {self.rows[memory] // 2} rows of the {memory}, and a loop has {there // 2}", self.place)
        depth = self.sum.shape[2]
        if depth % config.dim:
            reason = f"the depth of its blocks, {depth}, is no multiple of {config.dim} (DIM), and hardware would read beyond the right one"
            raise NoLoop(reason, self.place)
        other = something_else_lives(self.sum, kernel)
        if other is not None:
            where = location_of(other)
            what = f"the block of line {where.line}" if where else "another block"
            raise NoLoop(f"{what} stays on the chip meanwhile, and a loop chooses its rows itself", self.place)
        for side in self._sides():
            if root(side.view) in shared:
                raise NoLoop("the kernel also loads from an array that it stores to, which takes fences between them", self.place)

    def _sides(self) -> Iterator[InDram]:
        yield from (self.sum.a, self.sum.b, self.sum.result)
        if self.sum.initial:
            yield self.sum.initial

    def check_cost(self, stages: int) -> None:
        """Refuse where primitive instructions are better."""
        if stages > 1:
            raise NoLoop(f"its loads run ahead (num_stages={stages})", self.place)
        _, n, k = self.sum.shape
        i, j, depth = self.tiles
        width = self.config.max_block_columns
        commands = i * -(-k // width) + depth * -(-n // width) + 2 * i * j * depth
        if commands <= LOOP_COMMANDS:
            raise NoLoop(f"its blocks take {commands} instructions, and a loop {LOOP_COMMANDS}", self.place)

    # Conditions -----------------------------------------------------------------------------------------------------------------

    def replace(self) -> str:
        """Write the loop instructions; says when, if ever, what was there before still runs."""
        after = self.sum.operations[-1]
        self.e = Emitter(self.config)
        with ir.InsertionPoint.after(after), self.sum.product.location:
            conditions = self._conditions()
            if any(c is False for c in conditions):
                raise NoLoop("it is empty, or its depth is no multiple of DIM", self.place)
            unknown = [c for c in conditions if c is not True]
            if not unknown:
                self._write()
                for op in reversed(self.sum.operations):
                    op.erase()
                return ""
            both = unknown[0]
            for c in unknown[1:]:
                both = arith.AndIOp(both, c).result
            branch = scf.IfOp(both, has_else=True)
            with ir.InsertionPoint(branch.then_block):
                self._write()
                scf.YieldOp([])
            with ir.InsertionPoint(branch.else_block):
                last = scf.YieldOp([])
            for op in self.sum.operations:
                op.move_before(last.operation)
        return "its depth is no multiple of DIM, or nothing is to be done"

    def _conditions(self) -> list[Condition]:
        """All of this must hold. What can only be refused is refused before anything is written."""
        s = self.sum
        found: list[Condition] = []
        if s.loop:
            lower, upper = (self.e.i64(v) for v in list(s.loop.operation.operands)[:2])
            found.append(compare(self.e, arith.CmpIPredicate.slt, lower, upper))
        rows, columns = s.result.sizes
        (have_rows, a_depth), (b_depth, have_columns) = s.sides
        depths = [Depth(self.e, s, depth) for depth in (a_depth, b_depth)]
        found += [self._covers(have_rows, rows, 0), self._covers(have_columns, columns, 1)]
        if s.initial:
            found += [self._covers(have, need, axis) for axis, (have, need) in enumerate(zip(s.initial.sizes, s.result.sizes, strict=True))]
        found += [compare(self.e, arith.CmpIPredicate.sgt, self._outside(q), 0) for q in (rows, columns)]
        for depth in depths:
            found += depth.conditions(self.config.dim)
        return found

    def _covers(self, have: Quantity, need: Quantity, axis: int) -> Condition:
        """Whether as many rows or columns are loaded as are stored: the loop would read what lies beyond, where there should be zeros."""
        if have == self.sum.shape[axis] or (not isinstance(have, int) and not isinstance(need, int) and have == need):
            return True
        return compare(self.e, arith.CmpIPredicate.sge, self._outside(have), self._outside(need))

    def _outside(self, q: Quantity) -> Quantity:
        """A size as i64; it must not change while the sum is made."""
        if isinstance(q, int):
            return q
        if self.sum.loop and is_inside(q, body_of(self.sum.loop)):
            raise NoLoop("the rows or columns of its blocks change from one step to the next", self.place)
        return self.e.i64(q)

    # Instructions ---------------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """The loop, or the one step without a loop, at the current insertion point. The array's transposers are as others expect after."""
        swap_a, swap_b = self.sum.transposed
        if self.modes:
            self.e.config_ex(transpose_a=swap_a, transpose_b=swap_b)
        self._steps()
        if swap_a or swap_b:
            self.e.config_ex()

    def _steps(self) -> None:
        s = self.sum
        if s.loop is None:
            self._step({}, True, True)
            return
        lower, upper, by, *initial = list(s.loop.operation.operands)
        new = scf.ForOp(lower, upper, by, initial)
        body = body_of(s.loop)
        values: dict[ir.Value, ir.Value] = dict(zip(body.arguments, new.body.arguments, strict=True))
        with ir.InsertionPoint(new.body):
            for op in list(body.operations)[:-1]:
                if is_pure(op.operation) and not any(_is_view_on_chip(v) for v in op.operation.operands):
                    copy = op.operation.clone(ip=ir.InsertionPoint.current)
                    for i, operand in enumerate(copy.operands):
                        copy.operands[i] = values.get(operand, operand)
                    values.update(zip(op.operation.results, copy.operation.results, strict=True))
            here = new.induction_variable
            first = arith.CmpIOp(arith.CmpIPredicate.eq, here, lower).result
            last = arith.CmpIOp(arith.CmpIPredicate.sge, arith.AddIOp(here, by).result, upper).result
            self._step(values, first, last)
            leaving = body.operations[len(body.operations) - 1].operation.operands
            scf.YieldOp([values.get(v, v) for v in leaving])

    def _step(self, values: dict[ir.Value, ir.Value], first: Condition, last: Condition) -> None:
        """All instructions of one step; `values` says what stands for the values of the old loop's body."""
        e, s, dim = self.e, self.sum, self.config.dim

        def quantity(q: Quantity) -> Quantity:
            return q if isinstance(q, int) else e.i64(values.get(q, q))

        def address(side: InDram) -> Quantity:
            pointer = memref.ExtractAlignedPointerAsIndexOp(values.get(side.view, side.view)).result
            base = arith.IndexCastOp(ir.IntegerType.get_signless(64), pointer).result
            return e.add(base, e.mul(quantity(side.offset), side.element_bytes))

        def load(load_id: int, side: InDram) -> Quantity:
            stride = quantity(side.row_stride)
            e.config_ld(load_id=load_id, dram_stride=e.mul(stride, side.element_bytes), block_stride=dim)
            return stride

        def only_if(condition: Condition, value: Quantity) -> Quantity:
            return value if condition is True else e.select(condition, value, 0)

        rows, columns = (quantity(q) for q in s.result.sizes)
        (_, a_depth), (b_depth, _) = s.sides
        depth = e.min(quantity(a_depth), quantity(b_depth))
        i, j = (e.div(e.add(q, dim - 1), dim) for q in (rows, columns))
        a_stride, b_stride = load(0, s.a), load(1, s.b)
        d_stride = load(2, s.initial) if s.initial else 0
        c_stride = quantity(s.result.row_stride)
        scale, relu = requantisation(e, s.requantise)
        e.config_st(dram_stride=e.mul(c_stride, s.result.element_bytes), acc_scale=scale, activation=int(relu))
        pads = {"pad_i": e.sub(e.mul(i, dim), rows), "pad_j": e.sub(e.mul(j, dim), columns), "pad_k": 0}
        e.instruction("loop_ws_config_bounds", **pads, i=i, j=j, k=e.div(depth, dim))
        e.instruction("loop_ws_config_addrs_ab", a=address(s.a), b=address(s.b))
        d = only_if(first, address(s.initial)) if s.initial else 0
        e.instruction("loop_ws_config_addrs_dc", d=d, c=only_if(last, address(s.result)))
        e.instruction("loop_ws_config_strides_ab", a_stride=a_stride, b_stride=b_stride)
        e.instruction("loop_ws_config_strides_dc", d_stride=d_stride, c_stride=c_stride)

        swap_a, swap_b = s.transposed
        flags = {"full_c": int(s.requantise is None), "activation": int(relu), "transpose_a": int(swap_a), "transpose_b": int(swap_b)}

        def loop(accumulate: bool) -> None:
            e.instruction("loop_ws", ex_accumulate=int(accumulate), **flags)

        if s.initial or first is True:
            loop(accumulate=s.initial is not None)
        else:
            branch = scf.IfOp(first, has_else=True)
            for block, accumulate in ((branch.then_block, False), (branch.else_block, True)):
                with ir.InsertionPoint(block):
                    loop(accumulate)
                    scf.YieldOp([])


def _is_view_on_chip(value: ir.Value) -> bool:
    return isinstance(value.type, (ir.MemRefType, ir.UnrankedMemRefType)) and is_on_chip(value)
