"""Arguments of a launch: their types, the grid, and whether arrays are as large as the kernel takes them to be."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from baco import knobs
from baco.hardware import GemminiConfig
from baco.lang.errors import DeviceAssertionFailure, LaunchError, ShapeMismatch, SourceLocation
from baco.lang.source import Signature
from baco.lang.types import BY_NAME, DType, Extent, evaluate
from baco.lowering.choices import AXES, GRID_ORDER, INSTRUCTIONS, PRIMITIVE, whole_grid_order
from baco.sim.program import STOPPED

if TYPE_CHECKING:
    from baco.sim import RunResult

GPU_ONLY = ("num_warps", "num_ctas", "maxnreg")
"""Launch keywords of Triton's that this machine has no use for."""


@dataclass(frozen=True)
class Options:
    """How to compile, beside the kernel's own arguments."""

    num_stages: int = 1
    """How many copies a load-and-use loop's buffers get, so that loads run ahead; 1 is one copy, without overlap."""
    instructions: str = PRIMITIVE
    """Which instructions do products; one of :data:`baco.lowering.choices.INSTRUCTIONS`."""
    grid_order: tuple[int, ...] = GRID_ORDER
    """The axes of the grid from the innermost on, as (1, 0); those not named are outermost."""
    keep_resident: bool = True
    """Whether blocks that several program instances use stay on the chip where there is room (:mod:`baco.lowering.keep_resident`)."""
    debug: bool = field(default_factory=lambda: knobs.debug.value)
    """Whether `device_assert` is compiled in."""

    line_info: bool = field(default_factory=lambda: not knobs.disable_line_info.value)
    """Whether the ELF has a table of the kernel's lines."""

    def __post_init__(self) -> None:
        if not isinstance(self.num_stages, int) or isinstance(self.num_stages, bool) or self.num_stages < 1:
            raise LaunchError(f"num_stages must be a whole number of at least 1, but is {self.num_stages!r}.")
        if self.instructions not in INSTRUCTIONS:
            raise LaunchError(f"instructions must be one of {', '.join(INSTRUCTIONS)}, but is {self.instructions!r}.")
        order = whole_grid_order(self.grid_order) if isinstance(self.grid_order, (tuple, list)) else None
        if order is None:
            raise LaunchError(
                f"grid_order must be axes of the grid from the innermost on, such as (1, 0) or (2, 0, 1), but is {self.grid_order!r}."
            )
        object.__setattr__(self, "grid_order", order)
        if not isinstance(self.keep_resident, bool):
            raise LaunchError(f"keep_resident must be True or False, but is {self.keep_resident!r}.")


KEYWORDS = ("num_stages", "instructions", "grid_order", "keep_resident")
"""The options that are keywords of a launch."""


def without_gpu(keywords: Mapping[str, Any], parameters: Sequence[str], stacklevel: int) -> dict[str, Any]:
    """Launch keywords without those that mean something on a GPU only, with a warning for each."""
    left = dict(keywords)
    for name in GPU_ONLY:
        if name in left and name not in parameters:
            del left[name]
            warnings.warn(f"{name} has no meaning on Gemmini and is ignored.", UserWarning, stacklevel=stacklevel + 1)
    return left


@dataclass(frozen=True)
class Launch:
    """A launch that was run and counted."""

    kernel: str
    hardware: GemminiConfig
    result: RunResult


def check_exit(kernel: str, exit_code: int, output: str) -> None:
    """Tell of a check that ended the program.

    Raises:
        DeviceAssertionFailure: with the last line that the program printed, which says where.
    """
    if exit_code == STOPPED:
        last = output.splitlines()[-1]
        found = re.search(r"(\S+):(\d+):(\d+): (device assertion failed.*)", last)
        place = SourceLocation(found[1], int(found[2]), int(found[3])) if found else None
        instance = re.match(r"pid (\([^)]*\)) idx (\([^)]*\))", last)
        where = f"in program instance {instance[1]}{f', element {instance[2]}' if instance[2] != '()' else ''}: " if instance else ""
        raise DeviceAssertionFailure(f"kernel {kernel}: {where}{found[4] if found else last}.", place)


_RECORDS: ContextVar[tuple[list[Launch], ...]] = ContextVar("records", default=())


@contextmanager
def recorded(*, hidden: bool = False) -> Iterator[list[Launch]]:
    """The launches that the statements inside make, in a list that grows as they are made; `hidden` from whoever records around them."""
    launches: list[Launch] = []
    token = _RECORDS.set((launches,) if hidden else (*_RECORDS.get(), launches))
    try:
        yield launches
    finally:
        _RECORDS.reset(token)


def record(launch: Launch) -> None:
    """Tell whoever listens."""
    for launches in _RECORDS.get():
        launches.append(launch)


def is_array(value: object) -> bool:
    """A NumPy array or something that gives one, as a torch tensor does."""
    return isinstance(value, np.ndarray) or (hasattr(value, "data_ptr") and hasattr(value, "numpy"))


def as_array(kernel: str, name: str, value: Any) -> np.ndarray:
    """The NumPy array that shares an argument's memory.

    Raises:
        LaunchError: if the argument lives on a device, or shares nothing.
    """
    if isinstance(value, np.ndarray):
        return value
    try:
        return value.detach().numpy()
    except (TypeError, RuntimeError) as error:
        raise LaunchError(f"kernel {kernel}: argument {name!r}: {error} Pass a CPU tensor.") from None


def plain(value: Any) -> Any:
    """What the machine is given for an argument: scalars as they are; for an array, all the memory it spans as one flat array."""
    if not is_array(value):
        return value
    array = as_array("", "", value)
    if array.flags.c_contiguous:
        return array
    # A pointer reaches everything between the first and the last element; strides are the kernel's business.
    return np.lib.stride_tricks.as_strided(array, shape=(span(array),), strides=(array.itemsize,))


def span(array: np.ndarray) -> int:
    """Elements from the first to the last in memory, gaps included."""
    return 1 + sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)) // array.itemsize if array.size else 0


def signature_of(kernel: str, bound: Mapping[str, Any], constexprs: frozenset[str]) -> Signature:
    """What these arguments specialise a kernel to.

    Raises:
        LaunchError: for an argument of a type that kernels do not take.
    """
    runtime, constants = [], []
    for name, value in bound.items():
        if name in constexprs or isinstance(value, bool) or value is None or _is_one(value):
            constants.append((name, int(value) if _is_one(value) else value))
        else:
            runtime.append((name, *_kind(kernel, name, value)))
    signature = Signature(tuple(runtime), tuple(constants))
    try:
        hash(signature)
    except TypeError:
        raise LaunchError(f"kernel {kernel}: compile-time arguments must be numbers, strings, types or tuples of them.") from None
    return signature


def _is_one(value: object) -> bool:
    """Integers that are 1 are compiled in, because unit strides decide what the hardware can move (Triton does the same)."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value == 1


def _kind(kernel: str, name: str, value: Any) -> tuple[str, str]:
    if is_array(value):
        array = as_array(kernel, name, value)
        if any(s < 0 for s in array.strides):
            raise LaunchError(f"kernel {kernel}: argument {name!r} has negative strides; pass a copy.")
        return "pointer", _element(kernel, name, array.dtype)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return "pointer", _element(kernel, name, np.dtype(value))
    if isinstance(value, (int, np.integer)):
        if not -(1 << 63) <= int(value) < 1 << 63:
            raise LaunchError(f"kernel {kernel}: argument {name!r} is {value}, which does not fit a 64-bit integer.")
        return "scalar", "int64"
    if isinstance(value, (float, np.floating)):
        return "scalar", "float32"
    if isinstance(value, DType):
        raise LaunchError(f"kernel {kernel}: parameter {name!r} is given the type {value}; annotate it as bl.constexpr.")
    raise LaunchError(
        f"kernel {kernel}: argument {name!r} is a {type(value).__name__}; kernels take arrays, integers and floats, or bl.constexpr values."
    )


def machine(hardware: object) -> GemminiConfig:
    """The machine of a launch: Gemmini's default one if none is given.

    Raises:
        LaunchError: if it is something else than a machine's description, a preset's name for example.
    """
    if hardware is None:
        return GemminiConfig()
    if isinstance(hardware, GemminiConfig):
        return hardware
    raise LaunchError(
        f"hardware must be a baco.GemminiConfig, but is {type(hardware).__name__}; baco.hardware.preset(name) makes one of a preset's name."
    )


def _element(kernel: str, name: str, dtype: np.dtype) -> str:
    if dtype.name not in BY_NAME or dtype.name == "int1":
        raise LaunchError(
            f"kernel {kernel}: argument {name!r} has elements of {dtype.name}; kernels take int8, int16, int32, int64 and float32."
        )
    return dtype.name


def grid_sizes(kernel: str, grid: Any, bound: Mapping[str, Any]) -> tuple[int, int, int]:
    """The three sizes of a launch grid given as a number, a tuple, or a function of the arguments.

    Raises:
        LaunchError: if it is none of these, or a size is not a positive number.
    """
    sizes = grid(dict(bound)) if callable(grid) else grid
    sizes = (sizes,) if isinstance(sizes, (int, np.integer)) else sizes
    ok = isinstance(sizes, Sequence) and 1 <= len(sizes) <= AXES and all(isinstance(s, (int, np.integer)) and s > 0 for s in sizes)
    if not ok:
        raise LaunchError(f"kernel {kernel}: the grid must be one to three positive integers, but is {sizes!r}.")
    return tuple([int(s) for s in sizes] + [1] * (AXES - len(sizes)))


def check_extents(kernel: str, extents: Sequence[Extent], bound: Mapping[str, Any]) -> None:
    """Compare each array with the tensors that the kernel lays over it, as far as its arguments decide their sizes.

    Raises:
        ShapeMismatch: if an array is too small.
    """
    integers = {n: int(v) for n, v in bound.items() if isinstance(v, (int, np.integer))}
    for extent in extents:
        sizes = [evaluate(s, integers) for s in extent.shape]
        strides = [evaluate(s, integers) for s in extent.strides]
        if None in sizes or None in strides or any(s < 1 for s in sizes):
            continue
        needed = 1 + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        there = span(as_array(kernel, extent.parameter, bound[extent.parameter]))
        if needed > there:
            detail = f"shape {' x '.join(map(str, sizes))}, strides {', '.join(map(str, strides))}"
            raise ShapeMismatch(kernel, extent.parameter, needed, there, detail)
