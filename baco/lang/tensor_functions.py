"""`baco.from_linalg`: a function on whole tensors, as torch-mlir makes it of a model, compiled into one program.

    f = baco.from_linalg(torch_mlir.fx.export_and_import(model, x, output_type="linalg-on-tensors"))
    y = f(x, hardware=..., backend=...)

Products of int8 matrices and int8 convolutions are tiled for the accelerator; everything else runs on the host core. There is no launch
grid: the arguments are the function's tensors, and its results are returned.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from baco.hardware import GemminiConfig
from baco.lang import launch
from baco.lang.errors import LaunchError
from baco.lang.jit import CPU, INTERPRETED, Specialisation
from baco.lang.launch import Options
from baco.lang.source import Signature
from baco.lang.types import KernelFacts
from baco.toolchain import digest

if TYPE_CHECKING:
    from baco.lowering.compiled import Compiled
    from baco.lowering.cpu import CpuProgram


def from_linalg(module: Any) -> TensorFunction:
    """A module with one function on ranked tensors, as text or as MLIR's own object, as a function to call with arrays.

    Raises:
        baco.lowering.errors.CompilationError: if it is not such a module.
    """
    operation = getattr(module, "operation", None)
    # With locations, so that remarks and errors name lines of the model.
    return TensorFunction(operation.get_asm(enable_debug_info=True) if operation is not None else str(module))


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(eq=False)
class TensorFunction:
    """A function on tensors, and its programs in this process."""

    text: str = field(repr=False)
    programs: dict[Any, Specialisation] = field(default_factory=dict, repr=False)
    compilations: int = 0
    """How many times this process compiled it, rather than finding it here or on disk."""

    def __post_init__(self) -> None:
        from baco.lowering.import_linalg import ELEMENTS, function_of, parameter_names, parse_tensors

        function = function_of(parse_tensors(self.text))
        self.__name__ = function.name.value
        types = [*function.type.inputs, *function.type.results]
        tensors = [_Tensor(n, tuple(t.shape), ELEMENTS[str(t.element_type)]) for n, t in zip(parameter_names(function), types, strict=True)]
        self.arguments, self.results = tensors[: len(function.type.inputs)], tensors[len(function.type.inputs) :]

    def __call__(self, *arguments: object, hardware: GemminiConfig | None = None, backend: str = "functional", num_stages: int = 1) -> Any:
        """Compile if needed, run, and return the result, or a tuple of the results: tensors if an argument is one, else NumPy arrays.

        `hardware`, `backend` and `num_stages` are as in a kernel's launch.

        Raises:
            LaunchError: if the arguments do not fit the function.
            baco.lowering.errors.CompilationError: if it cannot be compiled.
        """
        from baco import sim

        if backend == INTERPRETED:
            raise LaunchError(f"function {self.__name__} was not written in Python, so that it cannot be interpreted; use backend='cpu'.")
        if len(arguments) != len(self.arguments):
            raise LaunchError(f"function {self.__name__} takes {len(self.arguments)} tensors, but {len(arguments)} were given.")
        given = [self._checked(tensor, value) for tensor, value in zip(self.arguments, arguments, strict=True)]
        results = [np.zeros(t.shape, t.dtype) for t in self.results]
        special = self.warmup(hardware=hardware, backend=backend, num_stages=num_stages)
        if backend == CPU:
            special.compiled.run([*given, *results])
        else:
            ran = sim.run(special.program, special.compiled.config, [*given, *results], (1, 1, 1), backend=backend)
            launch.record(launch.Launch(self.__name__, special.compiled.config, ran))
        wrap = _as_given(arguments)
        return wrap(results[0]) if len(results) == 1 else tuple(map(wrap, results))

    def warmup(self, *, hardware: GemminiConfig | None = None, backend: str = "functional", num_stages: int = 1) -> Specialisation:
        """Compile without running.

        Raises:
            baco.lowering.errors.CompilationError: if it cannot be compiled.
        """
        target, options = CPU if backend == CPU else launch.machine(hardware), Options(num_stages)
        if (target, options) not in self.programs:
            self.programs[target, options] = self._find(target, options)
        return self.programs[target, options]

    def _checked(self, tensor: _Tensor, value: Any) -> np.ndarray:
        array = launch.as_array(self.__name__, tensor.name, value) if launch.is_array(value) else np.asarray(value)
        if array.shape != tensor.shape or array.dtype != np.dtype(tensor.dtype):
            wanted, there = ("x".join(map(str, s)) or "scalar" for s in (tensor.shape, array.shape))
            raise LaunchError(f"function {self.__name__}: {tensor.name} is {wanted} of {tensor.dtype}, not {there} of {array.dtype}.")
        return np.ascontiguousarray(array).reshape(tensor.shape)

    def _find(self, target: GemminiConfig | str, options: Options) -> Specialisation:
        from baco.lang import cache

        key = None if target == CPU else cache.Key(self.__name__, digest(self.text), "tensors", str(target.to_dict()), str(options))
        kept = cache.load(key) if key else None
        compiled = kept[0] if kept else self._compile(target, options)
        if key and not kept:
            cache.save(key, compiled, KernelFacts())
        return Specialisation(compiled, KernelFacts(), Signature((), ()), options)

    def _compile(self, target: GemminiConfig | str, options: Options) -> Compiled | CpuProgram:
        from baco.lowering.import_linalg import parse_tensors
        from baco.lowering.tensor_functions import compile_tensors, compile_tensors_for_cpu

        self.compilations += 1
        module = parse_tensors(self.text)
        if target == CPU:
            return compile_tensors_for_cpu(module)
        return compile_tensors(module, target, num_stages=options.num_stages)


def _as_given(arguments: Sequence[object]) -> Callable[[np.ndarray], Any]:
    """How results are handed back: as tensors where a tensor came in."""
    tensors = any(not isinstance(a, np.ndarray) and launch.is_array(a) for a in arguments)
    return sys.modules["torch"].from_numpy if tensors else lambda array: array
