"""ResNet-50 as programs for the accelerator: one ELF for a whole inference, with loop instructions or with primitive ones.

All tensors live in one buffer, `activations`, at the places of :class:`Places`; every step writes a place of its own, so that the buffer
holds the whole history at the end. A writer emits instgem operations for the steps; the project's own back end makes the ELF of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from resnet50_network import Convolution, Network, Shape, Step, output_shape

from baco import sim
from baco.dialects.mlir import arith, context, func, ir, scf
from baco.hardware import GemminiConfig
from baco.lowering.compiled import Compiled
from baco.lowering.emit import Emitter, Quantity
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.pipelines import CLEAN, finish
from baco.lowering.structure_pointers import GRID_ARGUMENTS
from baco.sim.program import Parameter

PARAMETERS = (
    Parameter("weights", "buffer", "int8"),
    Parameter("biases", "buffer", "int32"),
    Parameter("activations", "buffer", "int8", writable=True),
    Parameter("partial_sums", "buffer", "int32", writable=True),
)
ALIGNMENT = 64


@dataclass
class Places:
    """Byte offsets of the tensors in `activations` and of the weights and biases in their buffers."""

    shapes: dict[str, Shape]
    tensors: dict[str, int]
    weights: dict[str, int]
    biases: dict[str, int]
    size: int = 0
    """Bytes of `activations` so far."""

    def add(self, name: str, shape: Shape) -> int:
        """A place for another tensor."""
        self.shapes[name], self.tensors[name] = shape, self.size
        self.size = -(-(self.size + int(np.prod(shape))) // ALIGNMENT) * ALIGNMENT
        return self.tensors[name]


def place(network: Network) -> Places:
    """Places for everything that a network names."""
    places = Places({}, {}, _offsets(network.weights), _offsets(network.biases))
    places.add("image", network.image.shape)
    for step in network.steps:
        places.add(step.output, output_shape(step, places.shapes))
    return places


def _offsets(arrays: dict[str, NDArray]) -> dict[str, int]:
    at, offsets = 0, {}
    for name, array in arrays.items():
        offsets[name], at = at, at + array.nbytes
    return offsets


class Writer:
    """What writers of both kinds share: where things are, and the instructions."""

    def __init__(self, network: Network, places: Places, config: GemminiConfig, arguments: Sequence[ir.Value]) -> None:
        self.network, self.places, self.config = network, places, config
        self.weights, self.biases, self.activations, self.partial = arguments
        self.e = Emitter(config)

    def at(self, name: str, offset: Quantity = 0) -> Quantity:
        """The address of a tensor, or of a byte in it."""
        return self.e.add(self.activations, self.e.add(offset, self.places.tensors[name]))

    def weights_of(self, step: Convolution) -> Quantity:
        return self.e.add(self.weights, self.places.weights[step.problem.name])

    def bias_of(self, step: Convolution) -> Quantity:
        return self.e.add(self.biases, self.places.biases[step.problem.name])

    def loop(self, trips: int, body: Callable[[Quantity], None]) -> None:
        """A loop of the host core, unless there is one trip only."""
        if trips == 1:
            body(0)
            return
        loop = scf.ForOp(*(arith.ConstantOp(ir.IntegerType.get_signless(64), n).result for n in (0, trips, 1)))
        with ir.InsertionPoint(loop.body):
            body(loop.induction_variable)
            scf.YieldOp([])

    def pieces(self, total: int, size: int, body: Callable[[Quantity, int], None]) -> None:
        """Call `body` with start and length of consecutive pieces."""
        whole, rest = divmod(total, size)
        if whole:
            self.loop(whole, lambda i: body(self.e.mul(i, size), size))
        if rest:
            body(whole * size, rest)

    def write(self, step: Step) -> None:
        """Emit the instructions of one step."""
        raise NotImplementedError


@dataclass(frozen=True)
class Inference:
    """A compiled network."""

    network: Network
    places: Places
    compiled: Compiled

    def run(self, backend: str = "functional") -> tuple[NDArray[np.int8], sim.RunResult]:
        """One inference: all of `activations` at its end, and what the machine counted."""
        activations = np.zeros(self.places.size, np.int8)
        activations[: self.network.image.size] = self.network.image.reshape(-1)
        largest = max(step.problem.P * step.problem.Q * step.problem.K for step in self.network.steps if isinstance(step, Convolution))
        arguments = [_joined(self.network.weights), _joined(self.network.biases), activations, np.zeros(largest, np.int32)]
        result = sim.run(self.compiled.program, self.compiled.config, arguments, backend=backend)
        return activations, result

    def tensor(self, activations: NDArray[np.int8], name: str) -> NDArray[np.int8]:
        """One tensor of a run."""
        shape, at = self.places.shapes[name], self.places.tensors[name]
        return activations[at : at + int(np.prod(shape))].reshape(shape)

    def wrong(self, activations: NDArray[np.int8]) -> Iterable[str]:
        """The steps whose result is not the reference's, in order."""
        names = [step.output for step in self.network.steps]
        return [name for name in names if not np.array_equal(self.tensor(activations, name), self.network.tensors[name])]


def _joined(arrays: dict[str, NDArray]) -> NDArray:
    return np.concatenate([array.reshape(-1) for array in arrays.values()])


def compile_network(
    network: Network, config: GemminiConfig, writer: Callable[..., Writer], passes: Sequence[str] = (), name: str = "resnet50"
) -> Inference:
    """Compile a network with a writer. `passes` run on the written module beside the clean-up."""
    places = place(network)
    with context(), ir.Location.unknown():
        module = ir.Module.create()
        set_hardware(module, config)
        i64 = ir.IntegerType.get_signless(64)
        names = [*(p.name for p in PARAMETERS), *GRID_ARGUMENTS]
        with ir.InsertionPoint(module.body):
            function = func.FuncOp(name, ([i64] * len(names), []))
        function.arg_attrs = [ir.DictAttr.get({"baco.name": ir.StringAttr.get(n)}) for n in names]
        with ir.InsertionPoint(function.add_entry_block()):
            instructions = writer(network, places, config, list(function.arguments)[: len(PARAMETERS)])
            for step in network.steps:
                instructions.write(step)
                instructions.e.fence()  # the next step reads what this one wrote, which the hardware does not track in DRAM
            func.ReturnOp([])
        run_passes(module, [CLEAN, *passes, "verify-stage"])
        return Inference(network, places, finish(module, PARAMETERS, config, {"network": f"{name}: {len(network.steps)} steps\n"}))
