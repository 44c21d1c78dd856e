"""baco.testing: comparing, counting and tabling."""

import csv

import numpy as np
import pytest

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.sim.cost import counted_cost
from baco.testing import BenchmarkError, assert_close, do_bench, perf_report


@baco.jit
def copy(x, y, n, B: bl.constexpr):
    source = bl.make_tensor_descriptor(x, shape=[n, n], strides=[n, 1], block_shape=[B, B])
    target = bl.make_tensor_descriptor(y, shape=[n, n], strides=[n, 1], block_shape=[B, B])
    i, j = bl.program_id(0) * B, bl.program_id(1) * B
    target.store([i, j], source.load([i, j]))


def launch(n: int, block: int, **keywords):
    x, y = np.ones((n, n), np.int8), np.zeros((n, n), np.int8)
    blocks = baco.cdiv(n, block)
    return copy[(blocks, blocks)](x, y, n, B=block, **keywords)


def test_assert_close() -> None:
    assert_close(np.arange(3, dtype=np.int8), np.arange(3, dtype=np.int32))
    assert_close(1.0, 1.0 + 1e-6)
    assert_close(np.array([10, 20]), np.array([11, 20]), atol=1)
    assert_close(np.array([2**63 - 1, np.iinfo(np.int64).min]), np.array([2**63 - 1, np.iinfo(np.int64).min]))
    assert_close(np.array([np.inf]), np.array([np.inf]))
    assert_close(np.zeros((0, 3)), np.zeros((0, 3)))
    torch = pytest.importorskip("torch")
    assert_close(torch.ones(3, dtype=torch.int8), np.ones(3, np.int8))


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [7, 5]], r"2 of 4 elements differ; the first at \(1, 0\): 3 against 7; the greatest difference is 4"),
        ([1, 2], [1, 2, 3], r"the shapes differ: \(2,\) against \(3,\)"),
        ([float("nan")], [1.0], "1 of 1 elements differ"),
        ([1.0], [1.1], "the greatest difference is 0.1, allowed are 1e-05"),
        ([-128], [128], "the greatest difference is 256"),
    ],
)
def test_assert_close_says_where_and_how_much(x, y, text) -> None:
    with pytest.raises(AssertionError, match=text):
        assert_close(np.array(x), np.array(y))
    with pytest.raises(AssertionError, match="layer 3"):
        assert_close(np.array(x), np.array(y), err_msg="layer 3")


def test_do_bench_counts_all_launches_inside() -> None:
    one = do_bench(lambda: launch(16, 16))
    assert one == counted_cost(launch(16, 16).counters, GemminiConfig()).cycles > 0
    small = GemminiConfig(dim=8)
    both = do_bench(lambda: (launch(16, 16), launch(16, 16, hardware=small)), warmup=1, rep=1)
    assert both == one + counted_cost(launch(16, 16, hardware=small).counters, small).cycles
    assert do_bench(lambda: launch(16, 16), quantiles=[0.5, 0.2]) == [one, one]
    assert do_bench(lambda: launch(16, 16), quantiles=[0.5]) == do_bench(lambda: launch(16, 16), return_mode="median") == one
    assert do_bench(lambda: launch(16, 16), return_mode="all") == [one]


def test_do_bench_does_not_count_what_tuning_tries(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("baco.lang.tuning_cache.cache_dir", lambda: tmp_path)
    tuned = baco.autotune([baco.Config({"B": 8}), baco.Config({"B": 16})], key=["n"])(copy)
    x, y = np.ones((16, 16), np.int8), np.zeros((16, 16), np.int8)
    assert do_bench(lambda: tuned[lambda meta: (16 // meta["B"],) * 2](x, y, 16)) == do_bench(lambda: launch(16, 16))
    assert tuned.counted == 2


def test_do_bench_refuses_what_it_cannot_count() -> None:
    with pytest.raises(BenchmarkError, match="launched no kernel"):
        do_bench(lambda: None)
    with pytest.raises(BenchmarkError, match="return_mode must be one of min, max, mean, median, all, not 'best'"):
        do_bench(lambda: None, return_mode="best")


def benchmark(**changes) -> baco.testing.Benchmark:
    fields = {
        "x_names": ["n"],
        "x_vals": [8, 16],
        "line_arg": "block",
        "line_vals": [8, 16],
        "line_names": ["blocks of 8", "blocks of 16"],
        "plot_name": "copies",
        "args": {},
    }
    return baco.testing.Benchmark(**{**fields, **changes})


def test_perf_report_writes_tables(tmp_path, capsys) -> None:
    report = perf_report(benchmark())(lambda n, block: do_bench(lambda: launch(n, block)))
    rows = report.run(print_data=True, save_path=tmp_path, return_df=True)
    assert [list(row) for row in rows] == [["n", "blocks of 8", "blocks of 16"]] * 2
    assert rows[1]["blocks of 8"] == do_bench(lambda: launch(16, 8)) == report(16, 8)
    with (tmp_path / "copies.csv").open() as file:
        assert [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)] == rows
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "copies:" and lines[1].split("  ")[-1] == "blocks of 16" and len(lines) == 4


def test_perf_report_takes_several_benchmarks_and_arguments() -> None:
    two = [benchmark(x_names=["n", "m"], x_vals=[(8, 1), 4]), benchmark(args={"m": 2}, line_vals=[1], line_names=["x"])]
    tables = perf_report(two)(lambda n, m, block: (n * m * block, 0, 0)).run(return_df=True)
    assert tables[0][0] == {"n": 8, "m": 1, "blocks of 8": 64.0, "blocks of 16": 128.0}
    assert tables[0][1]["blocks of 8"] == 128.0 and tables[1][0] == {"n": 8, "x": 16.0}


def test_benchmarks_that_do_not_add_up() -> None:
    with pytest.raises(BenchmarkError, match="2 line_vals but 1 line_names"):
        benchmark(line_names=["x"])
    with pytest.raises(BenchmarkError, match=r"x_vals has \(1, 2\), but x_names are 1"):
        perf_report(benchmark(x_vals=[(1, 2)]))(lambda n, block: 0).run()


def test_a_picture_where_matplotlib_is_installed(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    perf_report(benchmark(x_log=True))(lambda n, block: n * block).run(save_path=tmp_path)
    assert (tmp_path / "copies.png").read_bytes().startswith(b"\x89PNG")
