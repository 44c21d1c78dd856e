"""The audit of an ELF: what the compiler makes is clean, and what is not is named with its place."""

import sys
from pathlib import Path

import numpy as np
import pytest

from baco import isa
from baco.lowering.audit import audit
from baco.lowering.disassemble import NotAProgram, rocc_functs

sys.path.append(str(Path(__file__).parents[1] / "sim"))
from riscv_programs import assemble


@pytest.fixture(scope="module")
def elf() -> bytes:
    from kernel_example import matmul

    arguments = (np.int8, np.int8, np.int8, 100, 200, 300, 300, 1, 200, 1, 200, 1, 0.01)
    return matmul.warmup(*arguments, BLOCK_M=64, BLOCK_N=64, BLOCK_K=64).asm["elf"]


def test_what_the_compiler_makes_is_clean(elf: bytes) -> None:
    found = audit(elf)
    assert found.clean and found.unknown == found.not_on_spike == found.undefined == ()
    assert sum(found.commands.values()) == sum(rocc_functs(elf).values())
    assert {"mvin", "preload", "mvout", "config_ld"} <= found.commands.keys() <= isa.BY_NAME.keys() | {"config"}
    assert (found.stack, found.heap, found.libc) == (65536, False, ())
    assert 500 < found.text < 10_000 and found.bss < 4096


def test_what_is_not_in_the_table_is_named() -> None:
    body = "  .insn r CUSTOM_3, 3, 99, x0, a0, a1\n  .insn r CUSTOM_3, 3, 22, x0, a0, a1\n  .word 0xffffffff\n  call memcpy\nmemcpy: ret\n"
    found = audit(assemble(body))
    assert not found.clean
    assert [place.partition(": ")[2].partition(" (")[0] for place in found.unknown] == ["funct7 99", "the word 0xffffffff"]
    assert "clock_gate" in found.not_on_spike[0] and "p.S:" in found.not_on_spike[0]
    assert found.libc == ("exit", "memcpy")  # the first is a label of the frame around it
    assert found.to_dict()["clean"] is False


def test_bytes_that_are_no_program() -> None:
    with pytest.raises(NotAProgram):
        audit(b"\x7fELF")
