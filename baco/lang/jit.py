"""`@baco.jit`: a Python function becomes a kernel that is compiled for its arguments and launched over a grid.

    @baco.jit
    def double(x, y, n, BLOCK: bl.constexpr): ...

    double[(4,)](x, y, n, BLOCK=64)

A kernel is specialised for the element types of its arrays, its compile-time values, the integers that are 1 (unit strides), and the
hardware; each specialisation is compiled once.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from baco import knobs
from baco.hardware import GemminiConfig
from baco.lang import launch
from baco.lang.errors import LaunchError
from baco.lang.language import INTERPRETER
from baco.lang.types import KernelFacts

if TYPE_CHECKING:
    from baco.lowering.cpu import CpuProgram, CpuResult
    from baco.lowering.pipelines import Compiled
    from baco.sim import RunResult

Grid = int | Sequence[int] | Callable[[dict[str, Any]], int | Sequence[int]]

CPU = "cpu"
"""The backend that runs a kernel in this process, past the accelerator and its compiler; see :mod:`baco.lowering.cpu`."""


@dataclass(frozen=True)
class Specialisation:
    """A kernel compiled for one signature and machine, and what its text says about its arrays."""

    compiled: Compiled | CpuProgram
    facts: KernelFacts
    signature: Any

    @property
    def asm(self) -> dict[str, str | bytes]:
        """Each stage's text under its name: baco, linalg, instgem, llvm, riscv; and elf, the bytes. On the CPU: linalg, llvm."""
        return self.compiled.asm

    @property
    def program(self) -> Any:
        return self.compiled.program


@dataclass(eq=False)
class JITFunction:
    """A kernel. Index it with a launch grid and call the result: ``kernel[grid](*arguments, **meta)``."""

    function: Callable[..., Any]
    interpret: bool = False
    """Whether launches run it as plain Python; see :mod:`baco.lang.interpreter`."""
    specialisations: dict[Any, Specialisation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        functools.update_wrapper(self, self.function)
        self.parameters = list(inspect.signature(self.function).parameters.values())
        unusual = [p.name for p in self.parameters if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if unusual:
            raise LaunchError(f"kernel {self.__name__}: parameter {unusual[0]!r} must be a plain one, without * or /.")
        self.constexprs = frozenset(p.name for p in self.parameters if _is_constexpr(p.annotation))

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        interpreter = INTERPRETER.get()
        if interpreter is not None:
            return interpreter.call(self.function, *arguments, **keywords)
        raise LaunchError(f"kernel {self.__name__} needs a launch grid: {self.__name__}[grid](...).")

    def __getitem__(self, grid: Grid) -> Callable[..., RunResult | CpuResult]:
        return functools.partial(self.run, grid=grid)

    def run(
        self, *arguments: object, grid: Grid, hardware: GemminiConfig | None = None, backend: str = "functional", **keywords: object
    ) -> RunResult | CpuResult:
        """Compile if needed, and run every program instance of the grid.

        Arrays are NumPy arrays or CPU tensors; those the kernel stores to hold the result afterwards. `hardware` is the machine to
        compile for and run on (gemmini-default if not given). `backend="cpu"` runs the kernel in this process instead, without the
        accelerator: what does not fit Gemmini runs too, nothing is counted, and reaching outside an array goes unnoticed. An interpreted
        kernel runs as plain Python, whatever the backend, and counts nothing either.

        Raises:
            LaunchError: if the grid or the arguments do not fit the kernel.
            baco.lowering.errors.CompilationError: if the kernel cannot be compiled.
            baco.sim.SimulationFault: if the program does something illegal.
        """
        from baco import sim

        bound = self.bind(arguments, keywords)
        if self.interpret:
            from baco.lang import interpreter

            interpreter.run(self.__name__, self.function, bound, self.constexprs, launch.grid_sizes(self.__name__, grid, bound))
            return sim.RunResult(sim.Counters(), 0)
        special = self._specialise(bound, CPU if backend == CPU else hardware or GemminiConfig())
        sizes = launch.grid_sizes(self.__name__, grid, bound)
        launch.check_extents(self.__name__, special.facts.extents, bound)
        names = [name for name, _, _ in special.signature.runtime]
        values = [launch.plain(bound[n]) for n in names]
        if backend == CPU:
            return special.compiled.run(values, sizes)
        return sim.run(special.program, special.compiled.config, values, sizes, backend=backend)

    def warmup(self, *arguments: object, grid: Grid = (1,), hardware: GemminiConfig | None = None, **keywords: object) -> Specialisation:
        """Compile without running. An array may be given as its NumPy dtype alone.

        Raises: as :meth:`run`, but for what only a run can show.
        """
        bound = self.bind(arguments, keywords)
        launch.grid_sizes(self.__name__, grid, bound)
        return self._specialise(bound, hardware or GemminiConfig())

    def bind(self, arguments: Sequence[object], keywords: Mapping[str, object]) -> dict[str, Any]:
        """Arguments by parameter name.

        Raises:
            LaunchError: if one is missing or there are too many.
        """
        try:
            bound = inspect.signature(self.function).bind(*arguments, **keywords)
        except TypeError as error:
            names = ", ".join(p.name for p in self.parameters)
            raise LaunchError(f"kernel {self.__name__}({names}): {error}.") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _specialise(self, bound: Mapping[str, Any], target: GemminiConfig | str) -> Specialisation:
        signature = launch.signature_of(self.__name__, bound, self.constexprs)
        key = (signature, target)
        if key not in self.specialisations:
            self.specialisations[key] = self._compile(signature, target)
        return self.specialisations[key]

    def _compile(self, signature: Any, target: GemminiConfig | str) -> Specialisation:
        from baco.lang.frontend import read_kernel
        from baco.lowering.cpu import compile_kernel_for_cpu
        from baco.lowering.pipelines import compile_kernel
        from baco.sim.program import Parameter

        module, facts = read_kernel(self.source, self._namespace(), signature)
        kinds = {"pointer": "buffer", "scalar": "scalar"}
        parameters = tuple(Parameter(n, kinds[kind], dtype, n in facts.stored) for n, kind, dtype in signature.runtime)
        compiled = compile_kernel_for_cpu(module, parameters) if target == CPU else compile_kernel(module, parameters, target)
        return Specialisation(compiled, facts, signature)

    @functools.cached_property
    def source(self) -> Any:
        """The kernel's text and where it stands."""
        from baco.lang.frontend import KernelSource

        try:
            lines, first = inspect.getsourcelines(self.function)
        except (OSError, TypeError):
            raise LaunchError(f"kernel {self.__name__}: its source text cannot be found; define it in a file.") from None
        text = "".join(lines)
        tree = ast.parse(textwrap.dedent(text)).body[0]
        indent = len(lines[0]) - len(lines[0].lstrip())
        return KernelSource(tree, inspect.getsourcefile(self.function) or "<unknown>", first, indent)

    def _namespace(self) -> dict[str, Any]:
        """Names the kernel may use from around it."""
        closure = inspect.getclosurevars(self.function)
        return {**closure.globals, **closure.nonlocals}


def _is_constexpr(annotation: object) -> bool:
    """Whether an annotation is bl.constexpr, also as text (postponed evaluation)."""
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.split(".")[-1] == "constexpr"


def jit(function: Callable[..., Any] | None = None, *, interpret: bool | None = None) -> Any:
    """Make a kernel of a function; see the module's description.

    `interpret` runs it as plain Python over NumPy instead, with `print` and `breakpoint()`; if it is not given, BACO_INTERPRET decides.
    """
    if function is None:
        return functools.partial(jit, interpret=interpret)
    return JITFunction(function, knobs.interpret.value if interpret is None else interpret)
