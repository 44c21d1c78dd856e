"""Building instgem operations: numbers known now stay numbers, the rest becomes i64 arithmetic."""

from __future__ import annotations

from baco import isa
from baco.dialects import instgem
from baco.dialects.mlir import arith, ir
from baco.dialects.pooling import Pooling
from baco.hardware import GemminiConfig
from baco.lowering.errors import SourceLocation, UnsupportedOperation
from baco.lowering.rebuild import known

Quantity = ir.Value | int
"""A run-time i64 or a number known at compile time."""
Local = tuple[Quantity, Quantity, Quantity]
"""A local operand: address, columns, rows."""


class Arithmetic:
    """i64 arithmetic at the current insertion point and location, with numbers folded."""

    def __init__(self) -> None:
        self._i64 = ir.IntegerType.get_signless(64)

    def value(self, q: Quantity) -> ir.Value:
        """A quantity as an i64 value."""
        return arith.ConstantOp(self._i64, wrapped(q)).result if isinstance(q, int) else q

    def i64(self, value: ir.Value) -> Quantity:
        """An index or i64 value as a quantity."""
        number = known(value)
        if number is not None:
            return number
        return value if value.type == self._i64 else arith.IndexCastOp(self._i64, value).result

    def add(self, a: Quantity, b: Quantity) -> Quantity:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if 0 in (x for x in (a, b) if isinstance(x, int)):
            return a if b == 0 else b
        return arith.AddIOp(self.value(a), self.value(b)).result

    def mul(self, a: Quantity, b: Quantity) -> Quantity:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        for number, other in ((a, b), (b, a)):
            if isinstance(number, int) and number in (0, 1):
                return other if number else 0
        return arith.MulIOp(self.value(a), self.value(b)).result

    def div(self, a: Quantity, b: int) -> Quantity:
        """`a` (not negative) divided by the constant `b`, rounded down."""
        return a // b if isinstance(a, int) else arith.DivUIOp(a, self.value(b)).result

    def sub(self, a: Quantity, b: Quantity) -> Quantity:
        return a - b if isinstance(a, int) and isinstance(b, int) else arith.SubIOp(self.value(a), self.value(b)).result

    def max(self, a: Quantity, b: Quantity) -> Quantity:
        return max(a, b) if isinstance(a, int) and isinstance(b, int) else arith.MaxSIOp(self.value(a), self.value(b)).result

    def ceil_div(self, a: Quantity, b: int) -> Quantity:
        """`a` divided by the positive constant `b`, rounded up."""
        if b == 1:
            return a
        return -(-a // b) if isinstance(a, int) else arith.CeilDivSIOp(a, self.value(b)).result

    def index(self, q: Quantity) -> ir.Value:
        """A quantity as an index value."""
        if isinstance(q, int):
            return arith.ConstantOp(ir.IndexType.get(), q).result
        return arith.IndexCastOp(ir.IndexType.get(), q).result

    def min(self, a: Quantity, b: Quantity) -> Quantity:
        return min(a, b) if isinstance(a, int) and isinstance(b, int) else arith.MinSIOp(self.value(a), self.value(b)).result

    def select(self, condition: ir.Value, a: Quantity, b: Quantity) -> ir.Value:
        return arith.SelectOp(condition, self.value(a), self.value(b)).result

    def float_bits(self, value: ir.Value) -> Quantity:
        """The bit pattern of an f32 value."""
        if not isinstance(value.owner, ir.Block) and value.owner.name == "arith.constant":
            return isa.float_bits(ir.FloatAttr(value.owner.attributes["value"]).value)
        bits = arith.BitcastOp(ir.IntegerType.get_signless(32), value).result
        return arith.ExtUIOp(self._i64, bits).result


def wrapped(number: int) -> int:
    """A number as 64 bits hold it: what is computed here wraps as what the program computes does."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class Emitter(Arithmetic):
    """Emits instructions as well."""

    def __init__(self, config: GemminiConfig) -> None:
        super().__init__()
        self.config = config

    def instruction(self, name: str, **fields: Quantity) -> None:
        """Any instruction, by the field names of the instruction table; fields left out are 0."""
        if fields.get("full_c"):
            self.full_width_bit()
        operands = {}
        for f in isa.BY_NAME[name].fields:
            q = fields.pop(f.name, 0)
            operands[f.name] = self.value(q) if instgem.is_operand(f) else ir.IntegerAttr.get(self._i64, q)
        if fields:
            raise isa.IsaError(f"{name} has no field {next(iter(fields))!r}.")
        instgem.OPERATIONS[name](**operands)

    def full_width_bit(self) -> int:
        """The flag of a store of 32-bit rows of the accumulator.

        Raises:
            UnsupportedOperation: if this hardware cannot do that.
        """
        if not self.config.full_width_stores:
            reason = "this hardware stores int8 only (full_width_stores is false), but an int32 result is stored here; requantise it."
            raise UnsupportedOperation(reason, SourceLocation.of(ir.Location.current))
        return isa.FULL_WIDTH_BIT

    def fence(self) -> None:
        instgem.Fence()

    def config_ex(
        self, *, transpose_a: bool = False, transpose_b: bool = False, output_stationary: bool = False, shift: int = 0, relu: bool = False
    ) -> None:
        """How products are made. `shift` and `relu` are for output-stationary results that go to the scratchpad."""
        flags = {"transpose_a": int(transpose_a), "transpose_b": int(transpose_b), "dataflow": int(not output_stationary)}
        flags |= {"in_shift": shift, "activation": int(relu)}
        self.instruction("config_ex", a_stride=1, c_stride=1, acc_scale=isa.float_bits(1.0), **flags)

    def config_ld(self, *, load_id: int, dram_stride: Quantity, block_stride: Quantity) -> None:
        self.instruction(
            "config_ld", load_id=load_id, dram_stride=dram_stride, block_stride=block_stride, scale=isa.float_bits(1.0), pixel_repeats=1
        )

    def config_st(self, *, dram_stride: Quantity, acc_scale: Quantity, activation: int, pooling: Pooling | None = None) -> None:
        fields = pooling.fields() if pooling else {}
        self.instruction("config_st", dram_stride=dram_stride, acc_scale=acc_scale, activation=activation, **fields)

    def mvin(self, load_id: int, dram: Quantity, local: Quantity, cols: Quantity, rows: Quantity) -> None:
        self.instruction(("mvin", "mvin2", "mvin3")[load_id], dram=dram, local=local, local_cols=cols, local_rows=rows)

    def mvout(self, dram: Quantity, local: Quantity, cols: Quantity, rows: Quantity) -> None:
        self.instruction("mvout", dram=dram, local=local, local_cols=cols, local_rows=rows)

    def preload(self, weights: Local, c: Local) -> None:
        self.instruction("preload", bd=weights[0], bd_cols=weights[1], bd_rows=weights[2], c=c[0], c_cols=c[1], c_rows=c[2])

    def compute(self, a: Local, b: Local | None = None, *, preloaded: bool) -> None:
        """Multiply. With weights in the array `b` would be a bias: garbage of the array's size, as every preset hard-wires it."""
        name = "compute_preloaded" if preloaded else "compute_accumulated"
        b = b or self.nothing
        self.instruction(name, a=a[0], a_cols=a[1], a_rows=a[2], bd=b[0], bd_cols=b[1], bd_rows=b[2])

    @property
    def nothing(self) -> Local:
        """An operand that is not there, of the array's size."""
        return isa.GARBAGE, self.config.dim, self.config.dim
