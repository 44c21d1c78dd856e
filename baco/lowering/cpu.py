"""The CPU path: a kernel through loops and LLVM into this process, as a check of the accelerator path that shares none of its passes.

A compiled kernel is a function of this process that works in the caller's arrays, one call for each point of the launch grid. Nothing
stands between it and memory: a kernel that reaches outside its arrays, which the simulator would stop, does so here.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baco.dialects.mlir import context, ir
from baco.lowering.choices import GRID_ORDER, program_instances
from baco.lowering.device_print import PUT, PUT_FLOAT, PUT_INT, STOP
from baco.lowering.errors import CompilationError
from baco.lowering.llvm_text import translate
from baco.lowering.passes import kernel_of, run_passes
from baco.lowering.pipelines import PIPELINES
from baco.sim.errors import ProgramError
from baco.sim.loader import checked_array, grid_slots, scalar_slot
from baco.sim.program import STOPPED, Parameter

ENTRY = "baco_kernel"
"""The function's name on the host, whatever the kernel is called: a kernel may be called malloc."""


@dataclass(frozen=True)
class CpuResult:
    """What a run on the host says of itself. There is no accelerator, so there are no counters."""

    instances: int
    """How many program instances ran."""
    exit_code: int = 0
    """:data:`baco.sim.program.STOPPED` if a check of the kernel failed."""
    output: bytes = b""
    """What the kernel wrote to its console, which has been printed."""


@dataclass(frozen=True)
class CpuProgram:
    """A kernel as a function of this process. `asm` holds the texts of its stages: linalg and llvm."""

    parameters: tuple[Parameter, ...]
    asm: dict[str, str] = field(repr=False)
    _code: _HostCode = field(repr=False)

    def run(self, arguments: Sequence[object], grid: Sequence[int] = (1, 1, 1), order: Sequence[int] = GRID_ORDER) -> CpuResult:
        """Run every program instance of the grid, the first axis of `order` fastest, as the accelerator's program does.

        `arguments` are one per parameter, in order: C-contiguous NumPy arrays for buffers, numbers for scalars.

        Raises:
            baco.sim.ProgramError: if an argument does not fit its parameter.
        """
        if len(arguments) != len(self.parameters):
            raise ProgramError(f"the kernel takes {len(self.parameters)} arguments, but {len(arguments)} were given.")
        sizes = struct.unpack("<3q", grid_slots(grid))
        values = list(itertools.chain.from_iterable(map(_host_values, self.parameters, arguments)))
        _STOPPED.clear()
        _WRITTEN.clear()
        for ran, instance in enumerate(program_instances(sizes, order), start=1):
            self._code.call(*values, *map(ctypes.c_int64, (*instance, *sizes)))
            if _STOPPED:
                return CpuResult(ran, STOPPED, "".join(_WRITTEN).encode())
        return CpuResult(sizes[0] * sizes[1] * sizes[2], output="".join(_WRITTEN).encode())


def compile_kernel_for_cpu(module: ir.Module, parameters: tuple[Parameter, ...]) -> CpuProgram:
    """Compile a kernel in the baco dialect.

    Raises:
        CompilationError: if the kernel cannot be compiled.
    """
    run_passes(module, PIPELINES["baco-to-linalg"])
    return compile_cpu(module, parameters)


def compile_cpu(module: ir.Module | str, parameters: tuple[Parameter, ...]) -> CpuProgram:
    """Compile a kernel in the linalg stage, given as text or as a module, which is then lowered in place.

    Raises:
        CompilationError: if MLIR or LLVM refuses the kernel.
    """
    if isinstance(module, str):
        with context(), ir.Location.unknown():
            module = ir.Module.parse(module)
    asm = {"linalg": str(module)}
    with module.context:
        kernel_of(module).attributes["sym_name"] = ir.StringAttr.get(ENTRY)
    run_passes(module, PIPELINES["linalg-to-cpu"])
    asm["llvm"] = translate(module)
    return CpuProgram(parameters, asm, _HostCode(asm["llvm"], parameters))


class _Buffer(ctypes.Structure):
    """What LLVM's lowering of memref<*x...> points to: where the buffer was allocated, where it starts, and at which element."""

    _fields_ = (("allocated", ctypes.c_void_p), ("aligned", ctypes.c_void_p), ("offset", ctypes.c_int64))


class _HostCode:
    """A module's machine code in this process; `call` takes its entry's arguments. The code lives as long as this object."""

    def __init__(self, llvm_ir: str, parameters: tuple[Parameter, ...]) -> None:
        from llvmlite import binding

        jit, machine = _compiler()
        try:
            module = binding.parse_assembly(llvm_ir)
            module.triple = machine.triple
            module.data_layout = str(machine.target_data)
            module.verify()
            builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=2))
            builder.getModulePassManager().run(module, builder)
            library = binding.JITLibraryBuilder().add_ir(module).add_current_process().export_symbol(ENTRY)
            for name, function in _CONSOLE.items():
                library = library.import_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
            self._library = library.link(jit, f"kernel{next(_NUMBERS)}")
        except RuntimeError as error:
            raise CompilationError(f"LLVM cannot compile this kernel for the host: {' '.join(str(error).split())}") from None
        types = itertools.chain.from_iterable(map(_host_types, parameters))
        self.call = ctypes.CFUNCTYPE(None, *types, *[ctypes.c_int64] * 6)(self._library[ENTRY])


def _write(text: str) -> None:
    """What a kernel writes, at once to this process's output."""
    _WRITTEN.append(text)
    print(text, end="")


_NUMBERS = itertools.count()
_CONSOLE = {
    PUT: ctypes.CFUNCTYPE(None, ctypes.c_int64)(lambda character: _write(chr(character))),
    PUT_INT: ctypes.CFUNCTYPE(None, ctypes.c_int64)(lambda value: _write(str(value))),
    PUT_FLOAT: ctypes.CFUNCTYPE(None, ctypes.c_float)(lambda value: _write(f"{value:.6e}")),
    STOP: ctypes.CFUNCTYPE(None)(lambda: _STOPPED.append(True)),
}
"""What device_print and device_assert call."""
_WRITTEN: list[str] = []
"""What the kernel that runs has written."""
_STOPPED: list[bool] = []
"""Failed checks of the kernel that runs: it cannot be left in the middle, so that its end looks here."""


@functools.cache
def _compiler() -> tuple[Any, Any]:
    """The process's JIT compiler, and the machine it compiles for: this one, with all that it can do."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=2, jit=True
    )
    return binding.create_lljit_compiler(machine, suppress_errors=True), machine


def _host_types(parameter: Parameter) -> tuple[Any, ...]:
    """What the entry takes for a parameter: for a buffer, an unranked memref (its rank and a pointer to the rest)."""
    if parameter.kind == "buffer":
        return (ctypes.c_int64, ctypes.POINTER(_Buffer))
    return (np.ctypeslib.as_ctypes_type(np.dtype(parameter.dtype)),)


def _host_values(parameter: Parameter, argument: object) -> tuple[Any, ...]:
    """An argument as values of :func:`_host_types`."""
    types = _host_types(parameter)
    if parameter.kind == "buffer":
        address = checked_array(parameter, argument).ctypes.data
        return (types[0](0), ctypes.pointer(_Buffer(address, address, 0)))
    return (types[0].from_buffer_copy(scalar_slot(parameter, argument)),)
