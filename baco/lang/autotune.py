"""`@baco.autotune`: try configurations of a kernel, keep the cheapest; `@baco.heuristics`: compute compile-time arguments from the others.

    @baco.autotune(configs=[baco.Config({"BLOCK_M": 64}), baco.Config({"BLOCK_M": 128})], key=["M", "N"])
    @baco.jit
    def kernel(a, b, M, N, BLOCK_M: bl.constexpr): ...

Names and meanings are Triton's. What is compared is not time but the cost that :mod:`baco.sim.cost` computes from the simulator's
counters, so the choice is the same on every computer. Each configuration runs on copies: the caller's arrays see only the final run.

The cost of each configuration is kept on disk by itself (:mod:`baco.lang.tuning_cache`), so adding one to the list tries only that one.
"""

from __future__ import annotations

import dataclasses
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baco import knobs
from baco.lang import launch, tuning_cache
from baco.lang.errors import AutotunerError, CompilationError, LaunchError
from baco.lang.jit import CPU, INTERPRETED, RESERVED, JITFunction, Launchable
from baco.sim.cost import cycles_of
from baco.sim.errors import SimulationFault

QUANTILES = (0.5, 0.2, 0.8)
"""What Triton asks a custom `do_bench` for; the first of its answers counts."""


@dataclass(frozen=True)
class Config:
    """One configuration: compile-time arguments of the kernel and options of the launch.

    `num_warps`, `num_ctas` and `maxnreg` are accepted with a warning: this machine has nothing like them. `pre_hook` is called with all
    arguments by name before each launch with this configuration.
    """

    kwargs: dict[str, Any]
    num_warps: int | None = None
    num_stages: int = 1
    num_ctas: int | None = None
    maxnreg: int | None = None
    instructions: str | None = None
    """Which instructions do products, as in a launch; None leaves it to the launch."""
    grid_order: tuple[int, ...] | None = None
    """The axes of the grid from the innermost on, as in a launch; None leaves it to the launch."""
    keep_resident: bool | None = None
    """Whether blocks that several program instances use stay on the chip, as in a launch; None leaves it to the launch."""
    pre_hook: Callable[[dict[str, Any]], None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        launch.Options(**self.options())
        given = {name: getattr(self, name) for name in launch.GPU_ONLY if getattr(self, name) is not None}
        launch.without_gpu(given, (), stacklevel=3)

    def __hash__(self) -> int:
        return hash(str(self))

    def all_kwargs(self) -> dict[str, Any]:
        """What a launch with this configuration is given."""
        return {**self.kwargs, **self.options()}

    def options(self) -> dict[str, Any]:
        """The options of a launch that it decides."""
        given = ((name, getattr(self, name)) for name in launch.KEYWORDS)
        return {name: value for name, value in given if value is not None}

    def __str__(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self.all_kwargs().items())

    def to_source(self) -> str:
        """The call that makes it."""
        options = "".join(f", {name}={value!r}" for name, value in self.options().items() if (name, value) != ("num_stages", 1))
        return f"baco.Config({self.kwargs!r}{options})"


class _Wrapper(Launchable):
    """What stands around a kernel: a heuristic or a tuner, perhaps around another."""

    def __init__(self, fn: JITFunction | _Wrapper) -> None:
        if not isinstance(fn, (JITFunction, _Wrapper)):
            raise LaunchError(f"{getattr(fn, '__name__', fn)!r} is not a kernel; put @baco.jit below the other decorators.")
        self.fn = fn
        self.base: JITFunction = fn.base if isinstance(fn, _Wrapper) else fn
        self.__name__, self.__doc__ = self.base.__name__, self.base.__doc__
        self.names = [p.name for p in self.base.parameters]

    def named(self, arguments: Sequence[object], keywords: Mapping[str, object]) -> dict[str, Any]:
        """The arguments of a launch by name, as far as they are given."""
        if len(arguments) > len(self.names):
            raise LaunchError(f"kernel {self.__name__} takes {len(self.names)} arguments, but {len(arguments)} were given.")
        return {**dict(zip(self.names, arguments, strict=False)), **keywords}

    def bind(self, arguments: Sequence[object], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments that the kernel gets, by name; of the keywords, those of the launch itself do not count."""
        return self.fn.bind(arguments, {name: value for name, value in keywords.items() if name not in RESERVED})

    def check_names(self, names: Sequence[str], what: str) -> None:
        """Each name must be a parameter of the kernel."""
        for name in names:
            if name not in self.names:
                raise LaunchError(f"kernel {self.__name__}: {what} names {name!r}, but the parameters are {', '.join(self.names)}.")


class Heuristics(_Wrapper):
    """A kernel some of whose arguments are computed from the others."""

    def __init__(self, fn: JITFunction | _Wrapper, values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> None:
        super().__init__(fn)
        self.values = dict(values)
        self.check_names(list(values), "heuristics")

    def run(self, *arguments: object, **keywords: Any) -> Any:
        return self.fn.run(*arguments, **self._computed(arguments, keywords))

    def warmup(self, *arguments: object, **keywords: Any) -> Any:
        return self.fn.warmup(*arguments, **self._computed(arguments, keywords))

    def bind(self, arguments: Sequence[object], keywords: Mapping[str, Any]) -> dict[str, Any]:
        return super().bind(arguments, self._computed(arguments, keywords))

    def _computed(self, arguments: Sequence[object], keywords: Mapping[str, Any]) -> dict[str, Any]:
        full = dict(keywords)
        for name, function in self.values.items():
            full[name] = function(self.named(arguments, full))
        return full


def heuristics(values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Callable[[JITFunction | _Wrapper], Heuristics]:
    """Compute arguments: `values` gives for each name a function of all other arguments by name."""
    return lambda fn: Heuristics(fn, values)


class Autotuner(_Wrapper):
    """A kernel that chooses its configuration. After a launch, the attributes tell what it found.

    `best_config` is the configuration of the last launch; `configs_timings` the cost of each configuration tried in the last tuning;
    `skipped` why the others could not be tried; `counted` and `reused` how many costs came from running and from the cache on disk.
    """

    def __init__(
        self,
        fn: JITFunction | _Wrapper,
        configs: Sequence[Config],
        key: Sequence[str],
        prune_configs_by: Mapping[str, Any] | None,
        reset_to_zero: Sequence[str] | None,
        restore_value: Sequence[str] | None,
        pre_hook: Callable[..., None] | None,
        post_hook: Callable[..., None] | None,
        do_bench: Callable[..., Any] | None,
        cache_results: bool,
    ) -> None:
        super().__init__(fn)
        self.configs = list(configs) or [Config({})]
        self.keys = list(key)
        for names, what in ((key, "key"), (reset_to_zero or (), "reset_to_zero"), (restore_value or (), "restore_value")):
            self.check_names(names, what)
        for config in self.configs:
            self.check_names(list(config.kwargs), "a configuration")
        self.reset_to_zero = list(reset_to_zero or ())
        self.pre_hook, self.post_hook, self.do_bench = pre_hook, post_hook, do_bench
        self.cache_results = cache_results and do_bench is None
        prune = dict(prune_configs_by or {})
        self.perf_model = prune.pop("perf_model", None)
        self.top_k = prune.pop("top_k", 1.0)
        self.early_config_prune = prune.pop("early_config_prune", None)
        if prune:
            raise LaunchError(f"prune_configs_by takes perf_model, top_k and early_config_prune, not {', '.join(map(repr, prune))}.")
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, (int, float)) or self.top_k <= 0:
            raise LaunchError(f"top_k must be a positive number of configurations, or a part of them up to 1.0, not {self.top_k!r}.")
        self.cache: dict[Any, Config] = {}
        self.best_config: Config | None = None
        self.configs_timings: dict[Config, float] = {}
        self.skipped: dict[Config, str] = {}
        self.counted = self.reused = 0

    def run(self, *arguments: object, grid: Any, **keywords: Any) -> Any:
        """Launch with the best configuration, found first if the values of `key`, the element types or the hardware are new.

        Raises:
            AutotunerError: if no configuration can be compiled and run.
        """
        named = self.named(arguments, keywords)
        clash = sorted({name for config in self.configs for name in config.all_kwargs() if name in named})
        if clash:
            raise LaunchError(f"kernel {self.__name__}: {', '.join(clash)} comes from the configurations; do not give it in the launch.")
        self.best_config = self.choose(named, arguments, grid, keywords)
        if self.best_config.pre_hook:
            self.best_config.pre_hook({**named, **self.best_config.all_kwargs()})
        return self.fn.run(*arguments, grid=grid, **keywords, **self.best_config.all_kwargs())

    def warmup(self, *arguments: object, **keywords: Any) -> list[Any]:
        """Compile every configuration that pruning leaves."""
        left = self.prune(self.named(arguments, keywords), keywords)
        return [self.fn.warmup(*arguments, **keywords, **config.all_kwargs()) for config in left]

    def choose(self, named: Mapping[str, Any], arguments: Sequence[object], grid: Any, keywords: Mapping[str, Any]) -> Config:
        """The configuration to launch with."""
        if len(self.configs) == 1:
            return self.configs[0]
        if self.base.interpret or keywords.get("backend") in (CPU, INTERPRETED):
            return self.prune(named, keywords)[0]  # nothing is counted there, and each gives the same result
        types = tuple(_dtype(v) for v in named.values() if launch.is_array(v))
        shown = (*(named.get(name) for name in self.keys), *types)
        key = (*shown, _options(keywords), launch.machine(keywords.get("hardware")), _clock(keywords))
        if key not in self.cache:
            self.cache[key] = self._tune(named, arguments, grid, keywords, shown)
        return self.cache[key]

    def prune(self, named: Mapping[str, Any], keywords: Mapping[str, Any]) -> list[Config]:
        """The configurations worth trying."""
        left = self.configs
        if self.early_config_prune:
            left = list(self.early_config_prune(left, dict(named), **keywords))
            if not left:
                raise AutotunerError(f"kernel {self.__name__}: early_config_prune left no configuration to try.")
        top = self.top_k if isinstance(self.top_k, int) else max(1, int(len(self.configs) * self.top_k))
        if self.perf_model and len(left) > top:
            left = sorted(left, key=lambda config: self.perf_model(**named, **config.all_kwargs()))[:top]
        return left

    def _tune(
        self, named: Mapping[str, Any], arguments: Sequence[object], grid: Any, keywords: Mapping[str, Any], shown: tuple[Any, ...]
    ) -> Config:
        started = time.perf_counter()
        self.configs_timings, self.skipped, self.counted, self.reused = {}, {}, 0, 0
        hardware = launch.machine(keywords.get("hardware"))
        keep = self.cache_results and knobs.cache_autotuning.value
        for config in self.prune(named, keywords):
            bound = self.bind(arguments, {**keywords, **config.kwargs})
            options = {**dataclasses.asdict(_options({**keywords, **config.options()})), **dict(_clock(keywords))}
            place = tuning_cache.key_of(self.base, bound, grid, options, hardware) if keep else None
            entry = tuning_cache.load(place) if place else None
            if entry is None:
                entry = self._measure(config, arguments, grid, keywords)
                self.counted += 1
                if place:
                    tuning_cache.save(place, entry)
            else:
                self.reused += 1
            if isinstance(entry, str):
                self.skipped[config] = entry
            else:
                self.configs_timings[config] = entry
        if not self.configs_timings:
            reasons = "".join(f"\n  {config}: {reason}" for config, reason in self.skipped.items())
            raise AutotunerError(f"kernel {self.__name__}: none of {len(self.skipped)} configurations can be used:{reasons}")
        best = min(self.configs_timings, key=self.configs_timings.__getitem__)
        if knobs.print_autotuning.value:
            print(self._report(best, shown, time.perf_counter() - started), file=sys.stderr)
        return best

    def _measure(self, config: Config, arguments: Sequence[object], grid: Any, keywords: Mapping[str, Any]) -> float | str:
        """The cost of a configuration, or why it has none."""
        copies = _Copies()
        arguments = [copies.of(v) for v in arguments]
        keywords = {name: copies.of(v) for name, v in keywords.items()}
        named = {**self.named(arguments, keywords), **config.all_kwargs()}

        def call() -> Any:
            for name in self.reset_to_zero:
                launch.as_array(self.__name__, name, named[name])[...] = 0
            with self._hooks(config, named):
                return self.fn.run(*arguments, grid=grid, **keywords, **config.all_kwargs())

        try:
            with launch.recorded(hidden=True) as launches:
                if self.do_bench:
                    return float(np.ravel(self.do_bench(call, quantiles=QUANTILES))[0])
                call()
            return sum(cycles_of(each.result, each.hardware) for each in launches)
        except (CompilationError, SimulationFault) as error:
            return str(error)

    @contextmanager
    def _hooks(self, config: Config, named: dict[str, Any]) -> Iterator[None]:
        for hook in (config.pre_hook, self.pre_hook):
            if hook:
                hook(named)
        try:
            yield
        except (CompilationError, SimulationFault) as error:
            if self.post_hook:
                self.post_hook(named, exception=error)
            raise
        if self.post_hook:
            self.post_hook(named, exception=None)

    def _report(self, best: Config, shown: tuple[Any, ...], seconds: float) -> str:
        lines = [
            f"BACO autotuning for function {self.__name__},",
            f"with key as {shown},",
            f"finished after {seconds:.2f}s, {self.counted} counted, {self.reused} from the cache, {len(self.skipped)} skipped,",
            f"best config selected: {best};",
        ]
        ranked = sorted(self.configs_timings.items(), key=lambda item: item[1])
        lines += [f"  {cost:14.0f} cycles  {config}" for config, cost in ranked]
        lines += [f"         skipped         {config}: {reason.splitlines()[0]}" for config, reason in self.skipped.items()]
        lines += ["to use it without tuning, write:", f"@baco.autotune(configs=[{best.to_source()}], key={self.keys!r})"]
        return "\n".join(lines)


def _options(keywords: Mapping[str, Any]) -> launch.Options:
    """The options among the keywords of a launch."""
    return launch.Options(**{name: keywords[name] for name in launch.KEYWORDS if name in keywords})


def _clock(keywords: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What decides the cycles of a launch besides the program and the machine: nothing where they are counted."""
    if keywords.get("backend") != "verilator":
        return ()
    from baco.sim import rtl_build

    return ("clock", rtl_build.sources_digest()), ("memory", knobs.memory_model.value)


def _dtype(value: Any) -> str:
    return launch.as_array("", "", value).dtype.name


class _Copies:
    """Copies of arrays with their strides and gaps; an array given twice is copied once, so that both stay the same memory."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, int], np.ndarray] = {}

    def of(self, value: Any) -> Any:
        if not launch.is_array(value):
            return value
        array = launch.as_array("", "", value)
        flat = launch.plain(array).reshape(-1)
        place = (array.ctypes.data, flat.nbytes)
        if place not in self.made:
            self.made[place] = flat.copy()
        return np.lib.stride_tricks.as_strided(self.made[place].view(array.dtype), shape=array.shape, strides=array.strides)


def autotune(
    configs: Sequence[Config],
    key: Sequence[str],
    prune_configs_by: Mapping[str, Any] | None = None,
    reset_to_zero: Sequence[str] | None = None,
    restore_value: Sequence[str] | None = None,
    pre_hook: Callable[..., None] | None = None,
    post_hook: Callable[..., None] | None = None,
    warmup: int | None = None,
    rep: int | None = None,
    use_cuda_graph: bool = False,
    do_bench: Callable[..., Any] | None = None,
    cache_results: bool = True,
) -> Callable[[JITFunction | _Wrapper], Autotuner]:
    """Choose among `configs` whenever an argument named in `key`, an element type or the hardware is new.

    `prune_configs_by` may hold `early_config_prune(configs, named_args, **keywords)`, which returns those worth trying, and
    `perf_model(**named_args)`, which estimates one, with `top_k`, how many of the best estimates to try. Arrays in `reset_to_zero` are zero
    before each try; `restore_value` needs nothing done, because tries run on copies. `pre_hook(named_args)` and
    `post_hook(named_args, exception=)` are called around each try. `do_bench(call, quantiles=)` measures instead of the counted cost; its
    results are not kept on disk, nor any with `cache_results=False`. `warmup`, `rep` and `use_cuda_graph` have no meaning here, where a run
    is counted once.
    """
    for name, given in (("warmup", warmup), ("rep", rep), ("use_cuda_graph", use_cuda_graph)):
        if given:
            warnings.warn(f"{name} has no meaning here, where a run is counted once.", UserWarning, stacklevel=2)
    return lambda fn: Autotuner(
        fn, configs, key, prune_configs_by, reset_to_zero, restore_value, pre_hook, post_hook, do_bench, cache_results
    )
