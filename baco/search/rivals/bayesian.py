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
from baco.search.rivals.harness import Harness, MappingSpace
from baco.search.rivals.mapper import Tried, map_network

MAPPINGS = 100
STARTUP = 10
"""Random machines before the model is asked."""
CANDIDATES = 500
"""Random mappings of a layer out of which the next are chosen."""
CONFIDENCE = 1.0
"""Standard deviations below the mean at which a candidate is judged (DOSA's `l`)."""
NOISE = 1e-2
"""Variance of what was seen, as a part of that between candidates: a machine's value depends on how well its mappings were found."""
SCALES = np.log([0.25, 0.5, 1.0, 2.0, 4.0])
"""Length scales that are tried for mappings, as there are too many processes of them to optimise each."""

Values = NDArray[np.float64]
Bound = Callable[[Values, Values, Values, bool], Values]


def search(harness: Harness) -> None:
    """Run until the samples are used up.

    Raises:
        InvalidSearch: if scikit-learn is not installed.
    """
    lower_bound = _gaussian_process()

    def propose(tried: Tried, many: int, generator: np.random.Generator) -> NDArray[np.int64]:
        space = tried.space
        if not len(tried.genes):
            return space.random(many, generator)
        candidates = np.unique(space.shrunk(space.random(CANDIDATES, generator), tried.hardware, generator), axis=0)
        bounds = lower_bound(_features(space, tried.genes), np.log(tried.edps), _features(space, candidates), False)
        return candidates[np.resize(np.argsort(bounds, kind="stable")[:many], many)]

    points, values = np.zeros((0, 3)), np.zeros(0)
    while harness.left >= len(harness.layers):
        candidates = harness.random_points()
        chosen = 0 if len(points) < STARTUP else int(lower_bound(points, _logarithms(values), candidates, True).argmin())
        value = map_network(harness, harness.hardware_at(*candidates[chosen]), MAPPINGS, propose)
        points, values = np.vstack([points, candidates[chosen]]), np.append(values, value)


def _gaussian_process() -> Bound:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern
    except ImportError as error:
        raise InvalidSearch("method", "bayesian needs scikit-learn: install the extra baco[rivals].") from error

    def lower_bound(seen: Values, values: Values, candidates: Values, optimised: bool) -> Values:
        """(candidates,): the lower confidence bound of each, from the values (seen,) at points (seen, features).

        With `optimised`, every feature has its own length scale; else all have one of SCALES.
        """
        kernel = Matern(np.ones(seen.shape[1]) if optimised else 1.0, nu=2.5)
        optimizer = "fmin_l_bfgs_b" if optimised else _likeliest_scale
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at the end of its range
            process = GaussianProcessRegressor(kernel, alpha=NOISE, normalize_y=True, optimizer=optimizer).fit(seen, values)
        mean, deviation = process.predict(candidates, return_std=True)
        return mean - CONFIDENCE * deviation

    return lower_bound


def _likeliest_scale(objective: Callable[..., float], theta: Values, bounds: Values) -> tuple[Values, float]:
    """An optimizer for scikit-learn: the scale out of SCALES with the least negative likelihood."""
    likelihoods = [objective(np.array([scale]), eval_gradient=False) for scale in SCALES]
    best = int(np.argmin(likelihoods))
    return SCALES[best : best + 1], likelihoods[best]


def _features(space: MappingSpace, genes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(many, features): of each dimension the tile as a part of the whole, by proportion, from 0 to 2; of each order whether it is that."""
    sizes = np.log2(np.stack(space.tiles(genes), axis=1))
    whole = np.maximum(np.log2(space.sizes.max(axis=1)), 1.0)
    return np.concatenate([2 * sizes / whole, genes[:, -1:] == np.arange(len(space.orders))], axis=1)


def _logarithms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the values of machines; where no design was within the limits, as much as ten times the worst."""
    finite = np.isfinite(values)
    return np.log(np.where(finite, values, 10 * values[finite].max() if finite.any() else 1.0))
