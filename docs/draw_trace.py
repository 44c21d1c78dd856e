"""Draw docs/trace.svg: the trace of one matrix product, as `baco run --trace` writes it, in the manner of ui.perfetto.dev.

    python docs/draw_trace.py

It is a picture, so `make docs` does not draw it again with every change of the compiler.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from baco import sim
from baco.hardware import GemminiConfig
from baco.sim.observer import Observer
from baco.sim.timeline import MEMORIES, TRACKS
from baco.sim.trace import trace_of
from baco.toolchain import atomic_write

DOCS = Path(__file__).parent
WIDTH, LEFT, ROW, GRAPH, TOP = 1180, 150, 30, 64, 56
COLOURS = {
    "mvin": "#4e79a7",
    "mvin2": "#76b7b2",
    "mvin3": "#a0cbe8",
    "mvout": "#e15759",
    "preload": "#edc948",
    "compute_preloaded": "#59a14f",
    "compute_accumulated": "#8cd17d",
    "config": "#bab0ac",
}


def traced() -> Mapping[str, Any]:
    """The trace of examples/01_matmul.py on 32x32x64 with 32x32x32 blocks."""
    path = DOCS.parent / "examples" / "01_matmul.py"
    spec = importlib.util.spec_from_file_location("matmul_example", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.integers(-128, 128, (32, 64), np.int8),
        "b": rng.integers(-128, 128, (64, 32), np.int8),
        "c": np.zeros((32, 32), np.int8),
    }
    sizes = {"M": 32, "N": 32, "K": 64, "stride_am": 64, "stride_ak": 1, "stride_bk": 32, "stride_bn": 1, "stride_cm": 32, "stride_cn": 1}
    everything = {**arrays, **sizes, "scale": 0.001, "BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32}
    special = example.matmul.warmup(**everything, num_stages=2)
    observer, config = Observer(100_000), GemminiConfig()
    sim.run(special.program, config, [everything[p.name] for p in special.program.parameters], observer=observer)
    return trace_of(observer, special.program.elf, config, "matmul 32 x 32 x 64")


def drawing(trace: Mapping[str, Any]) -> str:
    """A trace as SVG."""
    events = trace["traceEvents"]
    slices = [e for e in events if e["ph"] == "X"]
    first = min(e["ts"] for e in slices)
    end = max(e["ts"] + e["dur"] for e in slices)

    def x(time: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * (max(time, first) - first) / (end - first)

    parts = [_text(12, 24, "matmul 32 x 32 x 64, int8, on Gemmini 16 x 16, num_stages=2", 16)]
    parts.append(_text(12, 42, f"logical time in cycles, {first:.0f} to {end:.0f}; loads run ahead of the products that need them", 12))
    used = [n for n in range(1, len(TRACKS) + 1) if any(e["tid"] == n and e["ts"] > first for e in slices)]
    for row, track in enumerate(used):
        y = TOP + row * ROW
        parts.append(_text(12, y + 18, TRACKS[track - 1], 13))
        parts.append(f'<line x1="{LEFT}" y1="{y + ROW - 3}" x2="{WIDTH - 20}" y2="{y + ROW - 3}" stroke="#ddd"/>')
        parts += [_slice(e, x, y) for e in slices if e["tid"] == track]
    y = TOP + len(used) * ROW + 8
    for memory in MEMORIES:
        points = [(e["ts"], e["args"]["rows"]) for e in events if e["ph"] == "C" and e["name"] == f"{memory} rows"]
        parts += _graph(memory, points, end, x, y)
        y += GRAPH + 12
    parts += _axis(first, end, x, y)
    names = dict.fromkeys("config" if e["name"].startswith("config") else e["name"].partition(" ")[0] for e in slices)
    parts += _legend([n for n in names if n in COLOURS], y + 34)
    style = '<style>text{font-family:sans-serif;fill:#222}</style><rect width="100%" height="100%" fill="#fff"/>'
    size = f'width="{WIDTH}" height="{y + 60}" viewBox="0 0 {WIDTH} {y + 60}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}\n' + "\n".join(parts) + "\n</svg>\n"


def _colour(name: str) -> str:
    return COLOURS.get("config" if name.startswith("config") else name.partition(" ")[0], "#9c755f")


def _slice(event: Mapping[str, Any], x: Any, y: float) -> str:
    left, right = x(event["ts"]), x(event["ts"] + event["dur"])
    hint = escape(f"{event['name']}, cycles {event['ts']:.0f} to {event['ts'] + event['dur']:.0f}: {event['args'].get('source', '')}")
    box = f'x="{left:.2f}" y="{y + 3}" width="{max(right - left - 0.4, 0.6):.2f}" height="{ROW - 8}"'
    return f'<rect {box} fill="{_colour(event["name"])}"><title>{hint}</title></rect>'


def _graph(name: str, points: list[tuple[float, int]], end: float, x: Any, y: float) -> list[str]:
    most = max(rows for _, rows in points) or 1
    path, height = [], 0.0
    for time, rows in points:
        path.append(f"{x(time):.2f},{y + GRAPH - height:.2f}")
        height = GRAPH * rows / most
        path.append(f"{x(time):.2f},{y + GRAPH - height:.2f}")
    path += [f"{x(end):.2f},{y + GRAPH - height:.2f}", f"{x(end):.2f},{y + GRAPH}", f"{LEFT},{y + GRAPH}"]
    labels = [_text(12, y + 18, name, 13), _text(12, y + 34, f"rows in use, up to {most}", 11)]
    return [*labels, f'<polygon points="{" ".join(path)}" fill="#f1ce9c" stroke="#f28e2b"/>']


def _axis(first: float, end: float, x: Any, y: float) -> list[str]:
    step = next(s for s in (10, 20, 50, 100, 200, 500, 1000, 5000) if (end - first) / s <= 14)
    ticks = range(int(-(-first // step) * step), int(end) + 1, step)
    return [
        f'<line x1="{x(t):.2f}" y1="{TOP - 4}" x2="{x(t):.2f}" y2="{y}" stroke="#000" stroke-opacity="0.1"/>'
        + _text(x(t) - 8, y + 12, str(t), 11)
        for t in ticks
    ]


def _legend(names: Iterable[str], y: float) -> list[str]:
    parts, at = [], LEFT
    for name in names:
        parts.append(f'<rect x="{at}" y="{y - 10}" width="12" height="12" fill="{_colour(name)}"/>' + _text(at + 16, y, name, 12))
        at += 36 + 8 * len(name)
    return parts


def _text(x: float, y: float, text: str, size: int) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}">{escape(text)}</text>'


if __name__ == "__main__":
    atomic_write(DOCS / "trace.svg", drawing(traced()))
