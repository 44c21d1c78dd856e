"""`baco compile`: a kernel of a file, compiled for a signature."""

import json
import re

import numpy as np
import pytest
from kernels import EXAMPLES

from baco import cli
from baco.lang import aot
from baco.lang.aot import SignatureError, stand_ins
from baco.lowering import tools

MATMUL = f"{EXAMPLES / '01_matmul.py'}:matmul"
SIGNATURE = "*i8, *i8, *i8:16, i64, i64, i64, i64, i64:1, i64, i64:1, i64, i64:1, scale=fp32, BLOCK_M=16, BLOCK_N=32, BLOCK_K=16"


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Capture what the command prints; the process of its own that it works in is tested with the tools."""
    monkeypatch.setattr(tools, "isolated", lambda _, work: work(lambda _: None))


def compile_(*arguments: str) -> int:
    return cli.main(["compile", *arguments])


def test_every_stage_and_a_description(tmp_path, capsys) -> None:
    assert compile_(MATMUL, "--signature", SIGNATURE, "-o", str(tmp_path)) == 0
    assert {p.name for p in tmp_path.iterdir()} == {f"matmul{s}" for s, _ in aot.STAGES.values()} | {"matmul.json"}
    assert (tmp_path / "matmul.elf").read_bytes()[:4] == b"\x7fELF"
    described = json.loads((tmp_path / "matmul.json").read_text())
    assert [p["name"] for p in described["parameters"] if p["written"]] == ["c"]
    assert described["constants"] == {
        "stride_ak": 1,
        "stride_bn": 1,
        "stride_cn": 1,
        "BLOCK_M": 16,
        "BLOCK_N": 32,
        "BLOCK_K": 16,
        "RELU": True,
    }
    assert "7 files are in" in capsys.readouterr().out


def test_one_stage(tmp_path, capsys) -> None:
    assert compile_(MATMUL, "--signature", SIGNATURE, "--emit", "baco", "--hardware", "gemmini-default") == 0
    assert '"baco.dot"' in capsys.readouterr().out
    assert compile_(MATMUL, "--signature", SIGNATURE, "--emit", "instgem", "--instructions", "loops") == 0
    assert '"instgem.loop_ws"' in capsys.readouterr().out
    assert compile_("--list-stages") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(aot.STAGES)


def test_stages_are_those_that_a_compilation_has() -> None:
    from baco.hardware import GemminiConfig

    assert set(aot.STAGES) <= set(aot.compile_ahead(MATMUL, SIGNATURE, GemminiConfig()).asm)


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("*i8,*i7", "signature, column 5: parameter 'b' is given at run time; give its type, one of i1, i8"),
        ("*i8,,*i8", "signature, column 5: a type or value is missing here."),
        ("*i8,", "signature, column 5: a type or value is missing here."),
        ("*i8,i8", "a scalar argument is i64 or fp32, not i8; did you mean *i8?"),
        ("*i8,M=i64,i64", "column 11: an entry without a name cannot follow"),
        ("*i8,a=*i8", "column 7: parameter 'a' is given twice"),
        ("*i8,BLOCK=3", "column 11: there is no parameter 'BLOCK'; there are a, b, c, M"),
        ("BLOCK_M=x", "column 9: parameter 'BLOCK_M' is fixed when the kernel is compiled; give its value, such as 64, not x."),
        ("BLOCK_M='x", "column 9: this text is not closed"),
        ("i64:7", "there is no hint '7'"),
        ("*i1", "memory holds no elements of one bit"),
        (SIGNATURE.replace("BLOCK_K=16", "RELU=False"), "nothing is said about BLOCK_K; add BLOCK_K=VALUE."),
        (",".join(["*i8"] * 13 + ["1"] * 5), "there are only 17 parameters"),
    ],
)
def test_signatures_that_do_not_fit(signature: str, message: str, capsys) -> None:
    assert compile_(MATMUL, "--signature", signature) == 2
    err = capsys.readouterr().err
    assert message in err
    if "column" in err:
        _, text, caret = err.splitlines()
        assert re.search(r"column (\d+)", err)[1] == str(caret.index("^") - 3), text


def test_values_in_a_signature() -> None:
    kernel = aot.load_kernel(MATMUL)
    given = stand_ins(
        'a=*fp32, M=i32, scale=f32, BLOCK_M=(1, "a,b"), BLOCK_N=bl.int8, BLOCK_K=-3, b=*i8,c=*i8,N=i64,K=i64,'
        + ",".join(f"{n}=i64" for n in ("stride_am", "stride_ak", "stride_bk", "stride_bn", "stride_cm", "stride_cn")),
        kernel.parameters,
        kernel.constexprs,
    )
    assert (given["a"], given["scale"], given["BLOCK_M"], str(given["BLOCK_N"]), given["BLOCK_K"]) == (
        np.float32,
        0.5,
        (1, "a,b"),
        "int8",
        -3,
    )
    with pytest.raises(SignatureError):
        stand_ins("BLOCK_M=" + "(" * 5000, kernel.parameters, kernel.constexprs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import baco, no_such_module", "u.py:1: the file raised ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "u.py:1:7: invalid syntax."),
        ("import sys\nsys.exit(3)", "u.py:2: the file raised SystemExit: 3"),
        ("def g():\n    raise KeyError('x')\ng()", "u.py:3: the file raised KeyError: 'x'"),
        ("x = 1", "has no kernel 'k'; it has none; put @baco.jit above the function."),
        ("import baco\n@baco.jit\ndef j(): pass", "has no kernel 'k'; its kernels are j."),
    ],
)
def test_errors_of_the_file_are_the_persons(text: str, message: str, tmp_path, capsys) -> None:
    (tmp_path / "u.py").write_text(text)
    assert compile_(f"{tmp_path / 'u.py'}:k", "--signature", "") == 2
    err = capsys.readouterr().err
    assert message in err
    assert "aot.py" not in err


def test_errors_of_the_kernel_point_into_it(tmp_path, capsys) -> None:
    (tmp_path / "u.py").write_text("import baco\nprint('loading')\n@baco.jit\ndef k(x):\n    y = x + z\n")
    assert compile_(str(tmp_path / "u.py"), "--signature", "*i8") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "u.py:5:13: 'z' is not defined here" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "baco compile takes a kernel"),
        ([MATMUL], 'say what matmul is compiled for: --signature "a=TYPE,b=TYPE,c=TYPE,M=TYPE'),
        (["no.py:k", "--signature", ""], "no.py: there is no such Python file."),
        (["k", "--signature", ""], "'k' does not name a kernel; write FILE.py:NAME."),
        ([MATMUL, "--signature", "", "--emit", "foo"], "there is no stage 'foo'; the stages are baco"),
        ([MATMUL, "--signature", "", "--emit", "elf"], "writes bytes"),
        ([MATMUL, "--signature", SIGNATURE, "--hardware", "x"], "there is no preset 'x'"),
        ([MATMUL, "--signature", SIGNATURE, "-o", "/dev/null/x"], "cannot write to /dev/null/x"),
    ],
)
def test_what_a_user_can_get_wrong(arguments: list[str], message: str, capsys) -> None:
    assert compile_(*arguments) == 2
    assert message in capsys.readouterr().err
