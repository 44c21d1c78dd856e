"""`explore`: hardware and the mappings of all layers together, least energy-delay product (or energy, or latency) of the whole network.

Three phases, one after the other, all scoring with the same equations:

1. Descent (`descent`): many random starting points at once; finds good designs from few samples, and where to look closer.
2. Enumeration (`candidates`, `choice`): for each side of the array worth it, every tile of every layer, thinned to the undominated, and
   from them the best combination with a bound. When the budget does not reach, `branching` scores those that can be best only.
3. Polish (`polish`): on the hardware so chosen, larger tiles where they cost nothing.

What is skipped is skipped for a bound or for the budget, never for the clock: the same seed gives the same answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from baco.perfmodel.constants import Constants
from baco.perfmodel.equations import HALOS, LATENCIES
from baco.perfmodel.errors import InvalidOption
from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.baselines import default_machine, known_machines
from baco.search.candidates import Design, Table, level3_orders
from baco.search.choice import Combination, Selection
from baco.search.enumeration import GUIDES, all_tiles, enumerate_sides
from baco.search.errors import InvalidSearch, NoDesign
from baco.search.goals import PARETO, Goal, Rules
from baco.search.journal import Journal, key_of
from baco.search.pareto import front, most_frugal
from baco.search.polish import TOLERANCE, polish
from baco.search.progress import RESUMED, Event, Progress
from baco.search.result import ExploreResult, NetworkResult, assess, require_writable
from baco.search.spaces import Limits, Space, space_named
from baco.search.tilings import as_searched, check_tilings
from baco.search.workers import ThisProcess, Workers, check_workers, open_workers
from baco.workloads import Network
from baco.workloads import network as network_named

DEFAULT_BUDGET = 50_000_000
STARTS = 24
STEPS = 225
LEAST_STEPS = 40
"""A small budget goes to fewer starting points rather than to fewer steps than this."""
DEVICES = ("auto", "cpu", "cuda")
DESCENT_SHARE, SMALL_SHARE = 0.5, 0.1
"""At most this part of the budget goes to descent: half where the other half reaches for every tile of the largest array, else less."""


@dataclass
class Search:
    """The state of one search: what was scored, and the best design so far."""

    network: Network
    space: Space
    limits: Limits
    rules: Rules
    constants: Constants
    budget: int
    seed: int
    progress: Progress | None
    samples: int = 0
    best: Design | None = None
    seen: list[Design] = field(default_factory=list)
    history: list[tuple[int, float, str]] = field(default_factory=list)
    bound: float | None = None
    method: list[str] = field(default_factory=list)
    importance: bool = True
    """Whether layers get effort by importance, where the budget does not reach for all tiles; else all of them the same."""
    whole_front: bool = False
    """Whether a Pareto front is asked for: then no side is left out for having nothing better by the objective."""
    tables: dict[int, list[Table]] = field(default_factory=dict)
    """Each side's candidates."""
    front: list[Design] = field(default_factory=list)
    starts: int = STARTS
    """The most starting points of descent."""
    device: str = "auto"
    """Where descent runs: see :func:`baco.search.descent.device_for`."""
    workers: Workers = field(default_factory=ThisProcess)
    """Who scores tiles."""
    journal: Journal = field(default_factory=Journal)
    """Steps that are done, for a search that goes on after it was killed."""

    @property
    def best_value(self) -> float:
        return self.best.value if self.best else np.inf

    def combination(self, side: int, goal: Goal | None = None) -> Combination:
        """The candidates of a side, ready to be combined."""
        return self.combined(self.tables[side], side, goal)

    def combined(self, tables: Sequence[Table], side: int, goal: Goal | None = None) -> Combination:
        """Candidates of each layer for arrays of a side, ready to be combined."""
        counts = [layer.count for layer in self.network.layers]
        return Combination(tables, counts, side, self.limits, self.rules.table, goal or self.rules.goal)

    def design(self, selection: Selection, tables: Sequence[Table] | None = None) -> Design:
        """A selection from these candidates, those of its side unless others are given, in a readable form."""
        tables = self.tables[selection.side] if tables is None else tables
        choices = tuple(t.choice(row) for t, row in zip(tables, selection.rows, strict=True))
        hardware = selection.side, selection.accumulator_kib, selection.scratchpad_kib
        return Design(selection.value, selection.energy, selection.latency, *hardware, choices)

    def offer(self, design: Design, phase: str) -> None:
        """Keep `design` if it is the best so far."""
        if design.value < self.best_value:
            self.best = design
            self.history.append((self.samples, design.value, phase))

    def tell(self, phase: str, fraction: float, detail: str = "") -> None:
        if self.progress:
            best = self.best.value if self.best else None
            self.progress(Event(phase, self.samples, best, min(1.0, fraction), detail, self.rules.goal.name))


def explore(
    network: str | Network,
    *,
    space: str | Space = "gemmini",
    objective: str = "edp",
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    out: Path | str | None = None,
    progress: Progress | None = None,
    max_dim: int | None = None,
    max_pes: int | None = None,
    max_scratchpad_kib: float | None = None,
    max_accumulator_kib: float | None = None,
    max_sram_kib: float | None = None,
    max_area_mm2: float | None = None,
    max_power_mw: float | None = None,
    max_cycles: float | None = None,
    constants: Constants | None = None,
    halo: str = "reload",
    latency: str = "shared",
    importance: bool = True,
    tilings: str | None = None,
    starts: int = STARTS,
    device: str = "auto",
    workers: int | str | None = None,
) -> ExploreResult:
    """Find the hardware of `space` and the mappings of all layers that are best for the whole network within the limits.

    `objective`: the least energy-delay product ("edp"), "energy" or "latency"; "pareto" finds the design of the least product and, beside
    it, a front of designs none of which beats another in both. `budget` is the largest number of mappings to score; where that is too few
    for every tile, layers get their part of it by `importance` (dissertation 6.5), or without it the same part each. `tilings`: tiles
    divide their dimension ("exact", the paper space's default), or the last may be smaller ("ragged", the default else). `constants`
    replaces Table 6.3. Descent begins at `starts` points, where half of the budget reaches for them (0: there is no descent), as one batch
    on `device`, "cpu" or "cuda": a GPU by default where there is one and the batch is large. Tiles are scored by so many `workers`,
    processes of this machine (all its cores by default), or on a cluster with "ray", which makes no difference to the answer. With `out`,
    the design is written into that folder. An interrupt (ctrl-C) ends the search early and returns the best design so far, marked
    `interrupted`. A search that was interrupted or killed goes on where it was when it is started again with the same options and folder,
    and gives the same answer.

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
    constants = constants or Constants()
    limits = Limits(
        max_dim=Limits.max_dim if max_dim is None else max_dim,
        max_scratchpad_kib=max_scratchpad_kib,
        max_accumulator_kib=max_accumulator_kib,
        max_sram_kib=max_sram_kib,
        max_pes=max_pes,
        max_area_mm2=max_area_mm2,
        max_power_mw=max_power_mw,
        max_cycles=max_cycles,
        area=constants.area,
    )
    goal = Goal(
        "edp" if objective == PARETO else objective,
        math.inf if max_cycles is None else max_cycles,
        math.inf if max_power_mw is None else max_power_mw / constants.power_mw(1, 1),
    )
    chosen_space = space_named(space) if isinstance(space, str) else space
    tilings = chosen_space.tilings if tilings is None else check_tilings(tilings)
    table = as_searched(network_named(network) if isinstance(network, str) else network, tilings)
    if not chosen_space.sides(limits):
        name, value = next((n, v) for n, v in (("max_area_mm2", max_area_mm2), ("max_pes", max_pes), ("max_dim", max_dim)) if v is not None)
        raise InvalidSearch(name, f"leaves no room for the smallest array of the {chosen_space.name} space: it is {value:g}.")
    least = len(table.layers) * len(level3_orders(halo))
    if budget < least:
        raise InvalidSearch("budget", f"must be at least {least}, one mapping of each of {len(table.layers)} layers, but is {budget}.")
    if starts < 0:
        raise InvalidSearch("starts", f"must be at least 0, but is {starts}.")
    if device not in DEVICES:
        raise InvalidSearch("device", f"must be one of {', '.join(DEVICES)}, but is {device!r}.")
    if out is not None:
        require_writable(Path(out))

    rules = Rules(goal, halo, latency, constants.energy, tilings)
    search = Search(table, chosen_space, limits, rules, constants, budget, seed, progress, whole_front=objective == PARETO)
    search.importance, search.starts, search.device = importance, starts, device
    if out is not None:
        search.journal = Journal(Path(out), key_of(search))
        if search.journal.reached:
            search.tell(RESUMED, 0.0, search.journal.reached)
    interrupted = False
    work = min(budget, all_tiles(search, limits.largest_side) * len(chosen_space.sides(limits)))
    try:
        with open_workers(check_workers(workers), work) as search.workers:
            _descend(search)
            enumerate_sides(search)
        if goal.objective == "latency" and search.best:
            search.best = most_frugal(search, search.best)
        _polish(search)
        if search.whole_front:
            search.front = front(search)
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
        objective=objective,
        limits=str(limits),
        halo=halo,
        latency=latency,
        tilings=tilings,
        seed=seed,
        budget=budget,
        design=_mapped(search, search.best, "chosen"),
        baseline=default_machine(table, halo, latency, constants, tilings),
        known=known_machines(table, rules, constants),
        front=tuple(_mapped(search, design, f"front {i}") for i, design in enumerate(search.front, start=1)),
        samples=search.samples,
        history=tuple(search.history),
        bound=search.bound,
        method=", then ".join(search.method) + (" (interrupted)" if interrupted else ""),
        interrupted=interrupted,
        seconds=time.monotonic() - started + search.journal.earlier,
        constants=constants,
        left_out=table.left_out,
    )
    search.tell("done", 1.0)
    if out is not None:
        result.write(Path(out))
        if not interrupted:
            search.journal.remove()
    return result


def _mapped(search: Search, found: Design, label: str) -> NetworkResult:
    """The design's cost in the exact model."""
    machine = search.space.machine(found.side, found.accumulator_kib, found.scratchpad_kib)
    config = search.space.config(found.side, found.accumulator_kib, found.scratchpad_kib)
    mapped = [(layer, c.mapping(layer.problem)) for layer, c in zip(search.network.layers, found.choices, strict=True)]
    if config:
        for layer, mapping in mapped:
            mapping.check(layer.problem, config, buffers=search.space.buffers)
    return assess(label, machine, config, mapped, search.rules.halo, search.rules.latency, search.constants)


def _descend(search: Search) -> None:
    """Phase 1. Takes fewer steps, then fewer starting points, where the budget does not reach."""
    if not search.starts:
        return
    import torch

    from baco.search.descent import ROUND_EVERY, descend, device_for, exact_designs, rounds, start

    per_start = len(search.network.layers) * len(level3_orders(search.rules.halo))
    reach = all_tiles(search, search.limits.largest_side) <= search.budget * (1 - DESCENT_SHARE)
    share = int(search.budget * (DESCENT_SHARE if reach else SMALL_SHARE))
    starts = max(1, min(search.starts, share // per_start // LEAST_STEPS))
    steps = max(0, min(STEPS, share // (starts * per_start) - 1 - STEPS // ROUND_EVERY))
    search.method.append(f"descent from {starts} starting points in {steps} steps")

    whole_samples = (steps + 2 + -(-steps // ROUND_EVERY)) * starts * per_start

    def tick(scored: int) -> None:
        search.samples += scored
        search.tell("descent", 0.6 * search.samples / whole_samples)

    space = search.network, search.space, search.limits
    device = device_for(search.device, starts, len(search.network.layers))
    whole: list[list[list[int]]] = []

    def advance(taken: int) -> list[list[list[int]]]:
        further = (taken - 1) % ROUND_EVERY + 1
        points = np.array(whole, np.int64)
        found, sides = (
            descend(*space, points, further, search.rules, tick, device)
            if taken
            else start(*space, starts, search.seed, search.rules.tilings)
        )
        designs = exact_designs(search.network, found, sides, *space[1:], search.rules)
        search.samples += starts * per_start
        for design in designs:
            search.offer(design, "descent")
        search.seen = sorted({d.value: d for d in [*search.seen, *designs]}.values(), key=lambda d: d.value)[:GUIDES]
        return found.tolist()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: more threads only wait for each other, and results must not depend on their number
    try:
        for taken in rounds(steps):
            whole = search.journal.step(search, f"descent {taken}", lambda taken=taken: advance(taken))
            search.tell("descent", 0.6 * search.samples / whole_samples)
    finally:
        torch.set_num_threads(threads)


def _polish(search: Search) -> None:
    """Phase 3: mappings that cost no more on the chosen hardware and take larger tiles, as far as the budget goes."""
    best = search.best
    if best is None:
        return
    choices = list(best.choices)
    hardware = (best.side, best.accumulator_kib, best.scratchpad_kib)
    rules = search.rules
    for i, layer in enumerate(search.network.layers):
        left = search.budget - search.samples
        model = rules.halo, rules.latency, left, rules.table, rules.tilings
        choices[i], scored = polish(layer.problem, choices[i], *hardware, search.space, *model)
        search.samples += scored
    polished = replace(best, choices=tuple(choices))
    mapped = _mapped(search, polished, "polished")
    energy, cycles = mapped.energy_uj / PJ_TO_UJ, mapped.cycles
    if rules.goal.allows(energy * (1 - TOLERANCE), cycles):  # a faster mapping may draw more power than allowed
        search.best = replace(polished, value=rules.goal.value(energy, cycles), energy=energy, latency=cycles)
        if search.best.value < best.value * (1 - TOLERANCE):
            search.history.append((search.samples, search.best.value, "polish"))
