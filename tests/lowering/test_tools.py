"""baco-opt, baco-translate and baco-llc, called as the command line calls them."""

import pytest
from test_passes import MATMUL

from baco.lowering import tools
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
