"""The command-line tools on MLIR and machine code: `baco-opt`, `baco-translate` and `baco-llc`, called with their arguments.

No input makes them end with a traceback or takes the terminal's process down. What can be checked is checked before MLIR sees it; for the
rest, the command line runs the work through :func:`isolated`, in a process that may die.
"""

from baco.lowering.tools.common import ToolFailure, ToolInputError, load_hardware, write
from baco.lowering.tools.isolation import isolated
from baco.lowering.tools.llc import llc
from baco.lowering.tools.opt import opt
from baco.lowering.tools.translate import translate

__all__ = ["ToolFailure", "ToolInputError", "isolated", "llc", "load_hardware", "opt", "translate", "write"]
