"""How much circuit a machine is: what Yosys makes of the RTL, module by module.

`python -m baco.sim.rtl_area [MACHINE]` elaborates the RTL for a machine, synthesises each module to gates and flip-flops and prints a
table: for each module how many there are in the whole design, and the gates, flip-flops and memory bits of all of them together,
without those of the modules inside. Gates are Yosys' own of one to three inputs, before any technology; memories stay whole.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baco.errors import BacoError
from baco.hardware import GemminiConfig, read_hardware
from baco.sim.rtl_sources import TOP, single_file

_FLIP_FLOP = re.compile(r"\$_(S|A|ALD|DFFSR|SR|D)?D?FF")
_SYNTHESIS = """
proc; tee -q -o {outputs}/memories.json stat -json;
synth -run coarse:fine; opt -fast -full; techmap; opt -fast; abc -fast; opt_clean; tee -q -o {outputs}/gates.json stat -json
"""


class AreaError(BacoError):
    """Yosys is not here, or does not take the RTL."""


@dataclass(frozen=True)
class ModuleArea:
    """What all instances of one module hold together, without the modules inside them."""

    module: str
    instances: int
    gates: int
    flip_flops: int
    memory_bits: int


def run_yosys(config: GemminiConfig, script: str, outputs: Path) -> None:
    """Run `script` over the RTL of a machine; ``{outputs}`` in it is that folder.

    Raises:
        AreaError: if there is no Yosys, or it fails.
    """
    yosys = shutil.which("yosys")
    if yosys is None:
        raise AreaError("there is no yosys on PATH; install it with: sudo apt-get install yosys")
    rtl, commands = outputs / "gemmini.sv", outputs / "gemmini.ys"
    rtl.write_text(single_file(config))
    commands.write_text(f"read_verilog -sv {rtl}\nhierarchy -check -top {TOP}\n" + script.replace("{outputs}", str(outputs)))
    done = subprocess.run([yosys, "-q", "-e", "Resizing cell port", "-s", str(commands)], capture_output=True, text=True)
    if done.returncode:
        raise AreaError(f"yosys does not take the RTL: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def elaborate(config: GemminiConfig) -> None:
    """Elaborate the RTL of a machine and let Yosys check it.

    Raises:
        AreaError: if it cannot be elaborated, or a net has several drivers, none, or itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_yosys(config, "proc; check -assert", Path(folder))


def area(config: GemminiConfig) -> list[ModuleArea]:
    """What each module holds, the one with most gates first. Minutes for a large array.

    Raises:
        AreaError: if Yosys is not here or does not take the RTL.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_yosys(config, _SYNTHESIS, Path(folder))
        memories, gates = (modules_of((Path(folder) / f"{name}.json").read_text()) for name in ("memories", "gates"))
    return areas(memories, gates)


def modules_of(statistics: str) -> dict[str, dict]:
    """The modules in what `stat -json` writes. Yosys 0.23 goes on with the tree of a design as plain text, so only their part is read."""
    at = re.search(r'"modules":\s*(?={)', statistics)
    if at is None:
        raise AreaError("yosys wrote no statistics of modules.")
    return json.JSONDecoder().raw_decode(statistics, at.end())[0]


def areas(memories: Mapping[str, Mapping], gates: Mapping[str, Mapping]) -> list[ModuleArea]:
    """The table from Yosys' statistics of the modules, before and after mapping to gates. A module's variants count together."""
    cells = {name: Counter(module["num_cells_by_type"]) for name, module in gates.items()}
    bits = {_plain(name): module["num_memory_bits"] for name, module in memories.items()}
    names = {_plain(name): name for name in cells}
    instances: Counter[str] = Counter()

    def visit(module: str, times: int) -> None:
        instances[module] += times
        for cell, number in cells[names[module]].items():
            if cell in names:
                visit(cell, times * number)

    visit(TOP, 1)
    found: dict[str, ModuleArea] = {}
    for module, times in instances.items():
        counts = cells[names[module]]
        flip_flops = sum(number for cell, number in counts.items() if _FLIP_FLOP.match(cell))
        logic = sum(number for cell, number in counts.items() if cell.startswith("$_")) - flip_flops
        base = _source_name(module)
        old = found.get(base, ModuleArea(base, 0, 0, 0, 0))
        found[base] = ModuleArea(
            base,
            old.instances + times,
            old.gates + times * logic,
            old.flip_flops + times * flip_flops,
            old.memory_bits + times * bits[module],
        )
    return sorted(found.values(), key=lambda a: a.gates, reverse=True)


def _plain(name: str) -> str:
    """A module's name as cells of it are called."""
    return name.removeprefix("\\")


def _source_name(name: str) -> str:
    """The name in the source of a module or of a variant of it: ``$paramod$12ab\\queue`` and ``$paramod\\queue\\WIDTH=...`` are queues."""
    parts = name.split("\\")
    return parts[1] if len(parts) > 1 else name


def table(rows: list[ModuleArea]) -> str:
    """The areas as lines of text, with their sums."""
    total = ModuleArea("whole", 1, sum(r.gates for r in rows), sum(r.flip_flops for r in rows), sum(r.memory_bits for r in rows))
    lines = [f"{'module':28}{'number':>8}{'gates':>12}{'flip-flops':>12}{'memory bits':>14}"]
    lines += [f"{r.module:28}{r.instances:8}{r.gates:12}{r.flip_flops:12}{r.memory_bits:14}" for r in (*rows, total)]
    return "\n".join(lines)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m baco.sim.rtl_area", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("machine", nargs="?", default="gemmini-default", help="a preset, or a .json, .yaml or gemmini_params.h file")
    try:
        print(table(area(read_hardware(parser.parse_args().machine))))
    except BacoError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
