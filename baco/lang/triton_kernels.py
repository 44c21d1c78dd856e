"""`baco.from_triton`: a `@triton.jit` function as a kernel of this machine, without changing it.

    kernel = baco.from_triton(matmul_kernel)
    kernel[grid](a, b, c, M, N, K, *strides, BLOCK_M=64, hardware=..., backend=...)

Triton itself reads the function and makes its own IR, for which it needs no GPU; the pass import-triton takes that into the baco dialect.
The kernel is specialised as Triton does it: element types, compile-time values and integers that are 1 are compiled in, integers are 32
bits wide where they fit. Promises about divisibility are not made, as nothing here would use them.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
from typing import TYPE_CHECKING, Any

from baco.lang.errors import CompilationError, CompileTimeAssertionFailure, LaunchError, SourceLocation, UnsupportedLanguageConstruct
from baco.lang.jit import INTERPRETED, RESERVED, Grid, JITFunction, Specialisation
from baco.lang.source import NoCanonicalText, Signature, signature_text
from baco.lang.types import KernelFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from baco.dialects.mlir import ir
    from baco.hardware import GemminiConfig
    from baco.lang.cache import Key
    from baco.lang.launch import Options
    from baco.lowering.cpu import CpuResult
    from baco.sim import RunResult

_NAMES = {"int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "float32": "fp32"}
"""Element types as Triton spells them."""


def from_triton(kernel: Any) -> TritonKernel:
    """A `@triton.jit` function as a kernel that is launched like a BACO one; see the module's description.

    Raises:
        LaunchError: if Triton is not installed, or `kernel` is something else.
    """
    runtime = _triton("triton.runtime.jit")
    if not isinstance(kernel, runtime.JITFunction):
        advice = "; give its .fn, and tune it with baco.autotune" if hasattr(kernel, "fn") and hasattr(kernel, "configs") else ""
        raise LaunchError(f"baco.from_triton takes a function with @triton.jit, not a {type(kernel).__name__}{advice}.")
    return TritonKernel(kernel.fn, triton=kernel)


def _triton(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise LaunchError("baco.from_triton needs Triton: pip install 'baco[triton]'.") from None


@dataclasses.dataclass(eq=False)
class TritonKernel(JITFunction):
    """A Triton kernel, and its specialisations in this process."""

    triton: Any = None
    """The function with `@triton.jit`."""

    reserved = tuple(name for name in RESERVED if name != "num_stages")

    def run(self, *arguments: object, grid: Grid, backend: str = "functional", **keywords: Any) -> RunResult | CpuResult:
        """As :meth:`JITFunction.run`. A kernel may have a parameter `num_stages`, which then is the launch's too, as in Triton.

        Raises: as :meth:`JITFunction.run`; LaunchError for the interpreter, which reads BACO's language only.
        """
        if backend == INTERPRETED:
            raise LaunchError(f"kernel {self.__name__}: the interpreter runs BACO's language; use TRITON_INTERPRET=1 for a Triton kernel.")
        arguments, keywords = self._placed(arguments, keywords)
        return super().run(*arguments, grid=grid, backend=backend, **keywords)

    def warmup(self, *arguments: object, **keywords: Any) -> Specialisation:
        """As :meth:`JITFunction.warmup`.

        Raises: as :meth:`run`, but for what only a run can show.
        """
        arguments, keywords = self._placed(arguments, keywords)
        return super().warmup(*arguments, **keywords)

    def _placed(self, arguments: tuple[object, ...], keywords: dict[str, Any]) -> tuple[tuple[object, ...], dict[str, Any]]:
        """Arguments in which a keyword `num_stages` is the kernel's parameter as well, where it has one."""
        names = [p.name for p in self.parameters]
        if "num_stages" not in names or "num_stages" not in keywords:
            return arguments, keywords
        count = names.index("num_stages") + 1
        given = {p.name: p.default for p in self.parameters if p.default is not p.empty}
        given |= {**dict(zip(names, arguments, strict=False)), **{n: v for n, v in keywords.items() if n in names}}
        missing = [n for n in names[:count] if n not in given]
        if missing:
            raise LaunchError(f"kernel {self.__name__}: argument {missing[0]!r} is missing.")
        rest = {n: v for n, v in keywords.items() if n not in names[:count] or n == "num_stages"}
        return (*(given[n] for n in names[:count]), *arguments[count:]), rest

    def signature_of(self, bound: Mapping[str, Any]) -> Signature:
        signature = super().signature_of(bound)
        runtime = tuple((n, kind, _narrow(bound[n]) if (kind, t) == ("scalar", "int64") else t) for n, kind, t in signature.runtime)
        return Signature(runtime, signature.constants)

    def key_on_disk(self, signature: Signature, hardware: GemminiConfig, options: Options) -> Key | None:
        from baco.lang.cache import Key

        version = _triton("triton").__version__
        place = f"{self.triton.file_name}:{self.triton.def_file_line_number}:{self.triton.def_file_col_number}"
        try:
            text = signature_text(signature)
        except NoCanonicalText:
            return None
        return Key(self.__name__, f"triton {version} {self.triton.cache_key} {place}", text, str(hardware.to_dict()), str(options))

    def read(self, signature: Signature) -> tuple[ir.Module, KernelFacts, dict[str, str]]:
        from baco.lowering.import_triton import parse_ttir, stored_arguments
        from baco.lowering.passes import run_passes

        readable, generic = _ttir(self.triton, signature)
        module = parse_ttir(generic)
        run_passes(module, ["import-triton"])
        return module, KernelFacts(stored=stored_arguments(module)), {"ttir": readable}


def _narrow(value: Any) -> str:
    """The type of an integer argument: 32 bits where it fits."""
    return "int32" if -(1 << 31) <= int(value) < 1 << 31 else "int64"


def _ttir(kernel: Any, signature: Signature) -> tuple[str, str]:
    """Triton's IR of a kernel, to read and in generic form.

    Raises:
        CompilationError: whatever Triton says of the kernel, at its line.
    """
    errors, compiler = _triton("triton.compiler.errors"), _triton("triton.compiler.compiler")
    library = _triton("triton._C.libtriton")
    types = {name: "*" * (kind == "pointer") + _NAMES[dtype] for name, kind, dtype in signature.runtime}
    constants = dict(signature.constants)
    source = compiler.ASTSource(kernel, {n: types.get(n, "constexpr") for n in kernel.arg_names}, constants)
    target, backend, options = _target()
    context = library.ir.context()
    library.ir.load_dialects(context)
    backend.load_dialects(context)
    functions = {**backend.get_codegen_implementation(options), "min_dot_size": lambda *_: (1, 1, 1)}
    try:
        module = source.make_ir(target, options, functions, backend.get_module_map(), context)
        _simplify(library, module)
    except errors.CompilationError as error:
        raise _translated(kernel, error) from None
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise CompilationError(f"Triton cannot compile kernel {kernel.__name__}: {error}", _start(kernel)) from None
    readable = str(module)
    # MLIR prints what does not verify in generic form, and an attribute without a dialect does not.
    module.set_attr("generic", library.ir.builder(context).get_unit_attr())
    head, marker, tail = str(module).rpartition("}) {generic}")
    if not marker:
        raise CompilationError(f"Triton {_triton('triton').__version__} does not print its IR in generic form; another version may.")
    return readable, f"{head}}}){tail}"


@functools.cache
def _target() -> tuple[Any, Any, Any]:
    """A GPU to make IR for. None is there, and none needs to be: its driver is not asked."""
    compiler = _triton("triton.compiler.compiler")
    target = _triton("triton.backends.compiler").GPUTarget("cuda", 80, 32)
    backend = compiler.make_backend(target)
    return target, backend, backend.parse_options({"enable_fp_fusion": True, "sanitize_overflow": False})


def _simplify(library: Any, module: Any) -> None:
    """Inline device functions, and fold what is known; everything here is target-independent."""
    manager = library.ir.pass_manager(module.context)
    for add in (
        library.passes.common.add_inliner,
        library.passes.common.add_canonicalizer,
        library.passes.ttir.add_combine,
        library.passes.common.add_cse,
        library.passes.ttir.add_triton_licm,
        library.passes.common.add_symbol_dce,
        library.passes.ttir.add_loop_unroll,
    ):
        add(manager)
    manager.run(module, "make_ttir")


def _start(kernel: Any) -> SourceLocation:
    return SourceLocation(kernel.file_name, kernel.def_file_line_number, kernel.def_file_col_number)


def _translated(kernel: Any, error: Any) -> CompilationError:
    """What Triton found wrong, in one sentence. In a device function it is placed where the kernel calls that."""
    at, cause = error, error
    while hasattr(cause.__cause__, "node"):
        cause = cause.__cause__
        at = cause if cause.src == error.src else at
    kinds = {"CompileTimeAssertionFailure": CompileTimeAssertionFailure, "UnsupportedLanguageConstruct": UnsupportedLanguageConstruct}
    reason = _sentence(getattr(cause, "error_message", None) or "this cannot be compiled")
    start, node = _start(kernel), at.node
    place = SourceLocation(start.file, start.line + node.lineno - 1, start.column + node.col_offset) if hasattr(node, "lineno") else start
    return kinds.get(type(cause).__name__, CompilationError)(f"Triton: {reason}", place)


def _sentence(message: str) -> str:
    """A message, without the exception around it that Triton sometimes shows."""
    return re.sub(r"""^\w+\((["'])(.*)\1\)$""", r"\2", str(message), flags=re.DOTALL)
