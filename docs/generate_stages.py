"""Write docs/stages.md: the texts of every stage of one compiled kernel. Run it with `make docs`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from baco.lowering.disassemble import disassemble
from baco.toolchain import atomic_write

DOCS = Path(__file__).parent
STAGES = {
    "baco": ("mlir", "What the kernel says, with no decision about memory. Blocks are tensors, pointers are typed."),
    "linalg": ("mlir", "After `structure-pointers`: strided memory accesses, and block operations as linalg on tensors."),
    "instgem": ("mlir", "Tiled to DIM, placed in scratchpad and accumulator, one operation for each instruction."),
    "llvm": ("llvm", "LLVM IR: every instruction is one `.insn` in inline assembly, so any stock LLVM compiles it."),
    "riscv": ("asm", "RISC-V assembly."),
}
LONGEST = 150
"""Lines of a stage to show."""


def main() -> None:
    """Compile the matmul example and write its stages."""
    path = DOCS.parent / "examples" / "01_matmul.py"
    spec = importlib.util.spec_from_file_location("matmul_example", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    sizes = {"M": 64, "N": 64, "K": 128}
    strides = {"stride_am": 128, "stride_ak": 1, "stride_bk": 64, "stride_bn": 1, "stride_cm": 64, "stride_cn": 1}
    blocks = {"BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32}
    compiled = example.matmul.warmup(np.int8, np.int8, np.int8, **sizes, **strides, scale=0.01, **blocks, grid=(2, 2))
    introduction = (
        "# The stages of one kernel\n\nThe kernel of `examples/01_matmul.py` with 32x32x32 blocks and an int8 result, compiled for "
        "`gemmini-default`. `make docs` writes this page; `compiled.asm[stage]` holds the same texts.\n"
    )
    parts = [introduction]
    for stage, (language, text) in STAGES.items():
        parts.append(
            f"## {stage}\n\n{text}\n\n```{language}\n{_shorten(compiled.asm[stage]).replace(str(path.parent), path.parent.name)}\n```\n"
        )
    listing = "\n".join(str(line) for line in disassemble(compiled.asm["elf"]))
    parts.append(f"## elf\n\n`baco-llc -d` lists the ELF and names Gemmini's instructions.\n\n```\n{_shorten(listing)}\n```\n")
    atomic_write(DOCS / "stages.md", "\n".join(parts))


def _shorten(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join(lines if len(lines) <= LONGEST else [*lines[:LONGEST], f"... {len(lines) - LONGEST} more lines"])


if __name__ == "__main__":
    main()
