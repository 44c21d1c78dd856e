"""The command line: what it prints, how it fails, and that it starts fast."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import baco
from baco import cli
from baco.errors import BacoError

HEAVY = ("torch", "torch_mlir", "unicorn", "llvmlite", "numpy", "typer", "rich")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def test_import_baco_loads_nothing_heavy() -> None:
    assert python(f"import sys, baco; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_the_command_line_loads_nothing_heavy_until_it_works() -> None:
    heavy = [m for m in HEAVY if m not in ("typer", "rich")]
    assert python(f"import sys, baco.cli; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_public_names_are_what_they_say() -> None:
    from baco.hardware import GemminiConfig
    from baco.workload import Mapping, Problem

    assert (baco.GemminiConfig, baco.Mapping, baco.Problem, baco.BacoError) == (GemminiConfig, Mapping, Problem, BacoError)
    assert dir(baco) == sorted(baco.__all__)
    with pytest.raises(AttributeError, match="module 'baco' has no attribute 'jti'"):
        baco.jti  # noqa: B018


def test_language_has_two_names_and_is_one_module() -> None:
    import baco.lang.language
    import baco.language as bl

    assert bl is baco.language is baco.lang.language
    assert bl.cdiv is baco.cdiv
    assert callable(baco.jit)
    assert callable(baco.explore)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"baco {baco.__version__}\n"


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("explore", "doctor"))


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["exlpore"]) == 2
    assert "No such command 'exlpore'" in capsys.readouterr().err


def test_a_users_error_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise BacoError("hardware.dim: must be a power of two.")

    assert cli.reporting(fail) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error: hardware.dim: must be a power of two.\n")


def test_an_interrupt_is_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    assert cli.reporting(stop) == 130
    assert capsys.readouterr().err == "error: interrupted.\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.reporting(lambda: 1 // 0)


def test_a_reader_that_leaves_is_no_bug() -> None:
    code = "import sys; from baco import cli\ndef f(): raise BrokenPipeError\nsys.exit(cli.reporting(f))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")


# explore -----------------------------------------------------------------------------------------------------------------------


def explore(*arguments: str) -> int:
    return cli.main(["explore", "resnet50", "--budget", "3000", *arguments])


def test_explore_writes_a_design_and_runs_a_layer_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explore("--out", str(tmp_path), "--layers", "fc", "--max-dim", "32") == 0
    out = capsys.readouterr().out
    assert "1 of 1 layers ran with the right result and exactly the predicted accesses." in out
    assert out.endswith(f"The design is in {tmp_path}; {tmp_path / 'report.html'} shows it.\n")
    assert "object BacoGemmini" in (tmp_path / "BacoGemmini.scala").read_text()
    assert (tmp_path / "report.html").read_text().count("all 15 figures as predicted") == 1
    design = json.loads((tmp_path / "design.json").read_text())
    assert design["design"]["machine"]["side"] <= 32
    assert f"#define DIM {design['design']['machine']['side']}\n" in (tmp_path / "gemmini_params.h").read_text()
    assert (tmp_path / "kernels" / "fc" / "program.elf").read_bytes()[:4] == b"\x7fELF"


def test_explore_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explore("--json", "--layers", "none", "--out", str(tmp_path)) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["network"], answer["seed"], answer["out"], answer["ran"]) == ("resnet50", 0, str(tmp_path), [])
    assert answer["design"] == json.loads((tmp_path / "design.json").read_text())["design"]


def test_explore_keeps_the_best_design_when_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "baco.cli", "explore", "resnet50", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "best EDP" in process.stderr.readline()  # there is a design now
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Interrupted: this is the best design found so far." in out
    assert json.loads((tmp_path / "design.json").read_text())["interrupted"] is True


MODEL = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 32))
"""


def test_explore_reads_a_pytorch_model_within_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(MODEL)
    (tmp_path / "mine.yaml").write_text("energy: {dram: 50}\nsource: my memory\n")
    place, out = f"{tmp_path / 'net.py'}:build", tmp_path / "out"
    limits = ["--max-area", "0.2", "--max-power", "2000", "--max-latency", "1e6", "--max-pes", "256", "--max-sram-kib", "64"]
    arguments = ["--input", "1,8,8,8", "--energy", str(tmp_path / "mine.yaml"), "--objective", "energy", "--budget", "3000", *limits]
    assert cli.main(["explore", place, "--layers", "3", "--out", str(out), *arguments]) == 0
    text = capsys.readouterr().out
    assert "Not products, and so left out: relu (1)." in text and "Constants: my memory." in text
    assert "eyeriss" in text and "nvdla-small" in text and "its library's tiles" in text
    assert "1 of 1 layers ran with the right result" in text
    design = json.loads((out / "design.json").read_text())
    assert (design["network"], design["objective"], design["constants"]["energy"]["dram"]) == ("build", "energy", 50)
    assert [layer["name"] for layer in design["design"]["layers"]] == ["0", "3"]
    assert design["design"]["area_mm2"] <= 0.2 and design["design"]["power_mw"] <= 2000 and design["design"]["machine"]["side"] <= 16


def test_networks_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["networks"]) == 0
    assert "llama2-7b-decode" in capsys.readouterr().out
    assert cli.main(["networks", "mobilenetv2"]) == 0
    assert "300,774,272 multiply-accumulates" in capsys.readouterr().out
    (tmp_path / "net.py").write_text(MODEL)
    assert cli.main(["networks", f"{tmp_path / 'net.py'}:build", "--input", "1,8,8,8", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(layer["name"], layer["count"]) for layer in answer["layers"]] == [("0", 1), ("3", 1)]
    assert (answer["macs"], answer["left_out"]) == (64 * 9 * 8 * 16 + 1024 * 32, [["relu", 1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explore", "resnet5"], "there is no network 'resnet5'"),
        (["explore", "resnet50", "--space", "papr"], "space: must be one of gemmini, paper, but is 'papr'."),
        (["explore", "resnet50", "--budget", "1"], "budget: must be at least "),
        (["explore", "resnet50", "--max-dim", "1"], "max_dim: "),
        (["explore", "resnet50", "--max-scratchpad-kib", "-1"], "max_scratchpad_kib: must be greater than 0, but is -1.0."),
        (["explore", "resnet50", "--halo", "none"], "halo"),
        (["explore", "resnet50", "--objective", "speed"], "objective: must be one of edp, energy, latency, pareto, but is 'speed'."),
        (["explore", "resnet50", "--max-area", "0.0001"], "max_area_mm2: leaves no room for the smallest array"),
        (["explore", "resnet50", "--energy", "/no/such.yaml"], "/no/such.yaml: cannot be read: No such file or directory."),
        (["explore", "/no/such.py:build", "--input", "1,3"], "/no/such.py: there is no such Python file."),
        (["explore", "/no/such.py:build"], "say the shape of each input, as in --input 1,3,224,224."),
        (["explore", "resnet50", "--out", "/dev/null/out"], "/dev/null/out: cannot write to this folder: Not a directory; choose another"),
    ],
    ids=lambda x: " ".join(x[2:] or x) if isinstance(x, list) else "",
)
def test_what_a_user_can_get_wrong_is_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "--out" not in arguments:
        arguments = [*arguments, "--out", "/dev/null/never"]  # whatever is wrong is found before anything is written
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.endswith((".\n", "?\n"))


@pytest.mark.parametrize("tool", ["opt", "translate", "llc"])
def test_compiler_tools_answer_and_refuse_like_the_rest(
    tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = getattr(cli, f"{tool}_main")
    monkeypatch.setattr(sys, "argv", [f"baco-{tool}", "--help"])
    assert main() == 0
    assert f"usage: baco-{tool}" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [f"baco-{tool}", "/no/such/file"])
    assert main() == 2
    assert "/no/such/file" in capsys.readouterr().err
