"""Kernels as plain Python over NumPy, one program instance after the other: ``BACO_INTERPRET=1`` or ``@baco.jit(interpret=True)``.

The kernel's own code runs, so `print`, `breakpoint()` and stepping work inside it. While it runs, the functions of
:mod:`baco.language` come here by name, are done by :mod:`baco.lang.interpreter_builtins`, and work on the values of
:mod:`baco.lang.interpreter_values` and :mod:`baco.lang.interpreter_memory`.

Stricter than the machine in one thing: a block that leaves its tensor in a dimension that is not boundary-checked is an error here, also
where the array goes on.
"""

from __future__ import annotations

import bdb
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import CellType, CodeType, FunctionType, TracebackType
from typing import Any

import numpy as np

from baco.errors import BacoError
from baco.lang import launch
from baco.lang.builtins import INTERPRETER
from baco.lang.errors import (
    CompileTimeAssertionFailure,
    DeviceAssertionFailure,
    InterpreterError,
    KernelTypeError,
    SemanticError,
    SourceLocation,
)
from baco.lang.interpreter_builtins import BUILTINS, PYTHON, StaticAssertion
from baco.lang.interpreter_functions import DeviceAssertion
from baco.lang.interpreter_memory import Memory, OutOfBounds, Pointer
from baco.lang.interpreter_values import Block
from baco.lang.types import constexpr
from baco.lowering.choices import GRID_ORDER, program_instances


class Interpreter:
    """One launch of one kernel. Called by the builtins with their name and arguments."""

    def __init__(self, kernel: str, grid: tuple[int, int, int], order: Sequence[int]) -> None:
        self.kernel = kernel
        self.grid = grid
        self.order = order
        self.instance = (0, 0, 0)
        self.files: set[str] = set()
        """Where the kernel and the device functions it called are written."""
        self.adapted: dict[Callable[..., Any], Callable[..., Any]] = {}
        """The same functions, with `range`, `min` and `max` that know run-time numbers."""

    def __call__(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        try:
            function = BUILTINS[name]
        except KeyError:
            raise SemanticError(f"bl.{name} has no meaning in the interpreter yet; run the kernel compiled.") from None
        try:
            inspect.signature(function).bind(*arguments, **keywords)
        except TypeError as error:
            raise SemanticError(f"bl.{name}: {error}.") from None
        return function(*arguments, **keywords)

    def run(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        """Run every program instance.

        Raises:
            KernelTypeError, CompileTimeAssertionFailure: for what the compiler would refuse too.
            InterpreterError: for whatever else goes wrong in the kernel, with its line and program instance.
        """
        token = INTERPRETER.set(self)
        try:
            for instance in program_instances(self.grid, self.order):
                self.instance = instance
                self._instance(function, arguments)
        finally:
            INTERPRETER.reset(token)

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call a function of the kernel's: the kernel itself, or a device function."""
        self.files.add(function.__code__.co_filename)
        if function not in self.adapted:
            names = {name: _plain(value) for name, value in {**PYTHON, **function.__globals__}.items()}
            cells = tuple(map(_plain_cell, function.__closure__ or ()))
            copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
            copy.__kwdefaults__ = function.__kwdefaults__
            self.adapted[function] = copy
        return self.adapted[function](*arguments, **keywords)

    def _instance(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        """Run one program instance, with errors put at their line."""
        try:
            self.call(function, **arguments)
        except (BacoError, bdb.BdbQuit):
            raise
        except SemanticError as error:
            place = self._place(error.__traceback__)
            kind = CompileTimeAssertionFailure if isinstance(error, StaticAssertion) else KernelTypeError
            raise kind(str(error), place) from None
        except AssertionError as error:
            raise CompileTimeAssertionFailure(
                f"assert failed{f': {error}' if str(error) else ''}.", self._place(error.__traceback__)
            ) from None
        except DeviceAssertion as error:
            raise DeviceAssertionFailure(f"in program instance {self.instance}: {error}", self._place(error.__traceback__)) from None
        except OutOfBounds as error:
            raise InterpreterError(str(error), self.instance, self._place(error.__traceback__)) from None
        except Exception as error:
            raise InterpreterError(
                f"{type(error).__name__}: {str(error).rstrip('.')}.", self.instance, self._place(error.__traceback__)
            ) from error

    def _place(self, trace: TracebackType | None) -> SourceLocation | None:
        """The innermost line of kernel code in a traceback."""
        place = None
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_filename in self.files:
                place = SourceLocation(code.co_filename, trace.tb_lineno, 1 + _column(code, trace.tb_lasti))
            trace = trace.tb_next
        return place


def _plain(value: Any) -> Any:
    """What a name outside a kernel stands for in it: a constant for ``bl.constexpr(constant)``."""
    return value.value if isinstance(value, constexpr) else value


def _plain_cell(cell: CellType) -> CellType:
    try:
        return CellType(_plain(cell.cell_contents)) if isinstance(cell.cell_contents, constexpr) else cell
    except ValueError:  # a name that is not bound yet
        return cell


def _column(code: CodeType, instruction: int) -> int:
    """Where in its line an instruction's expression starts."""
    positions = next(itertools.islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    return positions[2] or 0


def run(
    kernel: str,
    function: Callable[..., Any],
    bound: Mapping[str, Any],
    constexprs: frozenset[str],
    grid: tuple[int, int, int],
    order: Sequence[int] = GRID_ORDER,
) -> None:
    """Interpret a launch: `bound` are the arguments by name, as the caller gave them; `order` are the grid's axes, the innermost first."""
    launch.signature_of(kernel, bound, constexprs)  # the same arguments are refused as for a compiled kernel
    values = {name: value if name in constexprs else _value(kernel, name, value) for name, value in bound.items()}
    Interpreter(kernel, grid, order).run(function, values)


def _value(kernel: str, name: str, value: Any) -> Any:
    if launch.is_array(value):
        return Pointer(Memory(name, launch.plain(launch.as_array(kernel, name, value)).reshape(-1)))
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return 1 if value == 1 else Block(np.int64(value))  # integers that are 1 are compiled in
    if isinstance(value, (float, np.floating)):
        return Block(np.float32(value))
    return value
