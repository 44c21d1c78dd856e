"""`@baco.jit`: a Python function becomes a kernel that is compiled for its arguments and launched over a grid.

    @baco.jit
    def double(x, y, n, BLOCK: bl.constexpr): ...

    double[(4,)](x, y, n, BLOCK=64)

A kernel is specialised for the element types of its arrays, its compile-time values, the integers that are 1 (unit strides), the hardware
and the options; each specialisation is compiled once, and kept on disk (:mod:`baco.lang.cache`).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baco import knobs
from baco.hardware import GemminiConfig
from baco.lang import launch
from baco.lang.builtins import INTERPRETER
from baco.lang.errors import LaunchError
from baco.lang.launch import Options
from baco.lang.source import KernelSource, NoCanonicalText, Signature, namespace_of, read_source, signature_text
from baco.lang.types import KernelFacts
from baco.lowering.choices import GRID_ORDER

if TYPE_CHECKING:
    from baco.dialects.mlir import ir
    from baco.lang.cache import Key
    from baco.lowering.analysis import Requirements
    from baco.lowering.compiled import Compiled
    from baco.lowering.cpu import CpuProgram, CpuResult
    from baco.sim import RunResult
    from baco.sim.counters import Counters
    from baco.traffic import Traffic

Grid = int | Sequence[int] | Callable[[dict[str, Any]], int | Sequence[int]]

CPU = "cpu"
"""The backend that runs a kernel in this process, past the accelerator and its compiler; see :mod:`baco.lowering.cpu`."""
INTERPRETED = "interpreter"
"""The backend that runs a kernel as plain Python; see :mod:`baco.lang.interpreter`."""


@dataclass(frozen=True)
class Specialisation:
    """A kernel compiled for one signature and machine, and what its text says about its arrays."""

    compiled: Compiled | CpuProgram
    facts: KernelFacts
    signature: Signature
    options: Options

    @property
    def asm(self) -> dict[str, str | bytes]:
        """Each stage's text under its name: baco, linalg, instgem, llvm, riscv; and elf, the bytes. On the CPU: linalg, llvm."""
        return self.compiled.asm

    @property
    def program(self) -> Any:
        return self.compiled.program

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the compiler decided that its user may want to know, each with its place; on the CPU nothing."""
        return getattr(self.compiled, "remarks", ())

    @property
    def requirements(self) -> Requirements:
        """The rows of each memory that the program uses, and the least hardware that has them."""
        return self._accelerated.requirements

    def counters(self, grid: int | Sequence[int], **scalars: int | float) -> Counters:
        """What a launch over `grid` would count, without running it; see :meth:`baco.lowering.compiled.Compiled.counters`."""
        return self._accelerated.counters(grid, **scalars)

    def traffic(self, grid: int | Sequence[int], **scalars: int | float) -> Traffic:
        """The words that a launch over `grid` would move at every level, and its multiply-accumulates."""
        return self._accelerated.traffic(grid, **scalars)

    @property
    def _accelerated(self) -> Compiled:
        from baco.lowering.compiled import Compiled

        if isinstance(self.compiled, Compiled):
            return self.compiled
        raise LaunchError(
            f"kernel {self.signature.name} was compiled for the CPU, where nothing is counted; compile it for the accelerator."
        )


class Launchable:
    """Something to index with a launch grid and to call then: ``kernel[grid](*arguments, **meta)``."""

    def __getitem__(self, grid: Grid) -> Callable[..., RunResult | CpuResult]:
        return functools.partial(self.run, grid=grid)

    def run(self, *arguments: object, grid: Grid, **keywords: object) -> RunResult | CpuResult:
        raise NotImplementedError


RESERVED = ("grid", "hardware", "backend", *launch.KEYWORDS)
"""Keywords of a launch, which a kernel's parameters cannot be called."""


@dataclass(eq=False)
class JITFunction(Launchable):
    """A kernel, and its specialisations in this process."""

    function: Callable[..., Any]
    interpret: bool = False
    """Whether launches run it as plain Python; see :mod:`baco.lang.interpreter`."""
    specialisations: dict[Any, Specialisation] = field(default_factory=dict)
    compilations: int = 0
    """How many times this process compiled it, rather than finding it here or on disk."""

    reserved = RESERVED

    def __post_init__(self) -> None:
        functools.update_wrapper(self, self.function)
        self.parameters = list(inspect.signature(self.function).parameters.values())
        unusual = [p.name for p in self.parameters if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if unusual:
            raise LaunchError(f"kernel {self.__name__}: parameter {unusual[0]!r} must be a plain one, without * or /.")
        taken = [p.name for p in self.parameters if p.name in self.reserved]
        if taken:
            raise LaunchError(f"kernel {self.__name__}: parameter {taken[0]!r} has the name of a launch keyword; call it something else.")
        self.constexprs = frozenset(p.name for p in self.parameters if _is_constexpr(p.annotation))

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        interpreter = INTERPRETER.get()
        if interpreter is not None:
            return interpreter.call(self.function, *arguments, **keywords)
        raise LaunchError(f"kernel {self.__name__} needs a launch grid: {self.__name__}[grid](...).")

    def run(
        self,
        *arguments: object,
        grid: Grid,
        hardware: GemminiConfig | None = None,
        backend: str = "functional",
        num_stages: int = 1,
        instructions: str = "primitive",
        grid_order: Sequence[int] = GRID_ORDER,
        keep_resident: bool = True,
        **keywords: object,
    ) -> RunResult | CpuResult:
        """Compile if needed, and run every program instance of the grid.

        Arrays are NumPy arrays or CPU tensors; those the kernel stores to hold the result afterwards. `hardware` is the machine to
        compile for and run on (gemmini-default if not given). `backend="cpu"` runs the kernel in this process instead, without the
        accelerator: what does not fit Gemmini runs too, nothing is counted, and reaching outside an array goes unnoticed.
        With `backend="interpreter"`, or an interpreted kernel, it runs as plain Python, which counts nothing either. `num_stages` is how
        deep loads are buffered; `instructions` what products become: "primitive" instructions, Gemmini's "loops" or, with "auto", the
        cheaper of both where loops can do them. `grid_order` names the axes of the grid from the innermost on: (1, 0) runs the instances
        along axis 1 one after the other, and axis 0 around them. Blocks that several instances in a row use stay on the chip where there
        is room, unless `keep_resident` is False.

        Raises:
            LaunchError: if the grid or the arguments do not fit the kernel.
            baco.lowering.errors.CompilationError: if the kernel cannot be compiled.
            baco.sim.SimulationFault: if the program does something illegal.
        """
        from baco import sim

        options = Options(num_stages, instructions, grid_order, keep_resident)
        bound = self.bind(arguments, keywords)
        if self.interpret or backend == INTERPRETED:
            from baco.lang import interpreter

            sizes = launch.grid_sizes(self.__name__, grid, bound)
            interpreter.run(self.__name__, self.function, bound, self.constexprs, sizes, options.grid_order)
            return sim.RunResult(sim.Counters(), 0)
        special = self._specialise(bound, CPU if backend == CPU else launch.machine(hardware), options)
        sizes = launch.grid_sizes(self.__name__, grid, bound)
        launch.check_extents(self.__name__, special.facts.extents, bound)
        names = [name for name, _, _ in special.signature.runtime]
        values = [launch.plain(bound[n]) for n in names]
        if backend == CPU:
            ran = special.compiled.run(values, sizes, options.grid_order)
            launch.check_exit(self.__name__, ran.exit_code, ran.output.decode())
            return ran
        result = sim.run(special.program, special.compiled.config, values, sizes, backend=backend)
        launch.record(launch.Launch(self.__name__, special.compiled.config, result))
        output = result.output.decode(errors="replace")
        print(output, end="")
        launch.check_exit(self.__name__, result.exit_code, output)
        return result

    def warmup(
        self,
        *arguments: object,
        grid: Grid = (1,),
        hardware: GemminiConfig | None = None,
        num_stages: int = 1,
        instructions: str = "primitive",
        grid_order: Sequence[int] = GRID_ORDER,
        keep_resident: bool = True,
        **keywords: object,
    ) -> Specialisation:
        """Compile without running. An array may be given as its NumPy dtype alone.

        Raises: as :meth:`run`, but for what only a run can show.
        """
        bound = self.bind(arguments, keywords)
        launch.grid_sizes(self.__name__, grid, bound)
        return self._specialise(bound, launch.machine(hardware), Options(num_stages, instructions, grid_order, keep_resident))

    def bind(self, arguments: Sequence[object], keywords: Mapping[str, object]) -> dict[str, Any]:
        """Arguments by parameter name.

        Raises:
            LaunchError: if one is missing or there are too many.
        """
        keywords = launch.without_gpu(keywords, [p.name for p in self.parameters], stacklevel=3)
        try:
            bound = inspect.signature(self.function).bind(*arguments, **keywords)
        except TypeError as error:
            names = ", ".join(p.name for p in self.parameters)
            raise LaunchError(f"kernel {self.__name__}({names}): {error}.") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _specialise(self, bound: Mapping[str, Any], target: GemminiConfig | str, options: Options) -> Specialisation:
        signature = self.signature_of(bound)
        try:
            key = (signature_text(signature), target, options)  # a text, because 1, 1.0 and True are equal but compile differently
        except NoCanonicalText:
            key = (signature, target, options)
        if key not in self.specialisations:
            self.specialisations[key] = self._find(signature, target, options)
        return self.specialisations[key]

    def _find(self, signature: Signature, target: GemminiConfig | str, options: Options) -> Specialisation:
        """Read a specialisation from the cache on disk, or compile it and keep it there."""
        from baco.lang import cache

        files = {} if target == CPU else cache.overrides(self.__name__, signature, (target, options))
        key = None if target == CPU or files else self.key_on_disk(signature, target, options)
        kept = cache.load(key) if key else None
        compiled, facts = kept or self._compile(signature, target, options, files)
        if key and not kept:
            cache.save(key, compiled, facts)
        special = Specialisation(compiled, facts, signature, options)
        cache.dump(self.__name__, special.signature, (target, options), special.asm)
        return special

    def _compile(
        self, signature: Signature, target: GemminiConfig | str, options: Options, files: Mapping[str, Path]
    ) -> tuple[Compiled | CpuProgram, KernelFacts]:
        from baco.lowering.cpu import compile_kernel_for_cpu
        from baco.lowering.pipelines import compile_kernel
        from baco.sim.program import Parameter

        self.compilations += 1
        module, facts, before = self.read(signature)
        kinds = {"pointer": "buffer", "scalar": "scalar"}
        parameters = tuple(Parameter(n, kinds[kind], dtype, n in facts.stored) for n, kind, dtype in signature.runtime)
        if target == CPU:
            compiled = compile_kernel_for_cpu(module, parameters)
        else:
            chosen = {name: getattr(options, name) for name in launch.KEYWORDS}
            compiled = compile_kernel(module, parameters, target, **chosen, files=files)
        return dataclasses.replace(compiled, asm={**before, **compiled.asm}), facts

    # What another front end does its own way -----------------------------------------------------------------------------------------

    def signature_of(self, bound: Mapping[str, Any]) -> Signature:
        """What these arguments specialise the kernel to."""
        return launch.signature_of(self.__name__, bound, self.constexprs)

    def key_on_disk(self, signature: Signature, hardware: GemminiConfig, options: Options) -> Key | None:
        """What a compilation is kept under on disk; None if it is not kept."""
        from baco.lang import cache

        return cache.key_of(self.function, signature, hardware, options)

    def read(self, signature: Signature) -> tuple[ir.Module, KernelFacts, dict[str, str]]:
        """The kernel in the baco dialect, what reading it showed, and the texts of stages before that one."""
        from baco.lang.frontend import read_kernel

        return *read_kernel(self.source, self.namespace, signature), {}

    @functools.cached_property
    def source(self) -> KernelSource:
        """The kernel's text and where it stands."""
        return read_source(self.function)

    @property
    def namespace(self) -> dict[str, Any]:
        """Names the kernel may use from around it."""
        return namespace_of(self.function)


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
