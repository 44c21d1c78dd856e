"""Passes on IR in a text, and FileCheck on what they make of it."""

from io import StringIO

from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser, pattern_for_opts

from baco.dialects.mlir import context, ir
from baco.hardware import GemminiConfig
from baco.lowering import pipelines  # noqa: F401  (registers the passes)
from baco.lowering.passes import run_passes, set_hardware


def after(source: str, *passes: str, config: GemminiConfig | None = None) -> str:
    """The text of a module after passes."""
    with context():
        module = ir.Module.parse(source)
    set_hardware(module, config or GemminiConfig())
    run_passes(module, passes)
    return str(module)


def filecheck(text: str, checks: str) -> None:
    """Match text against CHECK lines."""
    options = Options(match_filename="checks")
    matcher = Matcher(options, FInput("output", text), Parser(options, StringIO(checks), *pattern_for_opts(options)))
    assert matcher.run() == 0
