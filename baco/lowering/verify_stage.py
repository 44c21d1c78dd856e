"""verify-stage: refuse a program that breaks a rule which the passes after this point, or the hardware, take for granted.

Accepted:
    "instgem.config_ld"(%stride, %one, %by) {load_id = 0 : i64, ...}
    "instgem.mvin"(%dram, %row0, %c16, %c16)
    "instgem.preload"(%row0, %c16, %c16, %acc, %c16, %c16)
    "instgem.compute_preloaded"(...)

Refused: the mvin without the config_ld on some path to it (the register then holds what chance left there), the preload without its
compute, rows behind the end of a memory (the hardware wraps around), rows read that nothing wrote.

It checks what it finds. On placed blocks: each block has its rows, inside its memory, and shares none with another unless both are in the
pool of kept blocks; a ring's slot that is being filled is never the one in use, nor the one in use that of the iteration before. On
instructions: every move and compute is configured on every path; each preload has its compute; rows lie inside the memories; what is read
was written. Rows that only a run knows are left to the simulator. A fault is an error of the compiler or of whoever wrote the IR by hand,
and named with the line of the program it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from baco import isa
from baco.dialects.mlir import ir
from baco.dialects.pooling import Pooling
from baco.hardware import GemminiConfig
from baco.lowering.errors import CompilationError, SourceLocation
from baco.lowering.intervals import Body, CannotAnalyse, Evaluator, Interval, Node, Reader, Undecided, Unknown, number
from baco.lowering.passes import get_hardware, kernel_of, location_of, register
from baco.lowering.place_in_memories import ACCUMULATOR, KEPT, MEMORY, NO_ROWS, POOL, ROW, SCRATCHPAD, SLOTS, allocations, rows_of


class BrokenInvariant(CompilationError):
    """A stage of the program is not what the stages after it rely on."""


@register("verify-stage")
def run(module: ir.Module) -> None:
    """Check the module's kernel.

    Raises:
        BrokenInvariant: at the first rule that it breaks.
    """
    kernel, config = kernel_of(module), get_hardware(module)
    _check_places(list(allocations(kernel)), config)
    program = Reader(kernel.entry_block)
    _check_slots(program)
    _Instructions(program, config).run()


def _capacity(memory: str, config: GemminiConfig) -> int:
    return config.accumulator_rows if memory == ACCUMULATOR else config.scratchpad_rows


# Placed blocks -----------------------------------------------------------------------------------------------------------------------


def _check_places(blocks: list[ir.OpView], config: GemminiConfig) -> None:
    taken: dict[str, list[tuple[int, int, bool]]] = {SCRATCHPAD: [], ACCUMULATOR: []}
    for op in blocks:
        attributes = op.operation.attributes
        memory = ir.StringAttr(attributes[MEMORY]).value if MEMORY in attributes else None
        if memory in NO_ROWS:
            continue
        if memory is None or ROW not in attributes:
            raise BrokenInvariant("a block has no place in a memory.", location_of(op))
        first = ir.IntegerAttr(attributes[ROW]).value
        last = first + rows_of(op, config.dim) - 1
        if first < 0 or last >= _capacity(memory, config):
            reason = f"a block takes {memory} rows {first} to {last}, but the {memory} has rows 0 to {_capacity(memory, config) - 1}."
            raise BrokenInvariant(reason, location_of(op))
        pooled = POOL in attributes
        for other in taken[memory]:
            if first <= other[1] and other[0] <= last and not (pooled and other[2]):
                reason = f"a block takes {memory} rows {first} to {last}, of which another has {other[0]} to {other[1]}."
                raise BrokenInvariant(reason, location_of(op))
        taken[memory].append((first, last, pooled))


def _check_slots(program: Reader) -> None:
    """Follow the slots of each loop around once: no iteration may fill the slot that it uses, nor use the one before it used."""
    loops = {n.regions[0].index: n for body in program.bodies for n in body.nodes if n.name == "scf.for"}
    for loop in loops.values():
        inside = loop.regions[0]
        views = [v for v in _ring_views(program, inside) if v.operands[1] in inside.arguments]
        fills = {v.operands[1]: v for v in views if program.defined_in[v.results[0]] is not inside}
        uses = {v.operands[1]: v for v in views if program.defined_in[v.results[0]] is inside}
        if uses:
            _follow(program, loops, loop, fills, uses)


def _ring_views(program: Reader, body: Body) -> list[Node]:
    """The views of rings' slots in a body and the branches in it, whose slot a run-time value names."""
    found = []
    for node in body.nodes:
        origin = program.made_by[node.operands[0]] if node.name == "memref.subview" else None
        if origin and SLOTS in origin[0].attributes and KEPT not in origin[0].attributes and len(node.operands) > 1:
            found.append(node)
        if node.name == "scf.if":
            for region in node.regions:
                found += _ring_views(program, region)
    return found


def _first(program: Reader, loops: dict[int, Node], loop: Node, argument: int) -> int | None:
    """The number that a carried value has in the first iteration of all; None unless loops around this one only hand it through."""
    position = loop.regions[0].arguments.index(argument) - 1
    initial = loop.operands[3 + position]
    origin = program.made_by[initial]
    if origin:
        return origin[0].attributes.get("value") if origin[0].name == "arith.constant" else None
    around = loops.get(program.defined_in[initial].index)
    if around is None or initial == around.regions[0].arguments[0]:
        return None
    handed_on = around.regions[0].nodes[-1].operands[around.regions[0].arguments.index(initial) - 1]
    if program.made_by[handed_on] != (loop, position):
        return None
    return _first(program, loops, around, initial)


def _follow(program: Reader, loops: dict[int, Node], loop: Node, fills: dict[int, Node], uses: dict[int, Node]) -> None:
    inside = loop.regions[0]
    evaluate = Evaluator(program)
    slots = {argument: program.made_by[view.operands[0]][0].attributes[SLOTS] for argument, view in {**fills, **uses}.items()}
    first = {argument: _first(program, loops, loop, argument) for argument in slots}
    if None in first.values():
        return
    now: dict[int, Interval | Unknown] = {argument: number(value) for argument, value in first.items()}
    following = dict(zip(inside.arguments[1:], inside.nodes[-1].operands, strict=True))
    for _ in range(max(slots.values())):
        evaluate.frames = [{} for _ in program.bodies]
        evaluate.frames[inside.index] = dict.fromkeys(inside.arguments, Unknown("not a slot")) | now
        for argument, view in {**fills, **uses}.items():
            if not (0 <= now[argument].low < slots[argument]):
                raise BrokenInvariant(f"a block has {slots[argument]} slots, of which this is none.", SourceLocation.of(view.location))
        for argument, view in fills.items():
            if any(now[argument] == now[used] for used in uses):
                reason = "a load that runs ahead fills the slot that its own iteration uses."
                raise BrokenInvariant(reason, SourceLocation.of(view.location))
        after = {argument: evaluate(following[argument]) for argument in slots}
        if not all(isinstance(slot, Interval) for slot in after.values()):
            return
        for argument, view in uses.items():
            if slots[argument] > 1 and after[argument] == now[argument]:
                raise BrokenInvariant("an iteration uses the slot that the one before it used.", SourceLocation.of(view.location))
        now = after


# Instructions ------------------------------------------------------------------------------------------------------------------------


@dataclass
class _State:
    """What holds on every path to here: which configurations are set, and whether a preload waits for its compute."""

    configured: frozenset[str] = frozenset()
    pending: bool = False
    store: Node | None = None
    execute: Node | None = None
    """The config_st and config_ex in force, where they are the same on every path."""


@dataclass(frozen=True)
class _Rows:
    """Rows that an instruction may touch. `exact`: the first and the last are sure to be touched."""

    memory: str
    first: int
    last: int
    exact: bool


_LOADS = {"mvin": 0, "mvin2": 1, "mvin3": 2}
_NEEDS = {
    "mvout": "config_st",
    "preload": "config_ex",
    "compute_preloaded": "config_ex",
    "compute_accumulated": "config_ex",
    **{name: f"config_ld {i}" for name, i in _LOADS.items()},
}
_IN_FORCE = {"store": "instgem.config_st", "execute": "instgem.config_ex"}
"""Configurations that say how later instructions are meant, by the field of the state that keeps them."""
_LOOPS = ("instgem.loop_ws", "instgem.loop_conv_ws")
"""Instructions that choose rows of their own."""
_STEADY = ("arith.addi", "arith.muli", "arith.index_cast", "arith.constant")
"""Operations on loops' variables whose extremes are reached where the variables' are."""


class _Instructions:
    def __init__(self, program: Reader, config: GemminiConfig) -> None:
        self.program = program
        self.config = config
        self.value = Evaluator(program)
        self.written: set[tuple[str, int]] = set()
        self.anything_written = False
        """Whether rows that only a run knows may have been written."""
        self.block_stride: dict[int, int | None] = {}
        self.strides: dict[str, int | None] = {}
        """Rows between consecutive rows of A and C, where every config_ex agrees on them."""

    def run(self) -> None:
        self._frame(self.program.entry, {a: Unknown("an argument") for a in self.program.entry.arguments})
        for node in (n for body in self.program.bodies for n in body.nodes if n.name == "instgem.config_ex"):
            for operand in ("a", "c"):
                stride = self._known(self._fields(node)[f"{operand}_stride"])
                self.strides[operand] = stride if self.strides.get(operand, stride) == stride else None
        state = self._body(self.program.entry, _State(), sure=True)
        if state.pending:
            raise BrokenInvariant("a preload has no compute after it.", SourceLocation.of(self.program.entry.nodes[-1].location))

    def _frame(self, body: Body, values: dict[int, Interval | Unknown]) -> None:
        self.value.frames[body.index] = values

    def _body(self, body: Body, state: _State, *, sure: bool) -> _State:
        """Check a body that starts in `state`; `sure` if it runs whenever its loops do. Returns the state at its end."""
        for node in body.nodes:
            if node.matters:
                state = self._node(node, state, sure=sure)
        return state

    def _node(self, node: Node, state: _State, *, sure: bool) -> _State:
        if node.name in ("scf.for", "scf.while"):  # an iteration before may have set them
            state = replace(state, **{field: None for field, name in _IN_FORCE.items() if _sets(node, name)})
        if node.name == "scf.for":
            self._loop_frame(node)
            self._note_writes(node.regions[0])
            self._leaves_as_found(node, state, self._body(node.regions[0], state, sure=sure))
            return state
        if node.name == "scf.if":
            ends = []
            for region in node.regions:
                self._frame(region, {})
                ends.append(self._body(region, state, sure=False))
            ends += [state] * (2 - len(ends))
            if ends[0].pending != ends[1].pending:
                raise BrokenInvariant("a preload has its compute on one branch only.", SourceLocation.of(node.location))
            store, execute = (getattr(ends[0], f) if getattr(ends[0], f) is getattr(ends[1], f) else None for f in _IN_FORCE)
            return _State(ends[0].configured & ends[1].configured, ends[0].pending, store, execute)
        if node.name == "scf.while":
            for region in node.regions:
                self._frame(region, {a: Unknown("carried") for a in region.arguments})
                self._note_writes(region)
                self._leaves_as_found(node, state, self._body(region, state, sure=False))
            return state
        return self._instruction(node, state, sure=sure)

    @staticmethod
    def _leaves_as_found(loop: Node, before: _State, after: _State) -> None:
        if before.pending or after.pending:
            raise BrokenInvariant("a preload and its compute are on two sides of a loop.", SourceLocation.of(loop.location))

    def _loop_frame(self, loop: Node) -> None:
        body = loop.regions[0]
        unknown = Unknown("a loop's value")
        self._frame(body, dict.fromkeys(body.arguments, unknown))
        try:
            trips, lower, step = self.value.trips(loop), self.value.number(loop.operands[0]), self.value.number(loop.operands[2])
        except (CannotAnalyse, Undecided):
            return
        if trips:
            self.value.frames[body.index][body.arguments[0]] = Interval(lower, lower + (trips - 1) * step, 1)

    def _instruction(self, node: Node, state: _State, *, sure: bool) -> _State:
        name, place = node.name.removeprefix("instgem."), SourceLocation.of(node.location)
        if name.startswith("config_"):
            key = f"{name} {node.attributes['load_id']}" if name == "config_ld" else name
            if name == "config_ld":
                self.block_stride[node.attributes["load_id"]] = self._known(node.operands[0])
            in_force = {field: node for field, config in _IN_FORCE.items() if node.name == config}
            return replace(state, configured=state.configured | {key}, **in_force)
        if name in _NEEDS and _NEEDS[name] not in state.configured:
            raise BrokenInvariant(f"{name} runs before {_NEEDS[name]} on some path to it.", place)
        self.anything_written |= node.name in _LOOPS
        for operand, reads in _OPERANDS.get(name, ()):
            rows = self._rows(node, operand, sure, state)
            if rows:
                self._check_rows(name, operand, rows, reads, place)
            if not reads:
                self._note(rows, node, operand)
        if name == "preload":
            if state.pending:
                raise BrokenInvariant("a preload has no compute before the next.", place)
            return replace(state, pending=True)
        if name.startswith("compute_"):
            if not state.pending:
                raise BrokenInvariant("a compute has no preload of its own.", place)
            return replace(state, pending=False)
        return state

    # Rows -------------------------------------------------------------------------------------------------------------------------

    def _check_rows(self, name: str, operand: str, rows: _Rows, reads: bool, place: SourceLocation | None) -> None:
        limit = _capacity(rows.memory, self.config)
        if rows.first >= limit or (rows.exact and rows.last >= limit):
            reason = f"{name} takes {rows.memory} rows up to {rows.last}, but the {rows.memory} has rows 0 to {limit - 1}."
            raise BrokenInvariant(reason, place)
        if reads and rows.exact and not self.anything_written:
            for row in (rows.first, rows.last):
                if (rows.memory, row) not in self.written:
                    raise BrokenInvariant(f"{name} reads {rows.memory} row {row} as {operand}, which nothing has written.", place)

    def _note_writes(self, body: Body) -> None:
        """What a loop writes, an iteration before may have written."""
        for node in body.nodes:
            if node.name == "scf.for":
                self._loop_frame(node)
            for region in node.regions:
                if node.name != "scf.for":
                    self._frame(region, {a: Unknown("carried") for a in region.arguments})
                if node.matters:
                    self._note_writes(region)
            if node.name == "instgem.config_ld":
                self.block_stride[node.attributes["load_id"]] = self._known(node.operands[0])
            self.anything_written |= node.name in _LOOPS
            for operand, reads in _OPERANDS.get(node.name.removeprefix("instgem."), ()):
                if not reads:
                    self._note(self._rows(node, operand, False, _State()), node, operand)

    def _note(self, rows: _Rows | None, node: Node, operand: str) -> None:
        if rows:
            limit = _capacity(rows.memory, self.config)
            self.written.update((rows.memory, r) for r in range(rows.first, min(rows.last + 1, limit)))
        elif self._known(self._fields(node)[operand]) != isa.GARBAGE:
            self.anything_written = True

    @staticmethod
    def _fields(node: Node) -> dict[str, int]:
        names = [f.name for f in isa.BY_NAME[node.name.removeprefix("instgem.")].fields if f.name not in node.attributes]
        return dict(zip(names, node.operands, strict=True))

    def _known(self, value: int) -> int | None:
        try:
            return self.value.number(value)
        except (CannotAnalyse, Undecided):
            return None

    def _range(self, value: int) -> Interval | None:
        try:
            found = self.value(value)
        except (CannotAnalyse, Undecided):
            return None
        return found if isinstance(found, Interval) else None

    def _rows(self, node: Node, operand: str, sure: bool, state: _State) -> _Rows | None:
        """The rows of an operand, as far as they are known without a run."""
        fields, name = self._fields(node), node.name.removeprefix("instgem.")
        address, count, columns = (self._range(fields[n]) for n in (operand, f"{operand}_rows", f"{operand}_cols"))
        if name == "mvout":
            if state.store is None:
                return None
            pooling = Pooling.from_fields(state.store.attributes)
            if pooling:  # its configuration says which rows it reads
                count = None if pooling.last_pixel is None else number(pooling.last_pixel + 1)
        elif operand in ("a", "bd"):
            if state.execute is None:
                return None
            count = columns if _is_transposed(name, operand, state.execute) else count
        if address is None or count is None or columns is None or address.low == isa.GARBAGE:
            return None
        memory = ACCUMULATOR if address.low & isa.ACCUMULATOR_BIT else SCRATCHPAD
        flags = address.low & ~isa.ROW_MASK
        if address.high & ~isa.ROW_MASK != flags:
            return None
        stride = self.strides.get(operand, 1)
        if stride is None:
            return None
        last = address.high - flags + (count.high - 1) * stride
        blocks = -(-columns.high // self.config.dim)
        if blocks > 1:
            stride = self.config.dim if name == "mvout" else self.block_stride.get(_LOADS.get(name, -1))
            if stride is None:
                return None
            last += (blocks - 1) * stride
        exact = sure and count.single and columns.single and self._is_steady(fields[operand])
        return _Rows(memory, address.low - flags, last, exact)

    def _is_steady(self, value: int) -> bool:
        origin = self.program.made_by[value]
        if origin is None:
            return isinstance(self.value(value), Interval)
        return origin[0].name in _STEADY and all(self._is_steady(v) for v in origin[0].operands)


def _sets(node: Node, config: str) -> bool:
    """Whether a configuration is inside a loop or branch."""
    return any(inner.name == config or _sets(inner, config) for region in node.regions for inner in region.nodes)


def _is_transposed(name: str, operand: str, execute: Node) -> bool:
    """Whether an operand of an instruction is read by columns, so that its rows count its columns in memory."""
    weights = "preload" if execute.attributes["dataflow"] == 1 else "compute"
    if operand == "bd":
        return bool(name.startswith(weights) and execute.attributes["transpose_b"])
    return bool(operand == "a" and execute.attributes["transpose_a"])


_OPERANDS: dict[str, tuple[tuple[str, bool], ...]] = {
    **dict.fromkeys(_LOADS, (("local", False),)),
    "mvout": (("local", True),),
    "preload": (("bd", True), ("c", False)),
    "compute_preloaded": (("a", True), ("bd", True)),
    "compute_accumulated": (("a", True), ("bd", True)),
}
"""The local operands of each instruction, and whether it reads them."""
