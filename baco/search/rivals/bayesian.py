"""Bayesian optimisation in two loops, as in DOSA's comparison: of machines outside, of each layer's mappings inside, 100 x 100.

Both by Optuna's tree-structured Parzen estimator (the optional extra `rivals`), which models a gene at a time and is the sampler that
Optuna recommends for discrete parameters in this number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from baco.search.errors import InvalidSearch
from baco.search.rivals.harness import GENES, Hardware, Harness

MAPPINGS = 100
STARTUP = 10
"""Random trials before the model is asked."""


def search(harness: Harness) -> None:
    """Run until the samples are used up.

    Raises:
        InvalidSearch: if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InvalidSearch("method", "bayesian needs Optuna: install the extra baco[rivals].") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def study() -> Any:
        sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=int(harness.generator.integers(2**31)))
        return optuna.create_study(sampler=sampler)

    machines = study()
    while harness.left >= len(harness.layers):
        trial = machines.ask()
        hardware = harness.hardware_at(*(trial.suggest_float(name, 0, 1) for name in ("side", "accumulator", "scratchpad")))
        value = _map_network(harness, hardware, [study() for _ in harness.layers])
        machines.tell(trial, float(np.log(min(value, 1e60))))


def _map_network(harness: Harness, hardware: Hardware, studies: list[Any]) -> float:
    layers = len(harness.layers)
    best = np.full(layers, np.inf)
    figures, genes = np.zeros((layers, 6)), np.zeros((layers, GENES), np.int64)
    value = np.inf
    for _ in range(min(MAPPINGS, harness.left // layers)):
        for i, study in enumerate(studies):
            found, row, edp = _try_mapping(harness, i, hardware, study)
            if edp < best[i]:
                best[i], figures[i], genes[i] = edp, found, row
        value = min(value, harness.offer(figures, hardware.side, harness.choices(genes, hardware.side)))
    return value


def _try_mapping(harness: Harness, layer: int, hardware: Hardware, study: Any) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """One mapping that the study suggests, made to fit: its figures, its genes and the layer's EDP."""
    space, trial = harness.layers[layer], study.ask()
    asked = np.array([[trial.suggest_int(str(gene), 0, int(most) - 1) if most > 1 else 0 for gene, most in enumerate(space.options)]])
    genes = space.shrunk(asked, hardware, harness.generator)
    found = harness.score_layer(layer, genes, np.array([hardware.side]))
    edp = float(harness.layer_edp(found, hardware)[0])
    study.tell(trial, float(np.log(edp)))
    return found[0], genes[0], edp
