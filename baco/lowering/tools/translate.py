"""`baco-translate`: turn MLIR into LLVM IR."""

from __future__ import annotations

from collections.abc import Sequence

from baco.lowering.errors import CompilationError
from baco.lowering.tools.common import Note, Parser, Run, display_name, failure_of, in_this_process, read_text, write


def translate(argv: Sequence[str], run: Run = in_this_process) -> int:
    """`baco-translate`: turn a module in the llvm dialect, or in the instgem dialect, into LLVM IR.

    Raises:
        ToolInputError: for a file that cannot be used.
        ToolFailure: if the module is wrong or cannot become LLVM IR.
    """
    parser = Parser("baco-translate", "Turn a module in the llvm dialect, or in the instgem dialect, into LLVM IR.")
    parser.add_argument("--mlir-to-llvmir", action="store_true", help="translate only; without it, instgem is lowered to llvm first")
    options = parser.parse_args(argv)
    text, file = read_text(options.input), display_name(options.input)

    def work(note: Note) -> int:
        note("loading MLIR")
        write(options.output, _translated(text, file, note, options.mlir_to_llvmir))
        return 0

    return run(work)


def _translated(text: str, file: str, note: Note, only: bool) -> str:
    from baco.lowering.llvm_text import is_llvm, translate
    from baco.lowering.pipelines import PIPELINES
    from baco.lowering.tools.pipeline_text import parse_pipeline
    from baco.lowering.tools.steps import Printing, Session

    session = Session(note, Printing())
    module = session.parse(text, file)
    if not only and not is_llvm(module):
        session.run(module, file, parse_pipeline("instgem-to-llvm", PIPELINES))
    note(f"translating {file}")
    try:
        return translate(module)
    except CompilationError as error:
        raise failure_of(error, file) from None
