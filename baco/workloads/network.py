"""A network as the search sees it: its distinct layers and how often each occurs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from baco.workload import Problem


@dataclass(frozen=True)
class Layer:
    """One distinct layer and its number of occurrences in the network."""

    problem: Problem
    count: int = 1
    known_as: str = field(default="", compare=False)
    """Its kind, where the problem does not show it."""

    @property
    def name(self) -> str:
        return self.problem.name

    @property
    def kind(self) -> str:
        """A reader's name for the layer: 'fully connected', '1x1 convolution', 'strided 3x3 convolution', ..."""
        if self.known_as:
            return self.known_as
        p = self.problem
        if p.R * p.S * p.Q == 1 and p.stride == (1, 1):
            return "fully connected" if p.P * p.N == 1 else "matrix product"
        return f"{'strided ' if max(p.stride) > 1 else ''}{p.R}x{p.S} convolution"


@dataclass(frozen=True)
class Network:
    """Distinct layers with their counts, and where the table comes from."""

    name: str
    layers: tuple[Layer, ...]
    source: str = ""
    left_out: tuple[tuple[str, int], ...] = ()
    """Operations of the model that are no products, and how often each occurs: the table does not count them."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.count * layer.problem.macs for layer in self.layers)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "name": self.name,
            "source": self.source,
            "macs": self.macs,
            "layers": [
                {"name": layer.name, "kind": layer.kind, "count": layer.count, "problem": layer.problem.to_dict()} for layer in self.layers
            ],
            "left_out": [list(entry) for entry in self.left_out],
        }


def merge(name: str, layers: Iterable[Problem | Layer], source: str, left_out: Iterable[tuple[str, int]] = ()) -> Network:
    """The network of these layers in order; equal ones become one layer, named after the first, with a count."""
    counts: dict[Problem, int] = {}
    for entry in layers:  # a problem's name does not take part in its equality, so the first one's name stays
        layer = entry if isinstance(entry, Layer) else Layer(entry)
        counts[layer.problem] = counts.get(layer.problem, 0) + layer.count
    return Network(name, tuple(Layer(problem, count) for problem, count in counts.items()), source, tuple(left_out))
