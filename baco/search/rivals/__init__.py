"""Other ways to search the same space, with the same evaluator and the same number of samples, to compare `explore` with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from baco.search.candidates import Design
from baco.search.errors import InvalidSearch, NoDesign
from baco.search.goals import RULES, Rules
from baco.search.rivals import bayesian, dosa, evolution, random_search, two_loop
from baco.search.rivals.harness import Harness
from baco.search.spaces import Limits, Space
from baco.workloads import Network

METHODS: dict[str, Callable[[Harness], None]] = {
    "random": random_search.search,
    "bayesian": bayesian.search,
    "evolution": evolution.search,
    "two-loop": two_loop.search,
    "dosa": dosa.search,
}


@dataclass(frozen=True)
class RivalResult:
    """What a rival found: its best design, and the value at each new best."""

    method: str
    seed: int
    samples: int
    """Mappings of single layers that were scored."""
    history: tuple[tuple[int, float], ...]
    design: Design
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        d = self.design
        hardware = {"side": d.side, "accumulator_kib": d.accumulator_kib, "scratchpad_kib": d.scratchpad_kib}
        return {
            "method": self.method,
            "seed": self.seed,
            "samples": self.samples,
            "seconds": self.seconds,
            "value": d.value,
            "hardware": hardware,
            "history": [list(entry) for entry in self.history],
        }


def run(
    method: str,
    network: Network,
    space: Space,
    *,
    samples: int,
    seed: int = 0,
    limits: Limits | None = None,
    rules: Rules = RULES,
) -> RivalResult:
    """Search with `method` (of METHODS) until `samples` mappings are scored; the same seed gives the same answer.

    Raises:
        InvalidSearch: for an unknown method, too few samples for one mapping of each layer, or `bayesian` without scikit-learn.
        NoDesign: if no design within the limits was found.
    """
    if method not in METHODS:
        raise InvalidSearch("method", f"must be one of {', '.join(METHODS)}, but is {method!r}.")
    if samples < len(network.layers):
        raise InvalidSearch("samples", f"must be at least {len(network.layers)}, one mapping of each layer, but is {samples}.")
    started = time.monotonic()
    harness = Harness(network, space, samples, seed, limits or Limits(), rules)
    METHODS[method](harness)
    if harness.best is None:
        raise NoDesign(f"{method} found no design within {harness.limits} in {samples} samples; raise a limit or the samples.")
    return RivalResult(method, seed, harness.samples, tuple(harness.history), harness.best, time.monotonic() - started)
