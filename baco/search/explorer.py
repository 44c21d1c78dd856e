"""`explore`: hardware and the mappings of all layers together, least energy-delay product of the whole network.

Three phases, one after the other, all scoring with the same equations:

1. Descent (`descent`): many random starting points at once; finds good designs from few samples, and where to look closer.
2. Enumeration (`candidates`, `choice`): for each side of the array worth it, every tile of every layer (or, when the budget does not
   reach, those around what descent found), thinned to the undominated, and from them the best combination with a bound.
3. Polish (`polish`): on the hardware so chosen, larger tiles where they cost nothing.

What is skipped is skipped for a bound or for the budget, never for the clock: the same seed gives the same answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from baco.hardware import GemminiConfig
from baco.perfmodel.constants import DRAM_WORDS_PER_CYCLE, TABLE_6_3
from baco.perfmodel.equations import HALOS, LATENCIES
from baco.perfmodel.errors import InvalidOption
from baco.perfmodel.exact import PJ_TO_UJ
from baco.perfmodel.machine import Machine
from baco.search.candidates import Design, divisors, level3_orders, tabulate
from baco.search.choice import GAP, Combination, Selection
from baco.search.errors import InvalidSearch, NoDesign
from baco.search.polish import polish
from baco.search.progress import Event, Progress
from baco.search.result import ExploreResult, NetworkResult, assess, require_writable
from baco.search.spaces import GemminiSpace, Limits, Space, space_named
from baco.workload import DIMENSIONS
from baco.workloads import Network
from baco.workloads import network as network_named

DEFAULT_BUDGET = 5_000_000
STARTS = 24
STEPS = 225
LEAST_STEPS = 40
"""A small budget goes to fewer starting points rather than to fewer steps than this."""
DESCENT_SHARE = 0.5
"""At most this part of the budget goes to descent."""
GUIDES = 4
"""Designs of descent around which tiles are looked for when the budget does not reach for all."""


@dataclass
class Search:
    """The state of one search: what was scored, and the best design so far."""

    network: Network
    space: Space
    limits: Limits
    budget: int
    seed: int
    halo: str
    latency: str
    progress: Progress | None
    samples: int = 0
    best: Design | None = None
    seen: list[Design] = field(default_factory=list)
    history: list[tuple[int, float, str]] = field(default_factory=list)
    bound: float | None = None
    method: list[str] = field(default_factory=list)

    @property
    def best_edp(self) -> float:
        return self.best.edp if self.best else np.inf

    def offer(self, design: Design, phase: str) -> None:
        """Keep `design` if it is the best so far."""
        if design.edp < self.best_edp:
            self.best = design
            self.history.append((self.samples, design.edp, phase))

    def tell(self, phase: str, fraction: float, detail: str = "") -> None:
        if self.progress:
            self.progress(Event(phase, self.samples, self.best.edp if self.best else None, min(1.0, fraction), detail))


def explore(
    network: str | Network,
    *,
    space: str | Space = "gemmini",
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    out: Path | str | None = None,
    progress: Progress | None = None,
    max_dim: int | None = None,
    max_scratchpad_kib: float | None = None,
    max_accumulator_kib: float | None = None,
    halo: str = "reload",
    latency: str = "shared",
) -> ExploreResult:
    """Find the hardware of `space` and the mappings of all layers with the least energy-delay product of the network.

    `budget` is the largest number of mappings to score. With `out`, the design is written into that folder. An interrupt (ctrl-C) ends the
    search early and returns the best design so far, marked `interrupted`.

    Raises:
        UnknownNetwork, InvalidSearch, InvalidOption: for options that make no sense.
        OutputFolder: if `out` cannot be written to; found out before the search.
        NoDesign: if no hardware within the limits holds a mapping of every layer.
    """
    started = time.monotonic()
    if halo not in HALOS:
        raise InvalidOption("halo", halo, HALOS)
    if latency not in LATENCIES:
        raise InvalidOption("latency", latency, LATENCIES)
    table = network_named(network) if isinstance(network, str) else network
    chosen_space = space_named(space) if isinstance(space, str) else space
    limits = Limits(Limits.max_dim if max_dim is None else max_dim, max_scratchpad_kib, max_accumulator_kib)
    if not chosen_space.sides(limits):
        raise InvalidSearch("max_dim", f"must be at least 2, the smallest array of the {chosen_space.name} space, but is {limits.max_dim}.")
    least = len(table.layers) * len(level3_orders(halo))
    if budget < least:
        raise InvalidSearch("budget", f"must be at least {least}, one mapping of each of {len(table.layers)} layers, but is {budget}.")
    if out is not None:
        require_writable(Path(out))

    search = Search(table, chosen_space, limits, budget, seed, halo, latency, progress)
    interrupted = False
    try:
        _descend(search)
        _enumerate(search)
        _polish(search)
    except KeyboardInterrupt:
        if search.best is None:
            raise
        interrupted = True
        search.bound = None
    if search.best is None:
        raise NoDesign(
            f"no machine of the {chosen_space.name} space with {limits} holds a mapping of every layer of {table.name};"
            " raise a limit or the budget."
        )
    result = ExploreResult(
        network=table.name,
        space=chosen_space.name,
        halo=halo,
        latency=latency,
        seed=seed,
        budget=budget,
        design=_design(search),
        baseline=default_machine(table, halo, latency),
        samples=search.samples,
        history=tuple(search.history),
        bound=search.bound,
        method=", then ".join(search.method) + (" (interrupted)" if interrupted else ""),
        interrupted=interrupted,
        seconds=time.monotonic() - started,
    )
    search.tell("done", 1.0)
    if out is not None:
        result.write(Path(out))
    return result


def _design(search: Search) -> NetworkResult:
    best = search.best
    machine = search.space.machine(best.side, best.accumulator_kib, best.scratchpad_kib)
    config = search.space.config(best.side, best.accumulator_kib, best.scratchpad_kib)
    mapped = [(layer, c.mapping(layer.problem)) for layer, c in zip(search.network.layers, best.choices, strict=True)]
    if config:
        for layer, mapping in mapped:
            mapping.check(layer.problem, config, buffers=search.space.buffers)
    return assess("chosen", machine, config, mapped, search.halo, search.latency)


def _descend(search: Search) -> None:
    """Phase 1. Takes fewer steps, then fewer starting points, where the budget does not reach."""
    import torch

    from baco.search.descent import ROUND_EVERY, descend

    per_start = len(search.network.layers) * len(level3_orders(search.halo))
    share = int(search.budget * DESCENT_SHARE)
    starts = max(1, min(STARTS, share // per_start // LEAST_STEPS))
    steps = max(0, min(STEPS, share // (starts * per_start) - 1 - STEPS // ROUND_EVERY))
    search.method.append(f"descent from {starts} starting points in {steps} steps")

    whole = (steps + 2 + -(-steps // ROUND_EVERY)) * starts * per_start

    def tick(scored: int) -> None:
        search.samples += scored
        search.tell("descent", 0.6 * search.samples / whole)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: more threads only wait for each other, and results must not depend on their number
    try:
        options = {"starts": starts, "steps": steps, "seed": search.seed, "halo": search.halo, "latency": search.latency}
        for step in descend(search.network, search.space, search.limits, **options, tick=tick):
            search.samples += step.scored
            for design in step.designs:
                search.offer(design, "descent")
            search.seen = sorted({d.edp: d for d in [*search.seen, *step.designs]}.values(), key=lambda d: d.edp)[:GUIDES]
            search.tell("descent", 0.6 * search.samples / whole)
    finally:
        torch.set_num_threads(threads)


def _enumerate(search: Search) -> None:
    """Phase 2, the sides that descent liked best first, so that their results rule out others."""
    liked = {d.side: rank for rank, d in reversed(list(enumerate(search.seen)))}
    sides = sorted(search.space.sides(search.limits), key=lambda s: (liked.get(s, GUIDES), -s))
    bounds, whole, scored = [], True, []
    for position, side in enumerate(sides):
        floor = _floor(search.network, side, search.latency)
        if floor >= search.best_edp * (1 - GAP):
            bounds.append(floor)
            continue
        left = (search.budget - search.samples) // 2 if position + 1 < len(sides) else search.budget - search.samples
        menus, complete = _menus(search, max(left, 0))
        if menus is None:
            whole = False
            continue
        whole &= complete
        lowest = _enumerate_side(search, side, menus, 0.6 + 0.4 * position / len(sides))
        bounds.append(lowest * (1 - search.space.bound_slack(side)))
        scored.append(side)
    if scored:
        search.method.append(
            f"{'every tile' if whole else 'tiles near those'} on sides {', '.join(map(str, scored))} combined by branch and bound"
        )
    # The orders tried are shown to be enough for halo `reload` only.
    search.bound = min([*bounds, search.best_edp]) if whole and search.halo == "reload" else None


def _enumerate_side(search: Search, side: int, menus: list[dict[str, list[int]]], fraction: float) -> float:
    tables = []
    for layer, menu in zip(search.network.layers, menus, strict=True):
        found, scored = tabulate(layer.problem, menu, side, search.space, search.limits, search.halo, search.latency)
        tables.append(found)
        search.samples += scored
        search.tell("enumeration", fraction, f"side {side}, {layer.name}")

    def improved(selection: Selection) -> None:
        choices = tuple(t.choice(row) for t, row in zip(tables, selection.rows, strict=True))
        search.offer(Design(selection.edp, side, selection.accumulator_kib, selection.scratchpad_kib, choices), "enumeration")
        search.tell("enumeration", fraction, f"side {side}")

    combination = Combination(tables, [layer.count for layer in search.network.layers], side, search.limits)
    return combination.best(search.best_edp, improved)[1]


def _polish(search: Search) -> None:
    """Phase 3: mappings that cost no more on the chosen hardware and take larger tiles, as far as the budget goes."""
    best = search.best
    if best is None:
        return
    choices = list(best.choices)
    hardware = (best.side, best.accumulator_kib, best.scratchpad_kib)
    for i, layer in enumerate(search.network.layers):
        left = search.budget - search.samples
        choices[i], scored = polish(layer.problem, choices[i], *hardware, search.space, search.halo, search.latency, left)
        search.samples += scored
    search.best = replace(best, choices=tuple(choices))


def _floor(network: Network, side: int, latency: str) -> float:
    """A lower bound on the EDP of any machine of this side: all elements busy, and each tensor crossing DRAM once."""
    energy = cycles = 0.0
    for layer in network.layers:
        p = layer.problem
        # A dilated filter may leave inputs unread, so those are not counted there.
        tensors = ("weights", "inputs") if p.dilation == (1, 1) else ("weights",)
        reads, writes = sum(p.tile_words(tensor, p.sizes) for tensor in tensors), p.tile_words("outputs", p.sizes)
        energy += layer.count * (p.macs * (TABLE_6_3.mac + TABLE_6_3.register) + (reads + writes) * TABLE_6_3.dram)
        words = reads + writes if latency == "shared" else max(reads, writes)
        cycles += layer.count * max(p.macs / side**2, words / DRAM_WORDS_PER_CYCLE)
    return energy * PJ_TO_UJ * cycles


def _menus(search: Search, allowance: int) -> tuple[list[dict[str, list[int]]] | None, bool]:
    """Tile sizes to try in each dimension of each layer: all divisors, or as many of those nearest to what descent found as `allowance`
    samples are enough for; None where not even one a dimension is."""
    orders = len(level3_orders(search.halo))
    full = [{d: divisors(n) for d, n in layer.problem.sizes.items()} for layer in search.network.layers]
    longest = max(len(sizes) for menu in full for sizes in menu.values())
    for most in range(longest, 0, -1):
        menus = [{d: _nearest(sizes, _guides(search, i, d), most) for d, sizes in menu.items()} for i, menu in enumerate(full)]
        if sum(int(np.prod([len(s) for s in menu.values()])) for menu in menus) * orders <= allowance:
            return menus, most == longest
    return None, False


def _guides(search: Search, layer: int, dim: str) -> list[int]:
    return [d.choices[layer].tile[DIMENSIONS.index(dim)] for d in search.seen]


def _nearest(sizes: list[int], guides: Sequence[int], most: int) -> list[int]:
    """The `most` sizes nearest in proportion to any of the guides (to the largest size where there are none)."""
    guides = guides or sizes[-1:]
    return sorted(sorted(sizes, key=lambda s: (min(abs(np.log(s / g)) for g in guides), s))[:most])


def default_machine(network: Network, halo: str = "reload", latency: str = "shared") -> NetworkResult:
    """The generator's default machine with the best mapping of each layer that it holds, double-buffered: the network's least EDP on it."""
    config, space, limits = GemminiConfig(), GemminiSpace(), Limits()
    machine = Machine.from_config(config)
    tables = [
        tabulate(layer.problem, {d: divisors(n) for d, n in layer.problem.sizes.items()}, config.dim, space, limits, halo, latency)[0]
        for layer in network.layers
    ]
    combination = Combination(tables, [layer.count for layer in network.layers], config.dim, limits)
    selection = combination.on_machine(machine.accumulator_kib, machine.scratchpad_kib)
    if selection is None:
        raise NoDesign(f"the default machine holds no mapping of some layer of {network.name}.")
    hardware = (config.dim, machine.accumulator_kib, machine.scratchpad_kib)
    mapped = []
    for layer, found, row in zip(network.layers, tables, selection.rows, strict=True):
        choice, _ = polish(layer.problem, found.choice(row), *hardware, space, halo, latency)
        mapped.append((layer, choice.mapping(layer.problem)))
    return assess("gemmini-default, best mapping", machine, config, mapped, halo, latency)
