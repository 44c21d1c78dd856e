"""Run passes over a module one by one, with what mlir-opt offers around each: printing, timing, diagnostics, a reproducer."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from baco.dialects.mlir import context, ir
from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.lowering.errors import CompilationError, SourceLocation
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.remarks import REMARKS
from baco.lowering.tools.common import Diagnostic, Note, ToolFailure, collected, failure_of, parse_module, place_in, write
from baco.lowering.tools.pipeline_text import Step

_REMARK = re.compile(r"(.*):(\d+):(\d+): (.*)")


@dataclass(frozen=True)
class Printing:
    """When to print the program, and how (arguments of `Operation.get_asm`)."""

    before_all: bool = False
    after_all: bool = False
    after_change: bool = False
    after_failure: bool = False
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    style: Mapping[str, bool] = field(default_factory=dict)


@dataclass
class Session:
    """Transforms modules, and adds up how long each pass took."""

    note: Note
    printing: Printing
    hardware: GemminiConfig | None = None
    reproducer: str | None = None
    keep_traceback: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def transform(self, text: str, file: str, steps: Sequence[Step]) -> tuple[str | None, list[Diagnostic]]:
        """The text of a module after passes, None if something failed; and every diagnostic."""
        with collected(file) as found:
            try:
                module = self.parse(text, file)
                if self.hardware:
                    set_hardware(module, self.hardware)
                found += self.run(module, file, steps)
                self.note(f"printing the result of {file}")
                with self._timed("Output"):
                    return self._asm(module).rstrip("\n") + "\n", found
            except ToolFailure as failure:
                return None, [*found, *failure.diagnostics]

    def parse(self, text: str, file: str) -> ir.Module:
        """The module in a text.

        Raises:
            ToolFailure: with the places of what is wrong.
        """
        self.note(f"parsing {file}")
        with self._timed("Parser"):
            return parse_module(text, file)

    def run(self, module: ir.Module, file: str, steps: Sequence[Step]) -> list[Diagnostic]:
        """Run passes over a module; the remarks that they leave.

        Raises:
            ToolFailure: if a pass refuses the module.
        """
        for i, step in enumerate(steps):
            if self.reproducer:
                self._reproduce(module, steps[i:])
            self._step(module, step, file)
        if self.reproducer:
            Path(self.reproducer).unlink(missing_ok=True)
        return [Diagnostic("remark", d.message, place_in(d.place, file)) for d in _remarks(module)]

    def _step(self, module: ir.Module, step: Step, file: str) -> None:
        show = self.printing
        before = self._asm(module) if show.after_change else ""
        if show.before_all or step.name in show.before:
            self._dump("Before", step, module)
        left = f"; its input is in {self.reproducer}" if self.reproducer else ""
        self.note(f"running {step.text} on {file}{left}")
        try:
            with self._timed(step.text):
                self._run(module, step)
        except CompilationError as error:
            if show.after_all or show.after_failure or step.name in show.after:
                self._dump("After", step, module, " Failed")
            raise failure_of(error, file) from None
        if show.after_all or step.name in show.after or (show.after_change and self._asm(module) != before):
            self._dump("After", step, module)

    def _run(self, module: ir.Module, step: Step) -> None:
        """Run one pass. BACO's are written for what the passes before them make; on other programs they may break in any way."""
        try:
            run_passes(module, [step.text])
        except CompilationError:
            raise
        except BacoError as error:
            raise CompilationError(f"{step.name}: {error}") from None
        except Exception as error:
            if self.keep_traceback:
                raise
            raise CompilationError(
                f"{step.name}: this program is not one that the pass is made for: {type(error).__name__}: {_first_line(error)}"
            ) from None

    def _asm(self, module: ir.Module) -> str:
        with context():
            return module.operation.get_asm(**self.printing.style)

    def _dump(self, when: str, step: Step, module: ir.Module, failed: str = "") -> None:
        sys.stderr.write(f"// -----// IR Dump {when} {step.text}{failed} //----- //\n{self._asm(module)}\n\n")

    def _reproduce(self, module: ir.Module, rest: Sequence[Step]) -> None:
        """Write the program as it is now with the passes that are left, as mlir-opt does; removed again when they succeed."""
        with context():
            text = module.operation.get_asm(enable_debug_info=True)
        pipeline = ",".join(step.text for step in rest).replace("\\", "\\\\").replace('"', '\\"')
        settings = f'pipeline: "builtin.module({pipeline})",\n      disable_threading: true,\n      verify_each: true'
        resources = f"external_resources: {{\n    mlir_reproducer: {{\n      {settings}\n    }}\n  }}"
        write(self.reproducer, f"{text}\n\n{{-#\n  {resources}\n#-}}\n")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def timing_table(self, total: float) -> str:
        """The seconds of each pass, in MLIR's form."""
        rule = "===" + "-" * 73 + "==="
        rows = {**self.seconds, "Rest": max(total - sum(self.seconds.values()), 0.0), "Total": total}
        lines = [f"  {s:8.4f} ({s / total if total else 0:6.1%})  {name}" for name, s in rows.items()]
        title = "... Execution time report ...".center(79).rstrip()
        head = f"  Total Execution Time: {total:.4f} seconds\n\n  ----Wall Time----  ----Name----"
        return "\n".join([rule, title, rule, head, *lines, ""])


def _remarks(module: ir.Module) -> list[Diagnostic]:
    """The remarks that passes have left on a module."""
    texts = module.operation.attributes.get(REMARKS, ())
    found = []
    for text in texts if isinstance(texts, ir.ArrayAttr) else ():
        if isinstance(text, ir.StringAttr):
            match = _REMARK.fullmatch(text.value)
            place = SourceLocation(match[1], int(match[2]), int(match[3])) if match else None
            found.append(Diagnostic("remark", match[4] if match else text.value, place))
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no more is known"])[0]
