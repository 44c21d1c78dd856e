"""`baco-opt`: run passes over MLIR text, in the manner of mlir-opt."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from baco.lowering.tools import expectations
from baco.lowering.tools.common import (
    Diagnostic,
    Note,
    Parser,
    Run,
    ToolFailure,
    ToolInputError,
    display_name,
    in_this_process,
    load_hardware,
    read_text,
    say,
    write,
)
from baco.lowering.tools.pipeline_text import Step, parse_pipeline

if TYPE_CHECKING:
    from baco.lowering.tools.steps import Printing, Session

_SPLIT = re.compile(r"^// -----[^\n]*$", re.MULTILINE)
_REPRODUCER = re.compile(r'\bmlir_reproducer: \{\s*pipeline: "((?:[^"\\]|\\.)*)"')

DESCRIPTION = "Run passes over MLIR text and print the result."
EPILOG = """a pass may also be named by an option of its own, as in: baco-opt k.mlir --tile-to-dim --canonicalize="max-iterations=2"
"""


def opt(argv: Sequence[str], run: Run = in_this_process) -> int:
    """`baco-opt`: run passes over MLIR text and print the result.

    Raises:
        ToolInputError: for a file or option that cannot be used.
        ToolFailure: if the text is wrong or a pass refuses it.
    """
    parser = _parser()
    options, others = parser.parse_known_args(argv)
    if options.list_passes:
        return _list_passes()
    text = read_text(options.input)
    steps = _steps(parser, options, others, text)
    hardware = load_hardware(options.hardware) if options.hardware else None
    job = Job(text, display_name(options.input), steps, options)

    def work(note: Note) -> int:
        from baco.dialects.mlir import context
        from baco.lowering.passes import check_passes
        from baco.lowering.tools.steps import Session

        note("loading MLIR")
        check_passes(step.text for step in steps)
        context().allow_unregistered_dialects = options.allow_unregistered_dialect
        return job.run(Session(note, job.printing(), hardware, options.mlir_pass_pipeline_crash_reproducer, options.python_traceback))

    return run(work)


@dataclass
class Job:
    """What one call of baco-opt has to do."""

    text: str
    file: str
    steps: tuple[Step, ...]
    options: argparse.Namespace
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def printing(self) -> Printing:
        """When to print the program between passes."""
        from baco.lowering.tools.steps import Printing

        o = self.options
        style = {"enable_debug_info": o.mlir_print_debuginfo, "print_generic_op_form": o.mlir_print_op_generic}
        return Printing(
            o.before_all, o.after_all, o.after_change, o.after_failure, frozenset(o.before.split(",")), frozenset(o.after.split(",")), style
        )

    def run(self, session: Session) -> int:
        """Run the passes over each part of the text.

        Raises:
            ToolFailure: if a part fails, or does not give the diagnostics it expects; the others are done all the same.
        """
        start = time.perf_counter()
        outputs, wrong = [], []
        for part in self._parts():
            text, found = session.transform(part, self.file, self.steps)
            if self.options.verify_diagnostics:
                wrong += expectations.compare(expectations.expectations(part, self.file), found)
            else:
                wrong += _errors_first(found) if text is None else []
                say(d for d in found if text is not None)
            if text is not None:
                outputs.append(text)
        write(self.options.output, "\n// -----\n\n".join(outputs))
        if self.options.mlir_timing:
            sys.stderr.write(session.timing_table(time.perf_counter() - start))
        if wrong:
            sys.stdout.flush()
            raise ToolFailure(wrong)
        return 0

    def _parts(self) -> list[str]:
        """The parts between `// -----` lines, each with as many empty lines before it as keep its line numbers."""
        if not self.options.split_input_file:
            return [self.text]
        parts, at = [], 0
        for end in [m.start() for m in _SPLIT.finditer(self.text)] + [len(self.text)]:
            parts.append("\n" * self.text.count("\n", 0, at) + self.text[at:end])
            at = end
        return parts


def _errors_first(found: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(found, key=lambda d: d.severity not in ("error", "note"))


def _parser() -> Parser:
    parser = Parser("baco-opt", DESCRIPTION)
    parser.epilog = EPILOG
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--passes", "-p", metavar="PASSES", help="passes of BACO and MLIR with commas, such as structure-pointers,canonicalize"
    )
    which.add_argument("--pass-pipeline", metavar="PIPELINE", help="the same as mlir-opt writes it: 'builtin.module(a,b{option=value})'")
    which.add_argument("--pipeline", metavar="NAME", help="one of BACO's pipelines")
    which.add_argument("--run-reproducer", action="store_true", help="the pipeline that the input, a reproducer, names")
    parser.add_argument("--hardware", help="a preset's name or a JSON file; else what the module says, or gemmini-default")
    parser.add_argument("--list-passes", action="store_true", help="print BACO's passes and pipelines and stop")
    parser.add_argument(
        "--allow-unregistered-dialect", action="store_true", help="take operations of dialects that nobody knows, in generic form"
    )
    parser.add_argument("--split-input-file", action="store_true", help="take the text between lines of `// -----` as inputs of their own")
    parser.add_argument(
        "--verify-diagnostics", action="store_true", help="compare diagnostics with the comments `// expected-error {{...}}`"
    )
    show = parser.add_argument_group("printing between passes, to standard error")
    for when, help_ in (
        ("before-all", "before each pass"),
        ("after-all", "after each pass"),
        ("after-change", "after each pass that changes something"),
        ("after-failure", "after a pass that fails"),
    ):
        names = (f"--mlir-print-ir-{when}", f"--print-{when}")
        show.add_argument(*names, dest=when.replace("-", "_"), action="store_true", help=f"print the program {help_}")
    for when in ("before", "after"):
        names = (f"--mlir-print-ir-{when}", f"--print-{when}")
        show.add_argument(*names, dest=when, metavar="PASSES", default="", help=f"print the program {when} these passes")
    style = parser.add_argument_group("style of what is printed")
    style.add_argument(
        "--mlir-print-debuginfo", "--print-debuginfo", action="store_true", dest="mlir_print_debuginfo", help="with locations"
    )
    style.add_argument(
        "--mlir-print-op-generic",
        "--print-op-generic",
        action="store_true",
        dest="mlir_print_op_generic",
        help="every operation in generic form",
    )
    debug = parser.add_argument_group("finding faults")
    debug.add_argument(
        "--mlir-timing", "--timing", action="store_true", dest="mlir_timing", help="print the time of each pass to standard error"
    )
    debug.add_argument(
        "--mlir-pass-pipeline-crash-reproducer",
        metavar="FILE",
        help="if a pass fails or crashes, leave its input and the passes from there on in FILE, for --run-reproducer",
    )
    debug.add_argument("--python-traceback", action="store_true", help="keep the traceback of a pass that breaks on its input")
    return parser


def _list_passes() -> int:
    from baco.lowering.passes import registered
    from baco.lowering.pipelines import PIPELINES

    write(None, "\n".join([*registered(), *(f"{name}: {', '.join(passes)}" for name, passes in PIPELINES.items())]) + "\n")
    return 0


def _steps(parser: Parser, options: argparse.Namespace, others: Sequence[str], text: str) -> tuple[Step, ...]:
    from baco.lowering.pipelines import PIPELINES

    if options.pipeline is not None:
        if options.pipeline not in PIPELINES:
            raise ToolInputError(f"there is no pipeline {options.pipeline!r}; the pipelines are {', '.join(PIPELINES)}.")
        return parse_pipeline(options.pipeline, PIPELINES)
    pipeline = options.pass_pipeline if options.pass_pipeline is not None else options.passes
    if options.run_reproducer:
        found = _REPRODUCER.search(text)
        if not found:
            raise ToolInputError(f"{display_name(options.input)} is no reproducer: it names no pipeline.")
        pipeline = re.sub(r"\\(.)", r"\1", found[1])
    if others:
        if pipeline is not None:
            raise ToolInputError(f"{others[0]}: name all passes in one way, as options of their own or in one pipeline text.")
        pipeline = ",".join(_as_pass(parser, option) for option in others)
    return parse_pipeline(pipeline or "", PIPELINES)


def _as_pass(parser: Parser, option: str) -> str:
    """The pass that an option of its own names.

    Raises:
        ToolInputError: if it is neither; with the nearest name that there is.
    """
    from baco.lowering.passes import UnknownPass, check_passes, registered

    name, _, values = option.partition("=")
    name = name.lstrip("-")
    if not option.startswith("-") or not name:
        raise ToolInputError(f"{option!r} is one argument too many; there can be one input.")
    try:
        check_passes([name])
    except UnknownPass:
        near = difflib.get_close_matches(name, [o.lstrip("-") for o in parser._option_string_actions] + list(registered()), 1)
        hint = f"; did you mean --{near[0]}?" if near else "; baco-opt --help lists the options, --list-passes BACO's passes."
        raise ToolInputError(f"{option!r} is neither an option nor a pass{hint}") from None
    return f"{name}{{{values}}}" if values else name
