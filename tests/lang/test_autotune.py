"""Autotuning: the cheapest configuration by counted cost, tried on copies, with costs kept one configuration at a time."""

import json

import numpy as np
import pytest
from kernels import example, int8, product

import baco
import baco.language as bl
from baco import knobs
from baco.hardware import GemminiConfig
from baco.lang.autotune import Autotuner
from baco.lang.errors import AutotunerError, LaunchError
from baco.sim.cost import Cost, counted_cost
from baco.sim.counters import Counters

matmul = example("01_matmul").matmul
M, K, N = 32, 32, 32
STRIDES = (K, 1, N, 1, N, 1)
SMALL, MIDDLE, LARGE = (baco.Config({"BLOCK_M": b, "BLOCK_N": b, "BLOCK_K": b}) for b in (8, 16, 32))
TOO_LARGE = baco.Config({"BLOCK_M": 1024, "BLOCK_N": 1024, "BLOCK_K": 16})


@pytest.fixture(autouse=True)
def _own_costs(tmp_path, monkeypatch):
    """A folder of its own for the costs; compiled kernels stay shared."""
    monkeypatch.setattr("baco.lang.tuning_cache.cache_dir", lambda: tmp_path)
    return tmp_path


def tuned(*configs: baco.Config, key=("M", "N", "K"), **options) -> Autotuner:
    return baco.autotune(configs=list(configs), key=list(key), **options)(baco.jit(matmul.function))


def grid(meta):
    return (baco.cdiv(meta["M"], meta["BLOCK_M"]), baco.cdiv(meta["N"], meta["BLOCK_N"]))


def launched(kernel, m: int = M, **keywords):
    rng = np.random.default_rng(0)
    a, b, c = int8(rng, m, K), int8(rng, K, N), np.zeros((m, N), np.int32)
    result = kernel[grid](a, b, c, m, N, K, *STRIDES, 1.0, **keywords)
    np.testing.assert_array_equal(c, product(a, b))
    return result


def cost_of(config: baco.Config) -> float:
    """The cost by launching the plain kernel."""
    return counted_cost(launched(matmul, **config.all_kwargs()).counters, GemminiConfig()).cycles


def test_the_cheapest_by_counted_cost_wins() -> None:
    kernel = tuned(SMALL, LARGE, MIDDLE)
    launched(kernel)
    costs = {config: cost_of(config) for config in (SMALL, LARGE, MIDDLE)}
    assert kernel.configs_timings == costs
    assert kernel.best_config == min(costs, key=costs.get) == LARGE
    assert costs[SMALL] > costs[MIDDLE] > costs[LARGE]


def test_tuning_happens_for_new_keys_only_and_for_other_hardware() -> None:
    kernel = tuned(SMALL, LARGE)
    launched(kernel)
    assert (kernel.counted, kernel.reused) == (2, 0)
    kernel.counted = -1
    launched(kernel)
    assert kernel.counted == -1
    launched(kernel, m=17)
    assert (kernel.counted, kernel.reused) == (2, 0)
    launched(kernel, hardware=GemminiConfig(dim=8))
    assert (kernel.counted, kernel.reused) == (2, 0)
    assert len(kernel.cache) == 3


def test_each_configuration_is_kept_by_itself() -> None:
    launched(tuned(SMALL, LARGE))
    again = tuned(SMALL, LARGE)
    launched(again)
    assert (again.counted, again.reused) == (0, 2)
    more = tuned(SMALL, MIDDLE, LARGE)
    launched(more)
    assert (more.counted, more.reused) == (1, 2)
    other_shape = tuned(SMALL, LARGE, key=())
    launched(other_shape, m=20)
    assert (other_shape.counted, other_shape.reused) == (2, 0)


def test_entries_are_readable_and_damage_is_a_miss(_own_costs) -> None:
    launched(tuned(SMALL, LARGE, TOO_LARGE))
    files = sorted((_own_costs / "autotune").iterdir())
    entries = [json.loads(f.read_text()) for f in files]
    assert len(entries) == 3
    assert {e["key"]["arguments"]["BLOCK_M"] for e in entries} == {"int 8", "int 32", "int 1024"}
    assert entries[0]["key"]["arguments"]["a"] == {"dtype": "int8", "shape": [M, K], "strides": [K, 1]}
    assert sorted(k for e in entries for k in e if k != "key") == ["cost", "cost", "failed"]
    damages = (b"", b"[1, 2]", json.dumps({"key": entries[2]["key"], "cost": "NaN"}).encode()[:-9] + b"NaN}")
    for file, damage in zip(files, damages, strict=True):
        file.write_bytes(damage)
    again = tuned(SMALL, LARGE, TOO_LARGE)
    launched(again)
    assert (again.counted, again.reused, again.best_config) == (3, 0, LARGE)
    assert [json.loads(f.read_text())["key"] for f in files] == [e["key"] for e in entries]


def test_costs_are_not_kept_when_asked_not_to(_own_costs) -> None:
    launched(tuned(SMALL, LARGE, cache_results=False))
    with knobs.cache_autotuning.scope(False):
        launched(tuned(SMALL, LARGE))
    assert not (_own_costs / "autotune").exists()


def test_configurations_that_do_not_fit_are_skipped_and_reported(capsys) -> None:
    kernel = tuned(TOO_LARGE, SMALL, MIDDLE)
    with knobs.print_autotuning.scope(True):
        launched(kernel)
    assert list(kernel.skipped) == [TOO_LARGE] and "out of resources" in kernel.skipped[TOO_LARGE]
    text = capsys.readouterr().err
    assert text.startswith("BACO autotuning for function matmul,\nwith key as (32, 32, 32, 'int8', 'int8', 'int32'),\nfinished after ")
    assert "best config selected: BLOCK_M: 16, BLOCK_N: 16, BLOCK_K: 16, num_stages: 1;" in text
    assert "out of resources: accumulator rows required" in text
    pasted = text.strip().splitlines()[-1]
    again = eval(pasted.removeprefix("@"), {"baco": baco})(baco.jit(matmul.function))  # noqa: S307  (a person would paste it)
    launched(again)
    assert again.best_config == MIDDLE


def test_when_nothing_fits_one_error_says_why() -> None:
    wider = baco.Config({"BLOCK_M": 512, "BLOCK_N": 1024, "BLOCK_K": 16})
    with pytest.raises(AutotunerError, match=r"(?s)none of 2 configurations can be used:.*BLOCK_M: 1024.*rows.*BLOCK_M: 512.*rows"):
        launched(tuned(TOO_LARGE, wider))


@baco.jit
def accumulates(x, y, n, B: bl.constexpr):
    at = bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0))
    a = bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    bl.store(at, bl.dot(a, a, bl.load(at)))


def test_tries_run_on_copies_and_hooks_see_them() -> None:
    seen = []

    def before(named):
        seen.append(("before", named["B"], named["y"].copy()))

    def after(named, exception=None):
        seen.append(("after", named["B"], named["y"].copy(), exception))

    configs = [baco.Config({"B": 16}), baco.Config({"B": 8})]
    kernel = baco.autotune(configs, key=["n"], reset_to_zero=["y"], restore_value=["x"], pre_hook=before, post_hook=after)(accumulates)
    y = np.full((16, 16), 5, np.int32)
    kernel[(1,)](np.ones((16, 16), np.int8), y, 16)
    size = kernel.best_config.kwargs["B"]
    assert (y[:size, :size] == 5 + size).all()  # once, on what the caller had
    assert [s[:2] for s in seen] == [("before", 16), ("after", 16), ("before", 8), ("after", 8)]
    assert not seen[0][2].any() and (seen[1][2] == 16).all() and (seen[3][2][:8, :8] == 8).all()


def test_pruning() -> None:
    estimated = []

    def model(M, BLOCK_M, num_stages, **_):
        estimated.append(BLOCK_M)
        return BLOCK_M

    kernel = tuned(LARGE, MIDDLE, SMALL, prune_configs_by={"perf_model": model, "top_k": 1})
    launched(kernel)
    assert estimated == [32, 16, 8] and list(kernel.configs_timings) == [SMALL]
    half = tuned(LARGE, MIDDLE, prune_configs_by={"perf_model": model, "top_k": 0.5})
    launched(half)
    assert list(half.configs_timings) == [MIDDLE]
    early = tuned(
        LARGE, SMALL, prune_configs_by={"early_config_prune": lambda configs, named, **_: [c for c in configs if named["M"] == M][:1]}
    )
    launched(early)
    assert list(early.configs_timings) == [LARGE]
    with pytest.raises(AutotunerError, match="left no configuration"):
        launched(tuned(LARGE, SMALL, prune_configs_by={"early_config_prune": lambda *_: []}))


def test_a_measure_of_ones_own() -> None:
    asked = []

    def measure(call, quantiles):
        counters = call().counters
        asked.append(quantiles)
        return (-counters.host_instructions, 0, 0)

    kernel = tuned(SMALL, LARGE, do_bench=measure)
    launched(kernel)
    assert kernel.best_config is SMALL and asked == [(0.5, 0.2, 0.8)] * 2


def test_heuristics_compute_arguments_above_and_below_autotune() -> None:
    values = {"BLOCK_K": lambda named: 2 * named["BLOCK_M"] if "BLOCK_M" in named else 16}
    configs = [baco.Config({"BLOCK_M": b, "BLOCK_N": b}) for b in (8, 16)]
    below = baco.autotune(configs, key=["M"])(baco.heuristics(values)(baco.jit(matmul.function)))
    launched(below)
    assert {s for kernel in [below.base] for (s, _, _) in kernel.specialisations if "BLOCK_K = int 32" in s}
    above = baco.heuristics(values)(baco.autotune(configs, key=["M"])(baco.jit(matmul.function)))
    launched(above)
    assert all("BLOCK_K = int 16" in s for (s, _, _) in above.base.specialisations)


def test_interpreted_kernels_take_the_first_configuration() -> None:
    kernel = baco.autotune([MIDDLE, LARGE], key=[])(baco.jit(matmul.function, interpret=True))
    launched(kernel)
    assert kernel.best_config is MIDDLE and not kernel.configs_timings


def test_what_a_config_accepts() -> None:
    with pytest.warns(UserWarning, match="num_warps has no meaning on Gemmini") as caught:
        config = baco.Config({"B": 1}, num_warps=4, num_stages=3)
    assert caught[0].filename == __file__
    assert str(config) == "B: 1, num_stages: 3" and config.to_source() == "baco.Config({'B': 1}, num_stages=3)"
    with pytest.raises(LaunchError, match="num_stages must be a whole number of at least 1, but is 0"):
        baco.Config({}, num_stages=0)
    with pytest.warns(UserWarning, match="num_warps") as caught:
        launched(matmul, num_warps=8, **SMALL.kwargs)
    assert caught[0].filename == __file__


def test_misuse_is_refused() -> None:
    with pytest.raises(LaunchError, match="key names 'm', but the parameters are a, b, c, M"):
        tuned(SMALL, key=["m"])
    with pytest.raises(LaunchError, match="a configuration names 'BLOCK'"):
        tuned(baco.Config({"BLOCK": 3}))
    with pytest.raises(LaunchError, match="put @baco.jit below"):
        baco.autotune([SMALL], key=[])(matmul.function)
    with pytest.raises(LaunchError, match="BLOCK_K comes from the configurations"):
        launched(tuned(SMALL, LARGE), BLOCK_K=8)
    with pytest.raises(LaunchError, match="'num_stages' has the name of a launch keyword"):

        @baco.jit
        def kernel(x, num_stages): ...


def test_the_cost_is_the_busiest_resource_and_an_eighth_of_the_rest() -> None:
    counters = Counters(instructions={"preload": 10}, host_instructions=100, dram_bytes_read=600, dram_bytes_written=200)
    counters.traffic.macs = 256
    counters.traffic.reads["scratchpad", "inputs"] = 640
    counters.traffic.writes["accumulator", "outputs"] = 320
    cost = counted_cost(counters, GemminiConfig())
    assert cost == Cost(array=160, dram=100, scratchpad=10, accumulator=10, host=100)
    assert (cost.bound, cost.cycles) == ("array", 160 + 220 / 8)
