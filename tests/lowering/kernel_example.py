"""The matmul kernel of the first example, for tests of the compiler."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("matmul_example", Path(__file__).parents[2] / "examples" / "01_matmul.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
matmul = _module.matmul
