"""Helpers for people who test and measure kernels, under Triton's names: `assert_close`, `do_bench`, `perf_report`.

A launch with ``backend="verilator"`` costs the cycles that it takes; any other one what :mod:`baco.sim.cost` computes from the functional
simulator's counters. That number is the same in every run, so nothing is warmed up or repeated.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from baco.errors import BacoError
from baco.lang.launch import as_array, is_array, recorded
from baco.sim.cost import cycles_of
from baco.toolchain import atomic_write

RETURN_MODES = ("min", "max", "mean", "median", "all")


class BenchmarkError(BacoError):
    """A benchmark that cannot be measured or drawn."""


def assert_close(x: Any, y: Any, atol: float | None = None, rtol: float | None = None, err_msg: str = "") -> None:
    """Check that `x` is `y`, element by element: integers exactly, floats within `atol` + `rtol` * abs(y).

    Both may be arrays, tensors or numbers. The tolerances default to 0 for integers, to 1e-5 and 1.3e-6 for floats.

    Raises:
        AssertionError: with how many elements differ, the first of them, and the greatest difference.
    """
    actual, expected = (as_array("assert_close", "x", v) if is_array(v) else np.asarray(v) for v in (x, y))
    lead = f"{err_msg}\n" if err_msg else ""
    if actual.shape != expected.shape:
        raise AssertionError(f"{lead}the shapes differ: {actual.shape} against {expected.shape}.")
    inexact = actual.dtype.kind == "f" or expected.dtype.kind == "f"
    atol = atol if atol is not None else 1e-5 if inexact else 0
    rtol = rtol if rtol is not None else 1.3e-6 if inexact else 0
    kind = np.float64 if inexact else object  # Python integers: no difference overflows
    left, right = actual.astype(kind), expected.astype(kind)
    with np.errstate(invalid="ignore"):
        difference = np.asarray(np.abs(left - right))
        same = np.asarray((left == right) | (difference <= atol + rtol * np.abs(right)), bool)
    if np.all(same):
        return
    greatest = max((float(d) for d in difference[~same] if d == d), default=float("nan"))
    wrong = np.argwhere(~same)
    first = tuple(int(i) for i in wrong[0])
    raise AssertionError(
        f"{lead}{len(wrong)} of {actual.size} elements differ; the first at {first}: {actual[first]} against {expected[first]}; "
        f"the greatest difference is {greatest:g}, allowed are {atol:g} + {rtol:g} of the value."
    )


def do_bench(
    fn: Callable[[], Any],
    warmup: int = 25,
    rep: int = 100,
    grad_to_none: Sequence[Any] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
) -> Any:
    """The cost in cycles of the kernels that `fn` launches, counted in one call of it.

    A simulator is deterministic, so `warmup` and `rep` are ignored, and mean, median, minimum, maximum and every quantile are the same
    number: a list of it for several `quantiles` or for ``return_mode="all"``.

    Raises:
        BenchmarkError: if `fn` launches nothing that is counted, or `return_mode` is unknown.
    """
    if return_mode not in RETURN_MODES:
        raise BenchmarkError(f"return_mode must be one of {', '.join(RETURN_MODES)}, not {return_mode!r}.")
    for tensor in grad_to_none or ():
        tensor.grad = None
    with recorded() as launches:
        fn()
    if not launches:
        raise BenchmarkError("do_bench: the function launched no kernel on a simulator; interpreted and CPU launches are not counted.")
    cost = sum(cycles_of(launch.result, launch.hardware) for launch in launches)
    if quantiles is not None:
        return [cost] * len(quantiles) if len(quantiles) > 1 else cost
    return [cost] if return_mode == "all" else cost


@dataclass
class Benchmark:
    """A plot and its table: one line for each of `line_vals`, one point for each of `x_vals`.

    The measured function gets `x_names` and `line_arg` as keywords, besides those of `args`; with several `x_names`, each entry of
    `x_vals` is one value for all of them or a tuple with one each.
    """

    x_names: list[str]
    x_vals: list[Any]
    line_arg: str
    line_vals: list[Any]
    line_names: list[str]
    plot_name: str
    args: dict[str, Any]
    xlabel: str = ""
    ylabel: str = ""
    x_log: bool = False
    y_log: bool = False
    styles: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.line_names) != len(self.line_vals):
            raise BenchmarkError(f"{self.plot_name}: there are {len(self.line_vals)} line_vals but {len(self.line_names)} line_names.")

    def points(self) -> list[dict[str, Any]]:
        """The x arguments of each point."""
        points = []
        for value in self.x_vals:
            values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * len(self.x_names)
            if len(values) != len(self.x_names):
                raise BenchmarkError(f"{self.plot_name}: x_vals has {value!r}, but x_names are {len(self.x_names)}.")
            points.append(dict(zip(self.x_names, values, strict=True)))
        return points


class Mark:
    """A function with the benchmarks it is measured by."""

    def __init__(self, fn: Callable[..., Any], benchmarks: Benchmark | Sequence[Benchmark]) -> None:
        self.fn = fn
        self.benchmarks = benchmarks

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.fn(*arguments, **keywords)

    def run(
        self, show_plots: bool = False, print_data: bool = False, save_path: str | Path = "", return_df: bool = False, **keywords: Any
    ) -> Any:
        """Measure every point; with `save_path` write `<plot_name>.csv` there, and `<plot_name>.png` where matplotlib is installed.

        With `return_df` the result is the table of the benchmark (a list of them for a list of benchmarks): one dictionary a row.
        """
        single = isinstance(self.benchmarks, Benchmark)
        tables = []
        for benchmark in [self.benchmarks] if single else self.benchmarks:
            rows = self._measure(benchmark, keywords)
            tables.append(rows)
            if print_data:
                print(f"{benchmark.plot_name}:\n{_text(rows)}")
            if save_path:
                atomic_write(Path(save_path) / f"{benchmark.plot_name}.csv", _csv(rows))
            if save_path or show_plots:
                _draw(benchmark, rows, Path(save_path) if save_path else None, show_plots)
        return (tables[0] if single else tables) if return_df else None

    def _measure(self, benchmark: Benchmark, keywords: dict[str, Any]) -> list[dict[str, Any]]:
        rows = []
        for point in benchmark.points():
            row = dict(point)
            for value, name in zip(benchmark.line_vals, benchmark.line_names, strict=True):
                answer = self.fn(**point, **{benchmark.line_arg: value}, **benchmark.args, **keywords)
                row[name] = float(np.ravel(answer)[0])  # Triton's functions may answer (value, least, greatest)
            rows.append(row)
        return rows


def perf_report(benchmarks: Benchmark | Sequence[Benchmark]) -> Callable[[Callable[..., Any]], Mark]:
    """Mark a function, which returns one measurement, for benchmarking: its ``.run(...)`` makes tables and plots."""
    return lambda fn: Mark(fn, benchmarks)


def _text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows in columns."""
    table = [list(rows[0])] + [[f"{v:g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows] if rows else []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in table)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _draw(benchmark: Benchmark, rows: Sequence[dict[str, Any]], folder: Path | None, show: bool) -> None:
    """Draw the lines of a benchmark, where matplotlib is installed."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    figure, axes = pyplot.subplots()
    for position, name in enumerate(benchmark.line_names):
        colour, style = benchmark.styles[position] if position < len(benchmark.styles) else (None, None)
        axes.plot([row[benchmark.x_names[0]] for row in rows], [row[name] for row in rows], label=name, color=colour, linestyle=style)
    axes.set(xlabel=benchmark.xlabel or benchmark.x_names[0], ylabel=benchmark.ylabel or "cycles", title=benchmark.plot_name)
    axes.set_xscale("log" if benchmark.x_log else "linear")
    axes.set_yscale("log" if benchmark.y_log else "linear")
    axes.legend()
    if folder:
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        atomic_write(folder / f"{benchmark.plot_name}.png", picture.getvalue())
    if show:
        pyplot.show()
    pyplot.close(figure)
