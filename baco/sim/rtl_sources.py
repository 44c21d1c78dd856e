"""The SystemVerilog files of the accelerator, in an order in which every tool can read them, and as one text for Yosys."""

from __future__ import annotations

import re
from pathlib import Path

from baco.hardware import GemminiConfig
from baco.sim import rtl_package

TOP = "gemmini"
SHARED = "gemmini_types_pkg.sv"
"""The package that every other may import, besides the generated one; those import no more than these two."""


def directory() -> Path:
    """The folder of the RTL: `hw/gemmini/rtl` of the checkout."""
    return rtl_package.default_file().parent


def sources() -> list[Path]:
    """The files that are the same for every machine, packages first. The machine's own package goes before all of them."""
    files = sorted(path for path in directory().glob("*.sv") if path.name != rtl_package.FILE)
    return sorted(files, key=lambda path: (path.name != SHARED, not path.stem.endswith("_pkg")))


def single_file(config: GemminiConfig) -> str:
    """The RTL of a machine as one file without packages.

    Yosys reads SystemVerilog's packages but not the import of one, so their contents are put at file scope, where every module sees them.
    """
    texts = [rtl_package.package(config), *(path.read_text() for path in sources())]
    return re.sub(r"(?m)^\s*(package \w+;|endpackage|import \w+::\*;)(\s*//.*)?$", "", "\n".join(texts))
