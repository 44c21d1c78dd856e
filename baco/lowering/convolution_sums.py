"""Finds the sums of products in a kernel that are a tile of a convolution, and what is known about its geometry.

What is looked for, bufferised; any of the three loops may be missing, and there may be several output rows, each with a sum of its own:

    fill of each accumulator block with zeros, or a load of one row of int32 values, the same for all pixels, into all its rows
    scf.for %kh = 0 to KH { scf.for %kw = 0 to KW { scf.for %c = 0 to C step BLOCK_C {
      load of the weights of this position of the filter and these channels
      scf.if (the input row is inside the image) {                       // for each output row
        load of a row of pixels, zeros where a pixel is outside the image       // the scf.if may also stand around inner loops
        linalg.matmul ins(pixels, weights) outs(accumulator of the row) } } } }
    requantise and store each accumulator block

The sum is a convolution where addresses, and the borders of what is loaded, move by the same amounts from one position of the filter to the
next and from one output row to the next. That is seen from the coefficients of these expressions (:mod:`baco.lowering.polynomials`).
"""

from __future__ import annotations

from itertools import pairwise
from math import gcd

from baco.dialects.mlir import DYNAMIC, ir
from baco.lowering.block_loads import body_of, nested
from baco.lowering.blocks_to_linalg import OUTPUT_STATIONARY
from baco.lowering.convolution_tiles import Border, ConvolutionSum, Pixels, known_or_same, recipe, uncast, window, without
from baco.lowering.emit import Quantity
from baco.lowering.passes import location_of
from baco.lowering.polynomials import NotPolynomial, Polynomial, Quotient, bounds
from baco.lowering.rebuild import known
from baco.lowering.summed_products import (
    InDram,
    NoLoop,
    SumFinder,
    block_of,
    fills_with_zeros,
    is_alloc,
    is_pure,
    once,
    position,
    top_in,
    users_of,
    views_of,
)
from baco.lowering.tile_to_dim import is_on_chip, root, transposes

_AT_LEAST = {2: (1, 0, -1), 3: (1, 0, 0), 4: (0, 1, -1), 5: (0, 1, 0)}
"""Signed comparisons (slt, sle, sgt, sge) as `operand - other operand + number >= 0`."""


def convolution_sum(product: ir.OpView) -> ConvolutionSum:
    """The tile of a convolution that a product belongs to.

    Raises:
        NoLoop: if it is not of the form above.
    """
    finder = _Finder(product.operation)
    try:
        return finder.find()
    except NotPolynomial:
        raise finder.refusal("its addresses or borders do not move by fixed steps") from None


class _Row(SumFinder):
    """The sum of one output row."""

    def __init__(self, product: ir.Operation, loop: ir.OpView, block: ir.Block) -> None:
        self.product, self.loop, self.block = product, loop, block
        self.body = product.block
        self.a, self.b, self.c = product.operands


class _Finder:
    def __init__(self, product: ir.Operation) -> None:
        self.product = product
        self.loops: list[ir.OpView] = []
        """Innermost first."""
        self.branches: list[ir.Operation] = []
        """What stands between them, where a row outside the image skips whole loops."""

    def refusal(self, reason: str, op: ir.Operation | None = None) -> NoLoop:
        return NoLoop(reason, location_of(op or self.product))

    def find(self) -> ConvolutionSum:
        if OUTPUT_STATIONARY in self.product.attributes or any(transposes(self.product)):
            raise self.refusal("it is no plain weight-stationary product")
        if not all(is_alloc(v) for v in self.product.operands):
            raise self.refusal("it works on parts of blocks")
        guard = self.product.block.owner
        self.body = guard.operation.block if guard.operation.name == "scf.if" else self.product.block
        self.block = block_of(self.product.operands[2])
        self._nest()
        weights = self.product.operands[1]
        inside = [o for op in self.body.operations for o in (op.operation, *nested(op.operation))]
        self.products = [o for o in once_in_order(inside) if o.name == "linalg.matmul"]
        if any(p.operands[1] != weights for p in self.products):
            raise self.refusal("the loop has products with different right operands")
        outer = self.loops[-1]
        rows = [_Row(p, outer, self.block) for p in self.products]
        pixels, guards = [], []
        mine = set(self.products)
        for row in rows:
            found, steps = self._pixels(row.a, row.product)
            pixels.append(found)
            guards.append(self._guard(row.product))
            mine.update(steps)
        filters, weight_depth, steps = self._weights(weights)
        mine.update(steps)
        self._nothing_else(mine)
        return self._assemble(rows, pixels, guards, filters, weight_depth)

    def _nest(self) -> None:
        """The loops around the product, up to the block that its sum is in."""
        block = self.body
        while block != self.block:
            op = block.owner
            if op.operation.name == "scf.if" and self.loops:
                self.branches.append(op.operation)
                block = op.operation.block
                continue
            if op.operation.name != "scf.for":
                raise self.refusal("its sum runs through a branch or a loop without a fixed count")
            if len(op.operation.operands) > 3:
                raise self.refusal("a loop of its sum carries values; a convolution's addresses must be computed from the loops' counters")
            self.loops.append(op.operation.opview)
            block = op.operation.block
        if not self.loops:
            raise self.refusal("no loop runs over a filter or its channels")

    def _nothing_else(self, mine: set[ir.Operation]) -> None:
        for op in nested(self.loops[-1].operation):
            if op.parent.name.startswith("linalg."):
                continue
            structure = op.name in ("scf.for", "scf.yield", "memref.alloc") or (op.name == "scf.if" and not op.results)
            if op not in mine and not structure and not is_pure(op) and not self._fills(op):
                raise self.refusal("other work stands between its loads and its products", op)

    def _fills(self, op: ir.Operation) -> bool:
        return op.name == "linalg.fill" and any(fills_with_zeros(op, b) for p in self.products for b in list(p.operands)[:2])

    # Loads ------------------------------------------------------------------------------------------------------------------------

    def _copied(self, block: ir.Value) -> tuple[ir.Operation, list[ir.Operation]]:
        """The one copy from DRAM into a block of zeros, and what writes the zeros."""
        users = [u for u in users_of(block) if u not in self.products]
        scope = block_of(block)
        steps = [top_in(u, scope) for u in users]
        copies = [u for u in users if u.name == "memref.copy" and root(u.operands[1]) == block and u.block == scope]
        if len(copies) != 1 or is_on_chip(copies[0].operands[0]) or any(s is None for s in steps):
            raise self.refusal("one of its blocks is not loaded from DRAM by one load", block.owner.operation)
        for op in once(steps):
            if op != copies[0] and (not fills_with_zeros(op, block) or position(op) > position(copies[0])):
                raise self.refusal("something else than one load, with zeros for what lies outside, writes one of its blocks", op)
        return copies[0], once(steps)

    def _pixels(self, block: ir.Value, product: ir.Operation) -> tuple[Pixels, list[ir.Operation]]:
        if block_of(block) not in (product.block, self.body):
            raise self.refusal("one of its blocks is not loaded right before it, and the instruction loads both", block.owner.operation)
        copy, steps = self._copied(block)
        far, near = copy.operands
        (first, column), sizes = window(far)
        if window(near) != ((first, column), sizes) or known_or_same(column) != 0:
            raise self.refusal("a row of pixels is not moved to where it belongs in its block", copy)
        source = self._matrix(far, sizes, copy)
        length = ir.MemRefType(block.type).shape[0]
        lead = [] if known_or_same(first) == 0 else bounds(first, length)
        end = [] if sizes[0] == length else self._end(sizes[0], first, length)
        return Pixels(source, Polynomial.of(source.offset), lead, end, sizes[1]), steps

    def _end(self, count: Quantity, first: Quantity, length: int) -> list[Quotient]:
        """How many rows there are up to the last that is loaded, from how many there are after the first."""
        if known_or_same(first) == 0:
            return bounds(count, length)
        value = count
        while not isinstance(value, int) and not isinstance(value.owner, ir.Block):
            name, operands = value.owner.name, list(value.owner.operands)
            if name == "arith.maxsi" and 0 in (known(v) for v in operands):
                value = next(v for v in operands if known(v) != 0)
            elif name == "arith.index_cast":
                value = operands[0]
            else:
                break
        if isinstance(value, int) or isinstance(value.owner, ir.Block) or value.owner.name != "arith.subi":
            raise NotPolynomial
        end, start = value.owner.operands
        if start != uncast(first):
            raise NotPolynomial
        return bounds(end, length)

    def _weights(self, block: ir.Value) -> tuple[InDram, Quantity, list[ir.Operation]]:
        if block_of(block) not in (self.body, self.product.block):
            raise self.refusal("the weights are not loaded in the innermost loop", block.owner.operation)
        copy, steps = self._copied(block)
        offsets, sizes = window(copy.operands[0])
        if any(known_or_same(o) != 0 for o in offsets) or window(copy.operands[1]) != (offsets, sizes):
            raise self.refusal("a part of a block that does not start at its first row and column is moved", copy)
        return self._matrix(copy.operands[0], sizes, copy), sizes[0], steps

    def _matrix(self, view: ir.Value, sizes: tuple[Quantity, ...], copy: ir.Operation) -> InDram:
        """The array of rows in DRAM that a view is a window of."""
        base = view.owner.operands[0] if not isinstance(view.owner, ir.Block) and view.owner.name == "memref.subview" else view
        if isinstance(base.owner, ir.Block) or base.owner.name != "memref.reinterpret_cast":
            raise self.refusal("a block is not moved from or to an array of rows in DRAM", copy)
        dynamic = list(base.owner.operands)[1:]
        offset = next(iter(ir.DenseI64ArrayAttr(base.owner.attributes["static_offsets"])))
        offset = dynamic.pop(0) if offset == DYNAMIC else offset
        strides = [dynamic.pop(0) if s == DYNAMIC else s for s in ir.DenseI64ArrayAttr(base.owner.attributes["static_strides"])]
        if len(strides) != 2 or strides[1] != 1:
            raise self.refusal("the elements of a row are not next to each other in DRAM", copy)
        return InDram(base, offset, strides[0], (sizes[0], sizes[1]))

    def _guard(self, product: ir.Operation) -> list[Polynomial]:
        """What must not be negative for an output row to see this row of the image."""
        owner = product.block.owner.operation
        own = [owner] if owner.name == "scf.if" else []
        return [condition for branch in (*own, *self.branches) for condition in self._asked(branch)]

    def _asked(self, owner: ir.Operation) -> list[Polynomial]:
        """The conditions of a branch, each as what must not be negative."""
        if len(owner.regions[1].blocks) and len(owner.regions[1].blocks[0].operations) > 1:
            raise self.refusal("its product is in a branch with another way", owner)
        conditions, found = [owner.operands[0]], []
        while conditions:
            value = conditions.pop()
            name = "" if isinstance(value.owner, ir.Block) else value.owner.name
            if name == "arith.andi":
                conditions += list(value.owner.operands)
                continue
            predicate = ir.IntegerAttr(value.owner.attributes["predicate"]).value if name == "arith.cmpi" else None
            if predicate not in _AT_LEAST:
                raise self.refusal("its product is in a branch that asks for more than whether a row is inside the image", owner)
            more, less, plus = _AT_LEAST[predicate]
            operands = list(value.owner.operands)
            found.append(Polynomial.of(operands[more]) - Polynomial.of(operands[less]) + plus)
        return found

    # Geometry ---------------------------------------------------------------------------------------------------------------------

    def _assemble(
        self, rows: list[_Row], pixels: list[Pixels], guards: list[list[Polynomial]], filters: InDram, weight_depth: Quantity
    ) -> ConvolutionSum:
        first = pixels[0]
        shape = (*ir.MemRefType(rows[0].c.type).shape, ir.MemRefType(rows[0].a.type).shape[1])
        pitch = Polynomial.of(first.source.row_stride)
        if len({root(p.source.view) for p in pixels}) > 1:
            raise self.refusal("its output rows see different arrays")
        if any(p.lead != first.lead or p.end != first.end or Polynomial.of(p.source.row_stride) != pitch for p in pixels):
            raise self.refusal("its output rows see different columns of the image")
        channels, taps = self._loops_by_kind(first.offset, shape[2])
        kh, kw = self._axes(taps, first.offset, pitch)
        row_step = self._step([p.offset for p in pixels])
        kh_step = first.offset.coefficient(kh[0]) if kh else None
        kw_step = first.offset.coefficient(kw[0]) if kw else None
        edges = self._edges(guards, kh)
        stride, dilation = self._stride(first, pitch, kw, kw_step, row_step, kh_step, edges)
        columns, limits, pixel = self._columns(first, pitch, kw, kw_step, stride, dilation)
        line = self._line(row_step, kh_step, stride, dilation)
        rows_border, always = self._rows(edges, stride if row_step else 0, dilation if kh else 0)
        zero = dict.fromkeys((*(kh or ())[:1], *(kw or ())[:1]), 0)
        weight_offset = Polynomial.of(filters.offset)
        weight_channels = self._weight_channels(weight_offset, Polynomial.of(filters.row_stride), kh, kw, channels)
        depth = self._depth((first.depth, weight_depth), shape[2], channels)
        results, biases, requantise, operations, line_out = self._results(rows)
        found = ConvolutionSum(
            products=self.products,
            channels=channels,
            taps=(kh[1] if kh else 1, kw[1] if kw else 1),
            counters=tuple(zero),
            stride=stride,
            dilation=dilation,
            pixel=pixel,
            line=line,
            rows=rows_border,
            columns=columns,
            always=always,
            input=first.source,
            input_offset=without(first.offset, zero),
            weights=filters,
            weight_offset=without(weight_offset, zero),
            weight_channels=weight_channels,
            depth=depth,
            limits=limits,
            bias=biases,
            requantise=requantise,
            results=results,
            result_line=line_out,
            operations=operations,
            blocks=[v for row in rows for v in (row.a, row.b, row.c)] + [row.out for row in rows],
            shape=shape,
        )
        self._known_outside(found)
        return found

    def _loops_by_kind(self, offset: Polynomial, depth: int) -> tuple[ir.OpView | None, list[tuple[ir.Value, int]]]:
        """The loop over channels, and counter and count of the loops over the filter, innermost first."""
        channels, taps = None, []
        for loop in self.loops:
            lower, upper, step = (known(v) for v in loop.operation.operands)
            counter = body_of(loop).arguments[0]
            if step == depth and offset.coefficient(counter).number == 1 and channels is None:
                channels = loop
            elif lower == 0 and step == 1 and upper is not None and upper > 0:
                taps.append((counter, upper))
            else:
                raise self.refusal(
                    "a loop of its sum runs neither over its filter, from 0 to a number, nor over its channels", loop.operation
                )
        return channels, taps

    def _axes(
        self, taps: list[tuple[ir.Value, int]], offset: Polynomial, pitch: Polynomial
    ) -> tuple[tuple[ir.Value, int] | None, tuple[ir.Value, int] | None]:
        """Which loop runs over the filter's rows, and which over its columns: those move along a row of pixels."""
        if len(pitch.terms) != 1:
            raise NotPolynomial
        (unit,) = pitch.terms
        kh = kw = None
        for tap in taps:
            along = set(offset.coefficient(tap[0]).terms) == {unit}
            if along and kw is None:
                kw = tap
            elif kh is None:
                kh = tap
            else:
                raise self.refusal("its sum has more loops than a filter has dimensions")
        return kh, kw

    def _step(self, values: list[Polynomial]) -> Polynomial | None:
        """By how much each value is more than the one before; None for a single value."""
        steps = [b - a for a, b in pairwise(values)]
        if any(s != steps[0] for s in steps):
            raise self.refusal("its output rows are not at one distance")
        return steps[0] if steps else None

    def _edges(self, guards: list[list[Polynomial]], kh: tuple[ir.Value, int] | None) -> list[tuple[Polynomial, int, int]]:
        """Each condition on a row: its value for the first, and its steps along the filter and from one output row to the next."""
        if any(len(g) != len(guards[0]) for g in guards):
            raise self.refusal("its output rows are in different branches")
        edges = []
        for conditions in zip(*guards, strict=True):
            by_row = self._step(list(conditions))
            by_tap = conditions[0].coefficient(kh[0]).number if kh else 0
            if by_tap is None or (by_row is not None and by_row.number is None):
                raise NotPolynomial
            start = conditions[0].without(kh[0]) if kh else conditions[0]
            edges.append((start, by_tap, by_row.number if by_row else 0))
        return edges

    def _stride(self, first, pitch, kw, kw_step, row_step, kh_step, edges) -> tuple[int, int]:  # noqa: ANN001
        """Stride and dilation, which are the same in both directions."""
        (along,) = pitch.terms.values()
        divisors = {q.below for q in (*first.lead, *first.end) if q.below > 1}
        if kw:
            (tap,) = kw_step.terms.values()
            stride = next(iter(divisors)) if divisors else along // gcd(along, tap)
            if along < 0 or tap < 0 or along % stride or tap % (along // stride):
                raise NotPolynomial
            return stride, tap // (along // stride)
        by_tap, by_row = (next((abs(e[i]) for e in edges if e[i]), None) for i in (1, 2))
        if row_step and kh_step:
            down, tap = (gcd(*step.terms.values()) for step in (row_step, kh_step))
            return by_row or down // gcd(down, tap), by_tap or tap // gcd(down, tap)
        return 1, (by_tap or 1) if kh_step else 1  # one filter position: the pixels between those that it sees are not loaded

    def _columns(self, first, pitch, kw, kw_step, stride, dilation) -> tuple[Border, tuple[Polynomial, ...], Polynomial]:  # noqa: ANN001
        """The borders on the left and right, what limits the columns besides, and the elements between columns."""
        pixel = pitch.over(Polynomial({(): stride}))
        if kw is None:
            if len(first.lead) > 1:
                raise NotPolynomial
            return Border(first.lead[0] if first.lead else None, tuple(first.end), stride), (), pixel
        if kw_step != pixel * dilation:
            raise NotPolynomial
        moving = []
        limits = []
        for quotient in (*first.lead, *first.end):
            step = quotient.above.coefficient(kw[0]).number
            if step == 0 and quotient in first.end and quotient.below == 1:
                limits.append(quotient.above)
            elif step == -dilation and quotient.below in (1, stride) and (quotient.below == stride or stride == 1):
                moving.append(quotient)
            else:
                raise NotPolynomial
        before = [Quotient(q.above.without(kw[0])) for q in first.lead]
        room = tuple(Quotient(q.above.without(kw[0])) for q in first.end if q in moving)
        if len(before) > 1:
            raise NotPolynomial
        return Border(before[0] if before else None, room), tuple(limits), pixel

    def _line(self, row_step: Polynomial | None, kh_step: Polynomial | None, stride: int, dilation: int) -> Polynomial | None:
        """The elements between rows of the image."""
        lines = [step.over(Polynomial({(): by})) for step, by in ((row_step, stride), (kh_step, dilation)) if step is not None]
        if any(found != lines[0] for found in lines):
            raise self.refusal("its filter's rows and its output rows move by lines of different lengths")
        return lines[0] if lines else None

    def _rows(self, edges: list[tuple[Polynomial, int, int]], stride: int, dilation: int) -> tuple[Border, tuple[Polynomial, ...]]:
        """The borders above and below; and conditions on the whole tile."""
        before, room, always = [], [], []
        for start, by_tap, by_row in edges:
            if (by_tap, by_row) == (0, 0) and (stride, dilation) == (0, 0):
                always.append(start)
                continue
            # Output rows may be several lines of the image apart that count as one.
            unit = 1 if dilation else abs(by_row) // stride
            if unit and (by_tap, by_row) == (dilation, unit * stride):
                before.append(Quotient(start * -1, unit))
            elif unit and (by_tap, by_row) == (-dilation, -unit * stride):
                room.append(Quotient(start + 1, unit))
            else:
                raise self.refusal("the rows that are inside the image do not move with the filter")
        if len(before) > 1:
            raise NotPolynomial
        return Border(before[0] if before else None, tuple(room)), tuple(always)

    def _weight_channels(self, offset, row, kh, kw, channels) -> Polynomial:  # noqa: ANN001
        """Input channels of the filter, from the distance of its columns; its rows must follow each other."""
        if channels and offset.coefficient(body_of(channels).arguments[0]) != row:
            raise self.refusal("its weights do not move by a row for each channel")
        column = offset.coefficient(kw[0]) if kw else None
        if kh:
            line = offset.coefficient(kh[0])
            column = column or line
            if line != column * (kw[1] if kw else 1):
                raise self.refusal("the rows of its filter do not follow each other in memory")
        if column and any(n < 0 for n in column.terms.values()):
            raise self.refusal("its filter runs backwards through its weights")
        return column.over(row) if column else Polynomial({(): 1})

    def _depth(self, sizes: tuple[Quantity, Quantity], largest: int, channels: ir.OpView | None) -> tuple[Polynomial, ...]:
        """What the channels of a step are the least of; in a loop each must be what is left of it, so that it is never 0."""
        found = {}
        for size in sizes:
            for q in bounds(size, largest):
                found[str(sorted((str(k), v) for k, v in q.above.terms.items()))] = q
        if not found:
            return ()
        if channels is None:
            if any(q.below != 1 for q in found.values()):
                raise NotPolynomial
            return tuple(q.above for q in found.values())
        left = Polynomial.of(channels.operation.operands[1]) - Polynomial.of(body_of(channels).arguments[0])
        if any(q.below != 1 or q.above != left for q in found.values()):
            raise self.refusal("the channels of its blocks are not what is left of the loop over channels")
        return (left,)

    # The end ----------------------------------------------------------------------------------------------------------------------

    def _results(self, rows: list[_Row]) -> tuple[list[InDram], list[InDram], ir.OpView, list[ir.Operation], Polynomial]:
        """Where the sums go, what they start from, how they are requantised, and all that the tile consists of."""
        results, initials, requantises, mine = [], [], [], {self.loops[-1].operation}
        for row in rows:
            initial, starting = row.start()
            requantise, result, leaving = row.end()
            if requantise is None:
                raise self.refusal("its sums are stored as int32, and loop_conv_ws stores int8")
            mine.update((*starting, *leaving))
            results.append(result)
            initials.append(initial)
            requantises.append(requantise)
            row.out = requantise.operation.operands[1]
        if any(str(recipe(r)) != str(recipe(requantises[0])) for r in requantises):
            raise self.refusal("its output rows are requantised differently")
        step = self._step([Polynomial.of(r.offset) for r in results])
        pitches = [Polynomial.of(r.row_stride) for r in results]
        if (
            len({root(r.view) for r in results}) > 1
            or any(p != pitches[0] for p in pitches)
            or any(r.sizes[1] != results[0].sizes[1] for r in results)
        ):
            raise self.refusal("its output rows are not alike")
        operations = [op.operation for op in self.block.operations]
        positions = [i for i, op in enumerate(operations) if op in mine]
        if len(positions) != len(mine):
            raise self.refusal("its sums are started or stored in another block of the program")
        for op in operations[positions[0] : positions[-1] + 1]:
            if op not in mine and op.name != "memref.alloc" and not is_pure(op):
                raise self.refusal("other work stands between its loads and the store of its result", op)
        views = {v for row in rows for block in (row.a, row.b, row.c, row.out) for v in views_of(block)}
        return results, self._bias(initials), requantises[0], [op for op in operations if op in mine or op in views], step or Polynomial({})

    def _bias(self, initials: list[InDram | None]) -> list[InDram]:
        """The rows that the sums start from; none if it is zeros."""
        if not any(initials):
            return []
        if None in initials or any(known_or_same(i.row_stride) != 0 for i in initials):
            raise self.refusal("its sums start from other values than one bias for each channel, the same for all pixels")
        if len({root(i.view) for i in initials}) > 1 or any(Polynomial.of(i.offset) != Polynomial.of(initials[0].offset) for i in initials):
            raise self.refusal("its output rows start from different biases")
        return initials

    def _known_outside(self, found: ConvolutionSum) -> None:
        """Whatever is computed for the loop must be known before it."""
        borders = [q.above for b in (found.rows, found.columns) for q in (*([b.before] if b.before else []), *b.room)]
        line = [found.line] if found.line else []
        fixed = [found.pixel, *line, *borders, *found.always, *found.limits, found.weight_channels]
        moving = [found.input_offset, found.weight_offset, *found.depth]
        if found.channel is not None:
            moving = [p.without(found.channel) for p in moving]
        inside = set(nested(self.loops[-1].operation))
        for value in {v for p in (*fixed, *moving) for v in p.values}:
            owner = value.owner
            if (isinstance(owner, ir.Block) and owner.owner.operation in (loop.operation for loop in self.loops)) or (
                not isinstance(owner, ir.Block) and owner.operation in inside
            ):
                raise self.refusal("its addresses or borders depend on a value that its loops compute")


def once_in_order(operations: list[ir.Operation]) -> list[ir.Operation]:
    """Operations without repetitions."""
    return list(dict.fromkeys(operations))
