"""Bayesian optimisation in two loops, as in DOSA's comparison: of machines outside, of each layer's mappings inside, 100 a machine.

Both by a Gaussian process of the logarithm of EDP (scikit-learn, the optional extra `rivals`): of many random candidates, which are free
to draw, those with the least lower confidence bound are tried. DOSA's code fits its processes once, on 100 random mappings and 100 random
machines, and tries the ten that promise most; here the mappings' are fitted again after every batch and the machines' after every machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baco.search.errors import InvalidSearch
from baco.search.rivals.harness import Hardware, Harness, MappingSpace
from baco.search.rivals.mapper import map_network

MAPPINGS = 100
STARTUP = 10
"""Random machines before the model is asked."""
CANDIDATES = 500
"""Random mappings of a layer out of which the next are chosen."""
CONFIDENCE = 1.0
"""Standard deviations below the mean at which a candidate is judged (DOSA's `l`)."""
JITTER = 1e-4
"""Added to the variance of what was seen, to keep its matrix invertible where two candidates are nearly the same."""

Bound = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def search(harness: Harness) -> None:
    """Run until the samples are used up.

    Raises:
        InvalidSearch: if scikit-learn is not installed.
    """
    lower_bound = _gaussian_process()

    def propose(
        space: MappingSpace,
        hardware: Hardware,
        seen: NDArray[np.int64],
        edps: NDArray[np.float64],
        many: int,
        generator: np.random.Generator,
    ) -> NDArray[np.int64]:
        if not len(seen):
            return space.random(many, generator)
        candidates = np.unique(space.shrunk(space.random(CANDIDATES, generator), hardware, generator), axis=0)
        bounds = lower_bound(_features(space, seen), np.log(edps), _features(space, candidates))
        return candidates[np.resize(np.argsort(bounds, kind="stable")[:many], many)]

    points, values = np.zeros((0, 3)), np.zeros(0)
    while harness.left >= len(harness.layers):
        candidates = harness.random_points()
        chosen = 0 if len(points) < STARTUP else int(lower_bound(points, _logarithms(values), candidates).argmin())
        value = map_network(harness, harness.hardware_at(*candidates[chosen]), MAPPINGS, propose)
        points, values = np.vstack([points, candidates[chosen]]), np.append(values, value)


def _gaussian_process() -> Bound:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern
    except ImportError as error:
        raise InvalidSearch("method", "bayesian needs scikit-learn: install the extra baco[rivals].") from error

    def lower_bound(seen: NDArray[np.float64], values: NDArray[np.float64], candidates: NDArray[np.float64]) -> NDArray[np.float64]:
        """(candidates,): the lower confidence bound of each, from the values (seen,) at points (seen, features)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at the end of its range
            process = GaussianProcessRegressor(Matern(nu=2.5), alpha=JITTER, normalize_y=True).fit(seen, values)
        mean, deviation = process.predict(candidates, return_std=True)
        return mean - CONFIDENCE * deviation

    return lower_bound


def _features(space: MappingSpace, genes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(many, features): of each dimension the tile as a part of the whole, by proportion, from 0 to 2; of each order whether it is that."""
    sizes = np.log2(np.stack(space.tiles(genes), axis=1))
    whole = np.maximum(np.log2(space.sizes.max(axis=1)), 1.0)
    return np.concatenate([2 * sizes / whole, genes[:, -1:] == np.arange(len(space.orders))], axis=1)


def _logarithms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the values of machines; where no design was within the limits, as much as ten times the worst."""
    finite = np.isfinite(values)
    return np.log(np.where(finite, values, 10 * values[finite].max() if finite.any() else 1.0))
