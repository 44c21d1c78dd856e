"""baco-opt, baco-translate and baco-llc, called as the command line calls them."""

import re

import pytest
from test_passes import MATMUL

from baco import cli
from baco.lowering import tools
from baco.lowering.disassemble import disassemble
from baco.lowering.errors import CompilationError
from baco.lowering.tools import ToolFailure, ToolInputError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "k.mlir"
    path.write_text(MATMUL)
    return path


def test_from_linalg_to_an_elf(source, tmp_path, capsys) -> None:
    gem, ll, elf = (str(tmp_path / name) for name in ("gem.mlir", "k.ll", "k.elf"))
    # A kernel ends with the six values of the launch grid.
    grid = ", ".join(f'%g{i}: i64 {{baco.name = "g{i}"}}' for i in range(6))
    fills = "%z8 = arith.constant 0 : i8 %z32 = arith.constant 0 : i32 " + " ".join(
        f"linalg.fill ins(%z{bits} : i{bits}) outs(%{name} : memref<{shape}xi{bits}>)"
        for name, shape, bits in (("a", "40x24", 8), ("b", "24x16", 8), ("c", "40x16", 32))
    )
    source.write_text(MATMUL.replace("@k()", f"@k({grid})").replace("linalg.matmul", f"{fills} linalg.matmul"))
    assert tools.opt([str(source), "--pipeline", "linalg-to-instgem", "--hardware", "gemmini-default", "-o", gem]) == 0
    assert tools.translate([gem, "-o", ll]) == 0
    assert tools.llc([ll, "--emit", "elf", "-o", elf]) == 0
    assert tools.llc(["-d", elf]) == 0
    assert "compute_accumulated" in capsys.readouterr().out


def test_opt_runs_the_passes_it_is_given(source, capsys) -> None:
    assert tools.opt([str(source), "-p", "place-in-memories,canonicalize{max-iterations=2},cse"]) == 0
    assert 'baco.memory = "accumulator"' in capsys.readouterr().out
    assert tools.opt(["--list-passes"]) == 0
    assert "structure-pointers" in capsys.readouterr().out


def test_errors_name_the_file_and_the_place(source, tmp_path) -> None:
    source.write_text("func.func @k() {\n  frobnicate\n}\n")
    with pytest.raises(ToolFailure, match=r"k\.mlir:2:3: custom op 'frobnicate' is unknown"):
        tools.opt([str(source)])
    with pytest.raises(ToolInputError, match=r"cannot read .*: No such file"):
        tools.opt([str(tmp_path / "absent.mlir")])
    with pytest.raises(ToolInputError, match="no pipeline 'x'; the pipelines are baco-to-linalg"):
        tools.opt([str(source), "--pipeline", "x"])


# What the tools refuse and survive ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("cse,", "column 5: expected the name of a pass"),
        ("func.func(cse", "column 10: this parenthesis is not closed"),
        ("canonicalize{max-iterations=2", "column 13: these options are not closed"),
        ("cse)", "column 4: expected a comma or the end"),
        ("func.func(" * 40, "nested more than 32 deep"),
        ("canonicalize{foo=1}", "pass 'canonicalize{foo=1}': no such option foo"),
        ("func.func(tile-to-dim)", "there is no pass 'tile-to-dim'"),
        ("tile-to-dmi", "there is no pass 'tile-to-dmi'"),
        ("func.func(linalg-to-instgem)", "linalg-to-instgem is a whole pipeline"),
    ],
)
def test_pipelines_that_cannot_be_read(source, pipeline: str, message: str) -> None:
    with pytest.raises(CompilationError, match=re.escape(message)):
        tools.opt([str(source), "--pass-pipeline", pipeline])


def test_a_pass_is_an_option_of_its_own_too(source, capsys) -> None:
    assert tools.opt([str(source), "--place-in-memories", "-canonicalize=max-iterations=2"]) == 0
    assert "baco.row" in capsys.readouterr().out
    with pytest.raises(ToolInputError, match="'--verify-diagnostic' is neither an option nor a pass; did you mean --verify-diagnostics"):
        tools.opt([str(source), "--verify-diagnostic"])


def test_parts_keep_their_line_numbers_and_fail_by_themselves(source, capsys) -> None:
    source.write_text("func.func @a() { return }\n// -----\nfunc.func @b() {\n  oops\n}\n// -----\nfunc.func @c() { return }\n")
    with pytest.raises(ToolFailure, match=r"k\.mlir:4:3: custom op 'oops'"):
        tools.opt([str(source), "--split-input-file"])
    out = capsys.readouterr().out
    assert "@a" in out and "@c" in out and "// -----" in out


def test_diagnostics_are_compared_with_comments(source) -> None:
    source.write_text("// expected-error-re @below {{op 'oo+ps' is}}\noops\n")
    assert tools.opt([str(source), "--verify-diagnostics"]) == 0
    source.write_text("// expected-error @below {{nothing}}\noops\n")
    with pytest.raises(ToolFailure) as caught:
        tools.opt([str(source), "--verify-diagnostics"])
    assert "unexpected error: custom op 'oops'" in str(caught.value)
    assert 'expected error "nothing" did not come' in str(caught.value)
    source.write_text("// expected-error-re {{(}}\n")
    with pytest.raises(ToolFailure, match="not a regular expression"):
        tools.opt([str(source), "--verify-diagnostics"])


def test_printing_and_timing_go_to_standard_error(source, capsys) -> None:
    assert (
        tools.opt([str(source), "-p", "cse,place-in-memories", "--mlir-print-ir-after-all", "--mlir-timing", "--mlir-print-op-generic"])
        == 0
    )
    captured = capsys.readouterr()
    assert captured.err.count("IR Dump After") == 2
    assert re.search(r"\d+\.\d{4} \( *\d+\.\d%\)  place-in-memories", captured.err)
    assert '"builtin.module"' in captured.out


def test_a_reproducer_runs_what_failed(source, tmp_path) -> None:
    left = tmp_path / "left.mlir"
    source.write_text(MATMUL.replace("40", "400000"))
    with pytest.raises(ToolFailure, match="out of resources"):
        tools.opt([str(source), "-p", "cse,place-in-memories", "--mlir-pass-pipeline-crash-reproducer", str(left)])
    assert "builtin.module(place-in-memories)" in left.read_text()
    with pytest.raises(ToolFailure, match="out of resources"):
        tools.opt([str(left), "--run-reproducer"])
    source.write_text(MATMUL)
    assert tools.opt([str(source), "-p", "cse", "--mlir-pass-pipeline-crash-reproducer", str(left), "-o", str(tmp_path / "o")]) == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("tool", "text", "message"),
    [
        ("opt", "func.func @k() {" + " scf.execute_region {" * 20000, "baco-opt: the process ended with SIGSEGV while parsing"),
        ("translate", 'llvm.func @f() attributes {passthrough = [["a", "b", "c"]]} { llvm.return }', "expected 'passthrough' to contain"),
        ("opt", "linalg.map {a} ins(%x : f32) outs(%y : memref<f32>)", "baco-opt: the process ended with SIGSEGV while parsing"),
        ("translate", "func.func private @f() attributes {x = #baco<a>}", "k.mlir:1:"),
    ],
)
def test_what_ends_mlir_is_told_in_one_sentence(source, monkeypatch, capfd, tool: str, text: str, message: str) -> None:
    source.write_text(text)
    monkeypatch.setattr("sys.argv", [f"baco-{tool}", str(source)])
    assert getattr(cli, f"{tool}_main")() == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.startswith("error: ") and "Traceback" not in err


def test_translation_is_of_the_llvm_dialect(source, tmp_path, capsys) -> None:
    source.write_text("llvm.func @f() { llvm.return }")
    assert tools.translate([str(source), "--mlir-to-llvmir"]) == 0
    assert "define void @f()" in capsys.readouterr().out
    source.write_text(MATMUL)
    with pytest.raises(ToolFailure, match=r"k\.mlir:3:8: memref.alloc cannot become LLVM IR|cannot become LLVM IR"):
        tools.translate([str(source), "--mlir-to-llvmir"])


def test_llc_points_into_its_input(source, tmp_path) -> None:
    source.write_text("declare i32 @f( foo\n")
    with pytest.raises(ToolFailure, match=r"k\.mlir:1:17: expected type"):
        tools.llc([str(source)])
    source.write_text("define i32 @f() {\n ret i32 1\n}\n")
    with pytest.raises(ToolFailure, match="defines no function baco_main"):
        tools.llc([str(source), "--emit", "elf", "-o", str(tmp_path / "x")])
    with pytest.raises(ToolInputError, match="name a file"):
        tools.llc([str(source), "--emit", "obj"])
    assert tools.llc([str(source), "--emit", "obj", "-o", str(tmp_path / "x.o")]) == 0
    assert tools.llc(["-d", str(tmp_path / "x.o")]) == 0


def test_disassembly_shows_the_fields_that_the_code_fixes(tmp_path) -> None:
    rocc = ".insn r CUSTOM_3, 3, {}, x0, {}, {}"
    lines = [
        *("li a0, 16", "slli a1, a0, 32", "slli a2, a0, 48", "or a1, a1, a2", "addi a1, a1, 64", rocc.format(2, "a3", "a1")),
        *("beqz a4, 1f", "li a1, 1", "1:", rocc.format(2, "a3", "a1")),  # two values meet
        *("li a5, 1", rocc.format(0, "a5", "a5"), "call f", rocc.format(0, "a5", "a5"), "ret"),
    ]
    ir = 'declare void @f()\ndefine void @g() {\n call void asm sideeffect "' + "\\0A".join(lines) + '", "~{ra}"()\n ret void\n}\n'
    (tmp_path / "k.ll").write_text(ir)
    assert tools.llc([str(tmp_path / "k.ll"), "--emit", "obj", "-o", str(tmp_path / "k.o")]) == 0
    found = [line for line in disassemble((tmp_path / "k.o").read_bytes()) if line.funct7 is not None]
    assert [line.fields for line in found[:2]] == ["local=scratchpad[64], local_cols=16, local_rows=16", ""]
    assert found[2].text.startswith("config_ld") and "dram_stride=0x1" in found[2].fields
    assert found[3].text.startswith("config a5") and not found[3].fields  # a call may change a5
