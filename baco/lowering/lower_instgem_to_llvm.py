"""lower-instgem-to-llvm: each instruction becomes two register values and one RoCC instruction.

Before:
    "instgem.mvin"(%dram, %local, %cols, %rows) : (i64, i64, i64, i64) -> ()

After:
    %rs2 = %local | %cols << 32 | %rows << 48
    llvm.inline_asm has_side_effects ".insn r CUSTOM_3, 3, 2, x0, $0, $1", "r,r,~{memory}" %dram, %rs2

The "memory" clobber keeps the compiler from moving host loads and stores across a command; `instgem.fence` is the RISC-V `fence`.
"""

from __future__ import annotations

from baco import isa
from baco.dialects import instgem
from baco.dialects.mlir import arith, ir, llvm
from baco.lowering.passes import operations_named, register

_PREFIX = "instgem."


@register("lower-instgem-to-llvm")
def run(module: ir.Module) -> None:
    """Rewrite every instgem operation of the module."""
    for op in operations_named(module, *(f"{_PREFIX}{name}" for name in (*instgem.OPERATIONS, "fence"))):
        with ir.InsertionPoint(op), op.location:
            name = op.operation.name.removeprefix(_PREFIX)
            if name == "fence":
                _assembly("fence rw, rw", [])
            else:
                instruction = isa.BY_NAME[name]
                registers = _registers(op, instruction)
                _assembly(f".insn r CUSTOM_3, {instruction.funct3}, {instruction.funct7}, x0, $0, $1", registers)
        op.operation.erase()


def _assembly(text: str, operands: list[ir.Value]) -> None:
    constraints = ",".join(["r"] * len(operands) + ["~{memory}"])
    llvm.InlineAsmOp(None, operands, text, constraints, has_side_effects=True)


def _registers(op: ir.OpView, instruction: isa.Instruction) -> list[ir.Value]:
    """rs1 and rs2: the constant bits of the flags, and each operand shifted to its field."""
    i64 = ir.IntegerType.get_signless(64)
    bits = [0, instruction.selector or 0, 0]
    parts: list[list[ir.Value]] = [[], [], []]
    operands = iter(op.operation.operands)
    for f in instruction.fields:
        if instgem.is_operand(f):
            value = next(operands)
            shift = arith.ConstantOp(i64, f.low).result
            parts[f.register].append(arith.ShLIOp(value, shift).result if f.low else value)
        else:
            bits[f.register] |= f.insert(ir.IntegerAttr(op.operation.attributes[f.name]).value)
    registers = []
    for number in (1, 2):
        total = arith.ConstantOp(i64, _as_signed(bits[number])).result
        for part in parts[number]:
            total = arith.OrIOp(total, part).result
        registers.append(total)
    return registers


def _as_signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits
