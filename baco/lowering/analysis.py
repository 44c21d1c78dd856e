"""What a compiled kernel does and needs, worked out from its instructions without running it.

    special = matmul.warmup(...)
    special.counters((8, 8), M=512, N=512, K=512, ...)     # what the simulator would count
    special.requirements                                   # rows of each memory, and the least hardware that has them

The kernel's instgem stage is walked with ranges for loops (:mod:`baco.lowering.intervals`); each instruction counts by the simulator's
rules (:mod:`baco.sim.counters`), so the figures are equal to those of a run, all but the instructions of the host core. A kernel whose
control flow depends on what the host core computes, or on the contents of an array, is refused with the line that it depends on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from baco import isa
from baco.dialects.mlir import context, func, ir
from baco.dialects.pooling import Pooling
from baco.hardware import GemminiConfig
from baco.lowering.compiled import Compiled
from baco.lowering.errors import CompilationError, SourceLocation
from baco.lowering.intervals import Body, CannotAnalyse, Evaluator, Interval, NeedsOrder, Node, Reader, Undecided, Unknown, Value, number
from baco.lowering.loop_counts import (
    BYTES_READ,
    BYTES_WRITTEN,
    LOOP_CONV_WS_CONFIGS,
    LOOP_WS_CONFIGS,
    POINTERS,
    UNROLLED,
    Fields,
    NotCounted,
    loop_conv_ws,
    loop_ws,
)
from baco.lowering.passes import kernel_of
from baco.lowering.place_in_memories import ACCUMULATOR, ROWS, SCRATCHPAD
from baco.lowering.rebuild import argument_names
from baco.lowering.structure_pointers import GRID_ARGUMENTS
from baco.sim.counters import Counters
from baco.traffic import PLACES, Traffic

_AXES = 3


@dataclass(frozen=True)
class Requirements:
    """The rows of each memory that a kernel needs, counted from row 0, and the smallest memories (all else equal) that have them.

    What a program keeps resident beyond that, because there is room (:mod:`baco.lowering.keep_resident`), is not needed: compiled for less,
    the kernel loads it again.
    """

    scratchpad_rows: int
    accumulator_rows: int
    config: GemminiConfig


def requirements(compiled: Compiled) -> Requirements:
    """What a compiled program needs.

    Raises:
        CompilationError: if its text does not say, being from another compiler.
    """
    with context():
        module = ir.Module.parse(compiled.asm["instgem"])
        attributes = module.operation.attributes
        if ROWS not in attributes:
            raise CompilationError(f"the program does not say which rows it uses: its module has no {ROWS}.")
        rows = {named.name: ir.IntegerAttr(named.attr).value for named in ir.DictAttr(attributes[ROWS])}
    config = compiled.config
    # Banks hold whole tiles of DIM rows, those of the scratchpad a power of two of them.
    scratchpad = _tiles(rows[SCRATCHPAD], config.dim * config.scratchpad_banks)
    scratchpad = 1 << (scratchpad - 1).bit_length()
    accumulator = _tiles(rows[ACCUMULATOR], config.dim * config.accumulator_banks)
    unit = config.dim * config.dim
    least = replace(
        config,
        scratchpad_bytes=scratchpad * config.scratchpad_banks * unit,
        accumulator_bytes=accumulator * config.accumulator_banks * unit * 4,
    )
    return Requirements(rows[SCRATCHPAD], rows[ACCUMULATOR], least)


def _tiles(rows: int, unit: int) -> int:
    return max(1, -(-rows // unit))


def count(compiled: Compiled, grid: int | Sequence[int], scalars: Mapping[str, int | float]) -> Counters:
    """What a launch of a compiled program would count.

    Raises:
        CannotAnalyse: if that depends on more than the grid and the numbers among its arguments.
    """
    sizes = (grid,) if isinstance(grid, int) else tuple(grid)
    sizes += (1,) * (_AXES - len(sizes))
    with context():
        module = ir.Module.parse(compiled.asm["instgem"])  # a name of its own, because the function does not keep its module alive
        walk = _Walk(kernel_of(module), sizes, scalars, compiled.config)
        counts = walk.grid()
    counts["flush"] += 1
    return Counters(
        instructions={i.name: counts[i.name] for i in isa.INSTRUCTIONS if counts[i.name]},
        unrolled={i.name: counts[UNROLLED, i.name] for i in isa.INSTRUCTIONS if counts[UNROLLED, i.name]},
        traffic=Traffic(
            counts["macs"],
            {place: counts["reads", *place] for place in PLACES},
            {place: counts["writes", *place] for place in PLACES},
        ),
        dram_bytes_read=counts[BYTES_READ],
        dram_bytes_written=counts[BYTES_WRITTEN],
    )


@dataclass(frozen=True)
class _Operand:
    """A local operand: its flags (or the garbage address), columns and rows."""

    flags: int
    columns: int
    rows: int

    @property
    def real(self) -> bool:
        return self.flags != isa.GARBAGE

    @property
    def words(self) -> int:
        return self.columns * self.rows


class _Walk:
    """Counts instructions, body by body."""

    def __init__(self, kernel: func.FuncOp, sizes: Sequence[int], scalars: Mapping[str, int | float], config: GemminiConfig) -> None:
        self.config = config
        self.program = Reader(kernel.entry_block)
        self.value = Evaluator(self.program)
        self.sizes = sizes
        self.loops: dict[int, int] = {}
        """A bit for each loop, by the index of its body; the axes of the grid have the lowest."""
        self.shrink: dict[int, int] = {}
        self.preloaded: tuple[_Operand, _Operand] | None = None
        self.pooling: Pooling | None = None
        self.weight_stationary = True
        self.loop_configs: dict[str, Fields] = {}
        """The last fields of each configuration of a loop instruction."""
        frame: dict[int, Value] = {}
        own = argument_names(kernel)
        for name, argument in zip(own, self.program.entry.arguments, strict=True):
            frame[argument] = Unknown(f"the argument {name!r} is not given")
            if isinstance(scalars.get(name), int):
                frame[argument] = number(int(scalars[name]))
        places = dict(zip(own, self.program.entry.arguments, strict=True))
        self.ids, self.nums = ([places[n] for n in names] for names in (GRID_ARGUMENTS[:_AXES], GRID_ARGUMENTS[_AXES:]))
        frame.update({n: number(size) for n, size in zip(self.nums, sizes, strict=True)})
        self.arguments = frame

    # Loops ------------------------------------------------------------------------------------------------------------------------

    def grid(self, axis: int = 0, ids: tuple[Interval, ...] = ()) -> Counter:
        """Every program instance: the axes of the grid are loops like any other."""
        if axis == _AXES:
            self.value.frames[self.program.entry.index] = {**self.arguments, **dict(zip(self.ids, ids, strict=True))}
            return self._body(self.program.entry)
        bit = 1 << axis

        def some(first: int, last: int) -> Counter:
            return self.grid(axis + 1, (*ids, Interval(first, last, 0 if first == last else bit)))

        return _over_range(0, self.sizes[axis] - 1, bit, some)

    def _body(self, body: Body) -> Counter:
        total: Counter = Counter()
        for node in body.nodes:
            if node.matters:
                total.update(self._node(node))
        return total

    def _node(self, node: Node) -> Counter:
        if node.name == "scf.for":
            return self._for(node)
        if node.name == "scf.if":
            taken = 0 if self.value.number(node.operands[0]) else 1
            return self._enter(node.regions[taken], {}) if taken < len(node.regions) else Counter()
        name = node.name.removeprefix("instgem.")
        if name == "fence":
            return Counter()
        counter = _COUNTERS.get(name)
        if counter is None:
            what = "loop" if node.name.startswith("scf.") else "instruction"
            raise CannotAnalyse(f"the {what} {node.name} is not analysed; run the kernel to count it.", SourceLocation.of(node.location))
        counts = counter(self, node)
        if name in isa.BY_NAME:
            counts[name] += 1
        return counts

    def _enter(self, body: Body, frame: dict[int, Value]) -> Counter:
        before = self.value.frames[body.index]
        self.value.frames[body.index] = frame
        try:
            return self._body(body)
        finally:
            self.value.frames[body.index] = before

    def _for(self, node: Node) -> Counter:
        trips, body = self.value.trips(node), node.regions[0]
        if trips == 0:
            return Counter()
        bit = 1 << (_AXES + self.loops.setdefault(body.index, len(self.loops)))
        lower, step = self.value(node.operands[0]), self.value(node.operands[2])

        def some(first: int, last: int) -> Counter:
            over = Interval(first, last, 0 if first == last else bit)
            frame: dict[int, Value] = {body.arguments[0]: _advanced(lower, step, over)}
            for position, argument in enumerate(body.arguments[1:]):
                frame[argument] = self._carried(node, position, over, body.index)
            return self._enter(body, frame)

        try:
            return _over_range(0, trips - 1, bit, some)
        except NeedsOrder as need:
            if need.loop != body.index:
                raise
            return self._in_order(node, trips)

    def _carried(self, node: Node, position: int, over: Interval, loop: int) -> Callable[[], Value]:
        """A carried value, worked out when it is asked for."""

        def value() -> Value:
            step, initial = self.value.step_of(node, position), self.value(node.operands[3 + position])
            if over.high == 0 or isinstance(initial, Unknown):
                return initial
            if step is None:
                raise NeedsOrder(loop)
            return step if isinstance(step, Unknown) else _advanced(initial, step, over)

        return value

    def _in_order(self, node: Node, trips: int) -> Counter:
        """One iteration after the other, each starting from what the one before left."""
        body, total = node.regions[0], Counter()
        lower, step = (self.value.number(node.operands[i]) for i in (0, 2))
        carried = [self.value(v) for v in node.operands[3:]]
        before = self.value.frames[body.index]
        try:
            for i in range(trips):
                frame = {body.arguments[0]: number(lower + i * step), **dict(zip(body.arguments[1:], carried, strict=True))}
                self.value.frames[body.index] = frame
                total.update(self._body(body))
                carried = [self.value(v) for v in body.nodes[-1].operands]
        finally:
            self.value.frames[body.index] = before
        return total

    # Operands ---------------------------------------------------------------------------------------------------------------------

    def fields(self, node: Node) -> dict[str, int]:
        """The value behind each operand of an instruction."""
        names = [f.name for f in isa.BY_NAME[node.name.removeprefix("instgem.")].fields if f.name not in node.attributes]
        return dict(zip(names, node.operands, strict=True))

    def operand(self, fields: dict[str, int], name: str) -> _Operand:
        """A local operand of an instruction."""
        return _Operand(self.flags(fields[name]), *(self.value.number(fields[f"{name}_{part}"]) for part in ("cols", "rows")))

    def flags(self, value: int) -> int:
        """The bits of a local address above its row. Rows are small, so they come from the constants it is made of."""
        origin = self.program.made_by[value]
        node = origin and origin[0]
        if node is None:
            return 0
        if node.name == "arith.constant":
            constant = node.attributes["value"]
            return constant if constant == isa.GARBAGE else constant & ~isa.ROW_MASK
        if node.name in ("arith.addi", "arith.ori"):
            return self.flags(node.operands[0]) | self.flags(node.operands[1])
        if node.name == "arith.select":
            options = [self.flags(v) for v in node.operands[1:]]
            return options[0] if options[0] == options[1] else options[0 if self.value.number(node.operands[0]) else 1]
        return 0

    def loop_field(self, name: str, value: int) -> int:
        """A field of a loop's configuration; of an address, 0 if it is null and 1 otherwise."""
        return int(not self.is_null(value)) if name in POINTERS else self.value.number(value)

    def is_null(self, value: int) -> bool:
        """Whether a DRAM address is 0: computed ones point into arrays."""
        origin = self.program.made_by[value]
        node = origin and origin[0]
        if node is not None and node.name == "arith.select":
            return self.is_null(node.operands[1 if self.value.number(node.operands[0]) else 2])
        return node is not None and node.name == "arith.constant" and node.attributes["value"] == 0


def _advanced(start: Value, step: Value, over: Interval) -> Value:
    """`start` plus as many steps as there were iterations."""
    for value in (start, step):
        if isinstance(value, Unknown):
            return value
    moves = [step.low * over.low, step.low * over.high, step.high * over.low, step.high * over.high]
    return Interval(start.low + min(moves), start.high + max(moves), start.loops | step.loops | over.loops)


def _over_range(first: int, last: int, bit: int, some: Callable[[int, int], Counter]) -> Counter:
    """Count iterations `first` to `last`: all at once if they do the same, otherwise in parts. The ends differ most often."""
    total: Counter = Counter()
    parts = [(first, last)]
    while parts:
        low, high = parts.pop()
        try:
            counts = some(low, high)
        except Undecided as question:
            if low == high or not question.loops & bit:
                raise
            cut = low if low == first else high - 1 if high == last else (low + high) // 2
            parts += [(cut + 1, high), (low, cut)]
            continue
        for name, n in counts.items():
            total[name] += n * (high - low + 1)
    return total


# What each instruction counts --------------------------------------------------------------------------------------------------------


def _config_ex(walk: _Walk, node: Node) -> Counter:
    walk.weight_stationary = node.attributes["dataflow"] == 1
    return Counter()


def _config_ld(walk: _Walk, node: Node) -> Counter:
    if node.attributes["pixel_repeats"] > 1:
        raise CannotAnalyse("pixel repeats are not analysed; run the kernel to count it.", SourceLocation.of(node.location))
    walk.shrink[node.attributes["load_id"]] = node.attributes["shrink"]
    return Counter()


def _config_st(walk: _Walk, node: Node) -> Counter:
    walk.pooling = Pooling.from_fields(node.attributes)
    return Counter()


def _mvin(load_id: int) -> Callable[[_Walk, Node], Counter]:
    tensor = "weights" if load_id == 1 else "inputs"

    def rule(walk: _Walk, node: Node) -> Counter:
        fields = walk.fields(node)
        to = walk.operand(fields, "local")
        read = 0 if walk.is_null(fields["dram"]) else to.words
        if not to.flags & isa.ACCUMULATOR_BIT:
            counts = {("reads", "dram", tensor): read, ("writes", "scratchpad", tensor): to.words, BYTES_READ: read}
            return Counter(counts)
        size = 1 if walk.shrink.get(load_id) else 4
        counts = {("reads", "dram", "outputs"): read, ("writes", "accumulator", "outputs"): to.words, BYTES_READ: read * size}
        if to.flags & isa.ACCUMULATE_BIT:
            counts["reads", "accumulator", "outputs"] = to.words
        return Counter(counts)

    return rule


def _mvout(walk: _Walk, node: Node) -> Counter:
    source = walk.operand(walk.fields(node), "local")
    if source.flags >> isa.NORM_COMMAND_LOW & 7:
        raise CannotAnalyse("normalised stores are not analysed; run the kernel to count it.", SourceLocation.of(node.location))
    accumulator = source.flags & isa.ACCUMULATOR_BIT
    size = 4 if accumulator and source.flags & isa.FULL_WIDTH_BIT else 1
    place = ("accumulator", "outputs") if accumulator else ("scratchpad", "inputs")
    if walk.pooling:
        read, written = walk.pooling.pixels_read, walk.pooling.out_rows * walk.pooling.out_columns
        words = written * source.columns
        return Counter({("reads", *place): read * source.columns, ("writes", "dram", "outputs"): words, BYTES_WRITTEN: words})
    return Counter({("reads", *place): source.words, ("writes", "dram", "outputs"): source.words, BYTES_WRITTEN: source.words * size})


def _preload(walk: _Walk, node: Node) -> Counter:
    fields = walk.fields(node)
    walk.preloaded = walk.operand(fields, "bd"), walk.operand(fields, "c")
    return Counter()


def _compute(preloaded: bool) -> Callable[[_Walk, Node], Counter]:
    def rule(walk: _Walk, node: Node) -> Counter:
        if walk.preloaded is None:
            raise CannotAnalyse("this compute has no preload before it.", SourceLocation.of(node.location))
        weights, c = walk.preloaded
        fields = walk.fields(node)
        a, bias = walk.operand(fields, "a"), walk.operand(fields, "bd")
        walk.preloaded = None
        counts: Counter = Counter()
        counts["reads", "scratchpad", "inputs"] += a.words * a.real
        if not walk.weight_stationary:  # what was preloaded are sums, and the second operand is B
            counts["reads", "scratchpad", "inputs"] += weights.words * (preloaded and weights.real)
            if a.real and bias.real:
                counts["macs"] += a.words * bias.columns
                counts["reads", "scratchpad", "weights"] += bias.words
        else:
            counts["reads", "scratchpad", "inputs"] += bias.words * bias.real
            if preloaded and weights.real:
                counts["reads", "scratchpad", "weights"] += weights.words
                counts["writes", "registers", "weights"] += weights.words
            if c.real:
                counts["macs"] += a.words * c.columns
                counts["reads", "registers", "weights"] += a.words * c.columns
        if c.real:
            accumulator = c.flags & isa.ACCUMULATOR_BIT
            counts[("writes", "accumulator", "outputs") if accumulator else ("writes", "scratchpad", "inputs")] += c.words
            counts["reads", "accumulator", "outputs"] += c.words if accumulator and c.flags & isa.ACCUMULATE_BIT else 0
        return counts

    return rule


def _loop_config(walk: _Walk, node: Node) -> Counter:
    """Remember the fields, of addresses only whether they are null, and of strides nothing: they do not change what is counted."""
    fields = {name: walk.loop_field(name, value) for name, value in walk.fields(node).items() if not name.endswith("_stride")}
    walk.loop_configs[node.name.removeprefix("instgem.")] = {**node.attributes, **fields}
    return Counter()


def _loop(names: Sequence[str], rule: Callable[[Fields, GemminiConfig], Counter]) -> Callable[[_Walk, Node], Counter]:
    def counter(walk: _Walk, node: Node) -> Counter:
        fields = {name: value for config in names for name, value in walk.loop_configs.get(config, {}).items()}
        try:
            return rule({**fields, **node.attributes}, walk.config)
        except NotCounted as what:
            raise CannotAnalyse(f"{what} is not analysed; run the kernel to count it.", SourceLocation.of(node.location)) from None
        except KeyError:
            raise CannotAnalyse("this loop has no configuration before it.", SourceLocation.of(node.location)) from None

    return counter


_COUNTERS: dict[str, Callable[[_Walk, Node], Counter]] = {
    "config_ex": _config_ex,
    "config_ld": _config_ld,
    "config_st": _config_st,
    "mvin": _mvin(0),
    "mvin2": _mvin(1),
    "mvin3": _mvin(2),
    "mvout": _mvout,
    "preload": _preload,
    "compute_preloaded": _compute(True),
    "compute_accumulated": _compute(False),
    **dict.fromkeys((*LOOP_WS_CONFIGS, *LOOP_CONV_WS_CONFIGS), _loop_config),
    "loop_ws": _loop(LOOP_WS_CONFIGS, loop_ws),
    "loop_conv_ws": _loop(LOOP_CONV_WS_CONFIGS, loop_conv_ws),
}
