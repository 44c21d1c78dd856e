"""Run what was chosen: compile the mappings of some layers, execute them on the chosen hardware, and compare.

For each layer: the outputs against NumPy, and the words that the program moved at every level against those the model predicted. Both must
be equal; a difference in counts would be a fault of the model or of the compiler, and is reported as it is.

The compiler and the simulator are imported when a layer is realised, not before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from baco.hardware import GemminiConfig
from baco.perfmodel import predict
from baco.search.errors import InvalidSearch, OutputFolder
from baco.search.result import ExploreResult, LayerResult, folder_name
from baco.search.spaces import GemminiSpace
from baco.toolchain import atomic_write
from baco.traffic import PLACES, Traffic
from baco.workload import Mapping, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNELS = "kernels"
REALISED_FILE = "realised.json"
SEED = 1
KINDS = ("1x1 convolution", "strided 1x1 convolution", "fully connected", "3x3 convolution", "matrix product")
"""Layers of these kinds are realised, where the network has them: the one of each with the fewest multiply-accumulates."""


@dataclass(frozen=True)
class Row:
    """One predicted figure beside the counted one."""

    name: str
    predicted: int
    counted: int

    @property
    def equal(self) -> bool:
        return self.predicted == self.counted


@dataclass(frozen=True)
class Realised:
    """A layer that was compiled and run on `config`."""

    name: str
    kind: str
    problem: Problem
    mapping: Mapping
    config: GemminiConfig
    predicted: Traffic
    counted: Traffic
    wrong_elements: int
    """Outputs that differ from NumPy's."""
    instructions: dict[str, int]
    """Accelerator instructions executed, by name."""
    seconds: float
    """Compilation and simulation."""
    remarks: tuple[str, ...] = ()
    """What the compiler decided about its instructions."""

    @property
    def rows(self) -> list[Row]:
        """MACs and the reads and writes of each tensor at each level, those that are 0 in both left out."""
        rows = [Row("MACs", self.predicted.macs, self.counted.macs)]
        for level, tensor in reversed(PLACES):
            for verb in ("reads", "writes"):
                row = Row(
                    f"{level} {tensor} {verb}", getattr(self.predicted, verb)[level, tensor], getattr(self.counted, verb)[level, tensor]
                )
                rows += [row] if row.predicted or row.counted else []
        return rows

    @property
    def correct(self) -> bool:
        return self.wrong_elements == 0

    @property
    def loops(self) -> bool:
        """Whether loop instructions do its tiles: they order the work inside a tile themselves, and may count differently for that."""
        return any(name in self.instructions for name in ("loop_ws", "loop_conv_ws"))

    @property
    def equal(self) -> bool:
        """Whether every predicted figure was counted."""
        return not self.predicted.differences(self.counted)

    def to_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "kind": self.kind,
            "mapping": str(self.mapping),
            "config": self.config.to_dict(),
            "correct": self.correct,
            "wrong_elements": self.wrong_elements,
            "equal": self.equal,
            "predicted": self.predicted.to_dict(),
            "counted": self.counted.to_dict(),
            "differences": self.predicted.differences(self.counted),
            "instructions": self.instructions,
            "remarks": list(self.remarks),
        }


def typical_layers(result: ExploreResult, kinds: Sequence[str] = KINDS) -> list[LayerResult]:
    """The smallest layer of each kind that the network has."""
    chosen = []
    for kind in kinds:
        of_kind = [r for r in result.layers if r.layer.kind == kind]
        chosen += [min(of_kind, key=lambda r: r.problem.macs)] if of_kind else []
    return chosen or [min(result.layers, key=lambda r: r.problem.macs)]


def named_layers(result: ExploreResult, names: Sequence[str]) -> list[LayerResult]:
    """The layers of these names.

    Raises:
        InvalidSearch: if the network has no layer of a name.
    """
    by_name = {r.layer.name: r for r in result.layers}
    for name in names:
        if name not in by_name:
            raise InvalidSearch("layers", f"{result.network} has no layer {name!r}; its layers are {', '.join(by_name)}.")
    return [by_name[name] for name in names]


def realise(
    result: ExploreResult,
    *,
    layers: Sequence[str] | Literal["all"] | None = None,
    out: Path | str | None = None,
    progress: Callable[[str], None] | None = None,
    instructions: str = "primitive",
) -> list[Realised]:
    """Compile and run layers of a result (those named, "all", or by default the smallest of each kind) on its hardware.

    In the paper space the programs run on the smallest buildable machine that holds the chosen mappings. With `out`, each layer's ELF and
    stage texts go to `out/kernels/<layer>/`, and the comparison to `out/realised.json`. `progress` is told what is being done.
    `instructions` is what does the tiles: "primitive" instructions, as the model counts them, Gemmini's "loops", or with "auto" the cheaper
    (:mod:`baco.lowering.layer_loops`).
    """
    if layers == "all":
        layers = [r.layer.name for r in result.layers]
    chosen = typical_layers(result) if layers is None else named_layers(result, layers)
    config = result.design.config or buildable(chosen)
    done = []
    for entry in chosen:
        if progress:
            progress(f"compiling and running {entry.layer.name} ({entry.layer.kind})")
        done.append(realise_layer(entry, config, Path(out) / KERNELS if out is not None else None, instructions=instructions))
    if out is not None:
        _write(Path(out) / REALISED_FILE, json.dumps([layer.to_dict() for layer in done], indent=1) + "\n")
    return done


def buildable(layers: Sequence[LayerResult]) -> GemminiConfig:
    """The smallest machine that the generator builds and that holds these mappings."""
    space = GemminiSpace()
    side = 2
    while side < max(max(r.mapping.spatial_c, r.mapping.spatial_k) for r in layers):
        side *= 2
    accumulator = max(float(space.accumulator_kib(r.mapping.accumulator_rows(r.problem), side)) for r in layers)
    rows = [(r.mapping.weight_rows(r.problem), r.mapping.input_rows(r.problem)) for r in layers]
    scratchpad = max(float(space.scratchpad_kib(0, weights, 0, inputs, side)) for weights, inputs in rows)
    return space.config(side, accumulator, scratchpad)


def realise_layer(
    entry: LayerResult, config: GemminiConfig, kernels: Path | None = None, relu: bool = True, instructions: str = "primitive"
) -> Realised:
    """Compile the layer's mapping, run it on random tensors, and compare outputs and counts."""
    from baco.lowering.mapping_program import compile_mapping

    problem, started = entry.problem, time.monotonic()
    inputs, weights, scale = example(problem)
    compiled = compile_mapping(problem, entry.mapping, config, scale=scale, relu=relu, instructions=instructions)
    if kernels is not None:
        write_kernel(kernels / folder_name(problem.name), compiled.asm, compiled.program.elf)
    outputs, run = compiled.run(inputs, weights)
    return Realised(
        name=entry.layer.name,
        kind=entry.layer.kind,
        problem=problem,
        mapping=entry.mapping,
        config=config,
        predicted=predict(problem, entry.mapping),
        counted=run.counters.traffic,
        wrong_elements=int((outputs != reference(problem, inputs, weights, scale, relu)).sum()),
        instructions=dict(run.counters.instructions),
        seconds=time.monotonic() - started,
        remarks=compiled.compiled.remarks,
    )


def example(problem: Problem) -> tuple[NDArray[np.int8], NDArray[np.int8], float]:
    """Random inputs (NHWC with their zero border), random weights (RSCK), and a scale that spreads the outputs over int8."""
    p, random = problem, np.random.default_rng(SEED)
    inputs = random.integers(-128, 128, (p.N, p.input_height, p.input_width, p.C), dtype=np.int8)
    for axis, border in ((1, p.padding[0]), (2, p.padding[1])):
        if border:
            rows = np.moveaxis(inputs, axis, 0)
            rows[:border] = rows[-border:] = 0
    weights = random.integers(-128, 128, (p.R, p.S, p.C, p.K), dtype=np.int8)
    spread = 128**2 / 3 * np.sqrt(p.R * p.S * p.C)  # standard deviation of a sum of products of uniform int8 numbers
    return inputs, weights, float(np.float32(50 / spread))


def reference(problem: Problem, inputs: NDArray[np.int8], weights: NDArray[np.int8], scale: float, relu: bool) -> NDArray[np.int8]:
    """What the layer should compute: int32 sums, one float32 product, rounded half to even, clamped to int8, then ReLU."""
    return requantised(reference_sums(problem, inputs, weights), scale, relu)


def reference_sums(problem: Problem, inputs: NDArray[np.int8], weights: NDArray[np.int8]) -> NDArray[np.int32]:
    """The layer's sums of products, N x P x Q x K; `inputs` have their zero border."""
    p = problem
    sums = np.zeros((p.N, p.P, p.Q, p.K), np.float64)  # exact: sums of int8 products stay far below 2**53
    for r in range(p.R):
        for s in range(p.S):
            top, left = r * p.dilation[0], s * p.dilation[1]
            rows = slice(top, top + (p.P - 1) * p.stride[0] + 1, p.stride[0])
            columns = slice(left, left + (p.Q - 1) * p.stride[1] + 1, p.stride[1])
            sums += inputs[:, rows, columns].astype(np.float64) @ weights[r, s].astype(np.float64)
    return sums.astype(np.int32)


def requantised(sums: NDArray[np.int32], scale: float, relu: bool) -> NDArray[np.int8]:
    """int32 sums as the accelerator stores them in int8."""
    scaled = np.rint(sums.astype(np.float32) * np.float32(scale))
    return np.clip(scaled, 0 if relu else -128, 127).astype(np.int8)


def write_kernel(folder: Path, asm: dict[str, str | bytes], elf: bytes) -> None:
    """Write the program and each stage's text."""
    _write(folder / "program.elf", elf)
    for stage, text in asm.items():
        if isinstance(text, str):
            _write(folder / f"{stage}.txt", text)


def _write(path: Path, data: bytes | str) -> None:
    try:
        atomic_write(path, data)
    except OSError as error:
        raise OutputFolder(path.parent, f"cannot write {path.name}: {error.strerror}.") from error
