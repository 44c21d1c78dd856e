"""Run the `// RUN:` lines of the .mlir files here: `baco-opt` and `filecheck` by calling them, joined by pipes.

x.mlir holds what the pass x does, one behaviour a function; x_invalid.mlir what it refuses, checked with --verify-diagnostics;
x_leaves-alone.mlir, for a pass that refuses nothing, what it leaves as it is.
"""

import io
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser, pattern_for_opts

from baco.lowering import tools

FILES = sorted(Path(__file__).parent.glob("*.mlir"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_file(path: Path) -> None:
    commands = [line.partition("// RUN:")[2].strip() for line in path.read_text().splitlines() if line.startswith("// RUN:")]
    assert commands, f"{path.name} has no // RUN: line"
    for command in commands:
        text = ""
        for part in command.replace("%s", shlex.quote(str(path))).split("|"):
            text = run(shlex.split(part), text)


def run(words: list[str], text: str) -> str:
    """The standard output of a command given its standard input; `2>&1` adds what it says on standard error."""
    both = "2>&1" in words
    name, *arguments = [w for w in words if w != "2>&1"]
    if name == "filecheck":
        options = Options(match_filename=arguments[0], **{a.lstrip("-").replace("-", "_"): True for a in arguments[1:]})
        checks = io.StringIO(Path(arguments[0]).read_text())
        assert Matcher(options, FInput("output", text), Parser(options, checks, *pattern_for_opts(options))).run() == 0, text
        return ""
    assert name == "baco-opt", f"there is no {name} in RUN lines"
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out if both else sys.stderr):
        assert tools.opt(arguments) == 0
    return out.getvalue()


def test_every_pass_has_its_files() -> None:
    from baco.lowering import pipelines  # noqa: F401  (registers the passes)
    from baco.lowering.passes import registered

    there = {p.stem for p in FILES}
    assert [n for n in registered() if n not in there] == []
