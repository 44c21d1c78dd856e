"""The LLVM IR stays readable by the LLVM that compiles it, and the ELF holds RISC-V with only the declared Gemmini commands."""

import numpy as np
import pytest

from baco import isa
from baco.hardware import GemminiConfig
from baco.lowering.disassemble import NotAProgram, disassemble, rocc_functs
from baco.lowering.mapping_program import compile_mapping
from baco.workload import Mapping, Problem

EXPECTED = {"config_ex", "mvin", "mvin2", "mvin3", "mvout", "preload", "compute_preloaded", "compute_accumulated", "flush"}


@pytest.fixture(scope="module")
def compiled():
    from kernel_example import matmul

    arguments = (np.int8, np.int8, np.int8, 100, 200, 300, 300, 1, 200, 1, 200, 1, 0.01)
    return matmul.warmup(*arguments, BLOCK_M=64, BLOCK_N=64, BLOCK_K=64)


def test_llvm_reads_the_ir(compiled) -> None:
    from llvmlite import binding

    module = binding.parse_assembly(compiled.asm["llvm"])
    module.verify()
    assert {f.name for f in module.functions if not f.is_declaration} == {"matmul", "baco_main"}


def test_every_word_is_an_instruction_and_every_command_declared(compiled) -> None:
    lines = disassemble(compiled.asm["elf"])
    assert [str(line) for line in lines if line.text is None] == []
    functs = set(rocc_functs(compiled.asm["elf"]))
    assert functs == {isa.BY_NAME[name].funct7 for name in EXPECTED}
    assert any(line.text.startswith("fence") for line in lines)


def test_every_size_of_array_gives_the_same_commands() -> None:
    problem = Problem.gemm(32, 32, 32)
    for dim in (4, 8, 16, 32):
        mapping = Mapping.parse(f"L3[WIO] N1 - L2[WI] N1 K{dim}X - L1[O] K{32 // dim} C{32 // dim} C{dim}X - L0[W] P32")
        functs = rocc_functs(compile_mapping(problem, mapping, GemminiConfig(dim=dim)).asm["elf"])
        assert set(functs) <= {isa.BY_NAME[name].funct7 for name in EXPECTED}


def test_listing_names_commands(compiled) -> None:
    text = "\n".join(str(line) for line in disassemble(compiled.asm["elf"]))
    assert " preload " in text and " compute_accumulated " in text and " mvout " in text


def test_bytes_that_are_no_program() -> None:
    with pytest.raises(NotAProgram, match="not an ELF"):
        disassemble(b"hello")
