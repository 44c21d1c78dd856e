"""Write docs/results.md, and docs/operators.svg, from the lines in benchmarks/results. Run it with `make docs`."""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from baco.toolchain import atomic_write

DOCS = Path(__file__).parent
PAGE, PICTURE = DOCS / "results.md", DOCS / "operators.svg"
RESULTS = DOCS.parent / "benchmarks" / "results"

sys.path.insert(0, str(DOCS.parent / "benchmarks"))
import operators  # noqa: E402  (a benchmark, found there)

# Table 6.6 of the dissertation: EDP over that of Gemmini-BACO, which Timeloop judged on other shapes of the same ranges.
TABLE_6_6 = {
    "GEMM": (13.95, 28.87, 3.96, 4.89, 1.48, 1.00),
    "GEMV": (16.72, 35.56, 4.18, 5.42, 1.91, 1.00),
    "Conv1D": (7.52, 19.81, 2.58, 3.47, 1.43, 1.00),
    "Conv2D": (8.49, 20.05, 3.42, 3.99, 1.28, 1.00),
}
TABLE_6_7 = {"a": 1.00, "b": 1.44, "c": 1.87, "d": 1.98}
COLOURS = ("#999999", "#cc79a7", "#e69f00", "#56b4e9", "#d55e00", "#000000")

NETWORKS = {"unet": "unet", "resnet50": "resnet50", "bert-dosa": "bert", "retinanet": "retinanet"}
METHODS = {
    "best": "explore, every tile",
    "many": "explore, 4,096 starting points",
    "exact": "explore, tiles that divide",
    "baco": "explore, DOSA's samples",
    "default": "default machine, best mapping",
    "dosa": "DOSA",
    "two-loop": "two-loop",
    "evolution": "evolution",
    "bayesian": "Bayesian",
    "random": "random",
}
CAPS = {
    ("paper", "none"): "Paper space",
    ("paper", "side"): "Paper space, array of at most 16 x 16",
    ("paper", "area"): "Paper space, no larger than the default machine (16 x 16, 128 and 32 KiB: 0.461 mm2)",
    ("gemmini", "none"): "Gemmini space",
    ("gemmini", "side"): "Gemmini space, array of at most 16 x 16",
    ("gemmini", "area"): "Gemmini space, no larger than the default machine (16 x 16, 256 and 64 KiB: 0.806 mm2)",
}
# EDP in uJ x cycles of DOSA's own code with its settings, five seeds, judged by its Timeloop and Accelergy: best, geometric mean, worst.
DOSA_ARTIFACT = {
    "unet": (1.320e13, 5.03e13, 3.58e14),
    "resnet50": (7.497e10, 9.65e10, 1.27e11),
    "bert-dosa": (1.933e9, 4.54e9, 1.03e10),
    "retinanet": (2.291e10, 4.99e10, 1.42e11),
}

INTRODUCTION = """# What the search reaches

`make docs` writes this page from the lines in `benchmarks/results`, one for each search: `python benchmarks/acceptance.py` makes
`acceptance.jsonl` (every option is in its help). The networks are the layer tables of the DOSA study, EDP is energy x delay of the whole
network in uJ x cycles, and everything is judged by one model with the constants of Table 6.3 ([explore.md](explore.md); beside Timeloop:
[timeloop.md](timeloop.md)). A sample is one mapping of one layer. Mean is geometric, over the seeds; spread is how much worse the worst
seed is than the best. Seconds are the median of one search on one core of a server with others beside it; those of *DOSA's samples*, of
Bayesian, and of random and two-loop under an area are from another one, which had twice the work that its cores could do.

- *explore, every tile* goes on until it has proved its answer: gap is how far that is above the proven bound at most.
- *explore, DOSA's samples* may score 10,430 mappings of each layer, as many as DOSA's 7 starts of 1,490 steps, and so may the rivals. It
  ends before that where it has proved its answer.
- *default machine, best mapping*: each layer's best of all mappings, so no mapper does better on that machine.
- In the gemmini space `explore` looks at tiles that leave a smaller last one as well, which the rivals do not know; *tiles that divide* is
  the comparison on equal terms.
- A rival is ours, rebuilt from its paper; its limits are given to it as they are to `explore`. What each does: [explore.md](explore.md#rivals).
"""


def lines(name: str) -> list[dict[str, Any]]:
    """A file of results."""
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def geometric_mean(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def table(headings: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)] + [""]


class Acceptance:
    """The searches of benchmarks/acceptance.py."""

    def __init__(self) -> None:
        self.lines = lines("acceptance")

    def of(self, space: str, cap: str, network: str, method: str) -> list[dict[str, Any]]:
        """All seeds of one method that found a design; of those with other numbers of samples the ones with most."""
        found = [d for d in self.lines if (d["space"], d["cap"], d["network"], d["method"]) == (space, cap, network, method) and d["edp"]]
        most = max((d["points"] for d in found), default=0)
        return [d for d in found if d["points"] == most]

    def mean(self, space: str, cap: str, network: str, method: str) -> float:
        """Geometric mean of EDP over the seeds."""
        return geometric_mean([d["edp"] for d in self.of(space, cap, network, method)])

    def section(self, space: str, cap: str) -> list[str]:
        """The tables of one space and cap."""
        text = [f"## {CAPS[space, cap]}", "", f"`python benchmarks/acceptance.py --spaces {space} --caps {cap}`", ""]
        for network, name in NETWORKS.items():
            rows = []
            for method, label in METHODS.items():
                if found := self.of(space, cap, network, method):
                    rows.append(self._row(label, found, self.mean(space, cap, network, "best")))
            headings = [name, "best", "mean", "worst", "mean / explore", "spread", "gap", "seeds", "samples", "seconds"]
            text += table(headings, rows)
            side, scratchpad, accumulator = self.of(space, cap, network, "best")[0]["machine"]
            area = self.of(space, cap, network, "best")[0]["area_mm2"]
            text += [f"Chosen: {side} x {side}, scratchpad {scratchpad:g} KiB, accumulator {accumulator:g} KiB, {area:.2f} mm2.", ""]
        return text

    def _row(self, label: str, found: list[dict[str, Any]], ours: float) -> list[str]:
        values = [d["edp"] for d in found]
        mean, gaps = geometric_mean(values), [d["edp"] / d["bound"] - 1 for d in found if d.get("bound")]
        samples = max(d["samples"] or 0 for d in found)
        return [
            label,
            *(f"{v:.3e}" for v in (min(values), mean, max(values))),
            f"{mean / ours:.2f}",
            f"{max(values) / min(values) - 1:.1%}" if len(values) > 1 else "",
            f"{max(0.0, *gaps):.2%}" if gaps else "",
            str(len(values)),
            f"{samples:,}" if samples else "all",
            f"{statistics.median(d['seconds'] for d in found):.1f}",
        ]

    def against_dosa(self) -> list[str]:
        """DOSA here and DOSA's own code, over explore."""
        rows = []
        for network, name in NETWORKS.items():
            best, rival = self.mean("paper", "none", network, "best"), self.of("paper", "none", network, "dosa")
            here = [min(d["edp"] for d in rival), self.mean("paper", "none", network, "dosa"), max(d["edp"] for d in rival)]
            rows.append([name, *(f"{v / best:.2f}" for v in (*here, *DOSA_ARTIFACT[network]))])
        headings = ["EDP over that of explore", "DOSA here, best", "mean", "worst", "DOSA's own code, best", "mean", "worst"]
        return [
            "## DOSA, here and as published",
            "",
            "Paper space, no cap, five seeds each. Here: the same samples, the same evaluator, and our greedy mapper for its starting",
            "mappings. Its own code: run with its settings and judged by its Timeloop and Accelergy, whose constants Table 6.3 rounds, so",
            "these ratios are good to some percent. DOSA does better here than with its own code; `explore` is within its gap of the best",
            "possible, so no search can be ahead of DOSA here by more than these ratios and that gap.",
            "",
            *table(headings, rows),
        ]

    def price(self) -> list[str]:
        """The gemmini space over the paper space."""
        rows = []
        for cap, label in (("none", "no cap"), ("side", "at most 16 x 16")):
            for method, tiles in (("best", "any tiles"), ("exact", "tiles that divide")):
                found = [self.mean("gemmini", cap, n, method) / self.mean("paper", cap, n, "best") - 1 for n in NETWORKS]
                rows.append([label, tiles, *(f"{v:+.1%}" for v in found)])
        return [
            "## The price of being buildable",
            "",
            "EDP of the best design that Gemmini's generator builds, each tile twice on the chip so that loads overlap compute, over that of",
            "the best design of the paper space, which holds each tile once, has SRAM in steps of 1 KiB and tiles that divide.",
            "",
            *table(["", "tiles", *NETWORKS.values()], rows),
        ]


def gpu() -> list[str]:
    """Descent on the CPU and on a GPU."""
    found = lines("gpu_batch")
    steps = {(d["network"], d["starts"], d["device"]): d["ms_a_step"] for d in found if "ms_a_step" in d}
    ends = {(d["network"], d["space"], d["device"], d["starts"]): d for d in found if "edp" in d}
    many = sorted({starts for _, starts, _ in steps})
    rows = [
        [str(starts), *(f"{steps[n, starts, 'cpu']:.0f} / {steps[n, starts, 'cuda']:.0f}" for n in NETWORKS), f"{starts >= 1024}"]
        for starts in many
    ]
    same = sum(ends[n, s, "cpu", 24]["machine"] == d["machine"] for (n, s, _, _), d in ends.items())
    gains = [ends[n, s, "cpu", 24]["after_descent"] / ends[n, s, "cuda", 4096]["after_descent"] - 1 for n, s, *_ in ends]
    return [
        "## A batch on a GPU",
        "",
        "`python benchmarks/gpu_batch.py`: milliseconds of one step of descent, all starting points of all layers as one batch, on 4 cores of a",
        "server's CPU / on an H100, 64-bit. The GPU's time goes into starting kernels, whatever the batch.",
        "",
        *table(["starting points", *NETWORKS.values()], [row[:-1] for row in rows]),
        f"{same} of {len(ends)} whole searches, on the CPU and on the GPU, from 24 and from 4,096 points, end at the same machine and EDP as on",
        f"the CPU from 24. Descent alone ends {min(gains):.1%} to {max(gains):.1%} better from 4,096 points than from 24; trying every tile",
        "afterwards makes up for it.",
        "",
    ]


def timeloop() -> list[str]:
    """The designs of the paper space by Timeloop."""
    found = {(d["cap"], d["network"], d["method"]): d for d in lines("acceptance_timeloop")}
    rows = []
    for cap in ("none", "side", "area"):
        for network, name in NETWORKS.items():
            ours, dosa = (found.get((cap, network, method)) for method in ("best", "dosa"))
            if ours and dosa:
                refused = f"{ours['refused']}, {dosa['refused']} of {ours['layers']}"
                figures = [f"{d['timeloop_edp']:.3e} ({d['timeloop_edp'] / d['edp'] - 1:+.1%})" for d in (ours, dosa)]
                rows.append(
                    [CAPS["paper", cap].split(" (")[0], name, *figures, f"{dosa['timeloop_edp'] / ours['timeloop_edp']:.2f}", refused]
                )
    headings = ["", "network", "explore", "DOSA, best of five", "DOSA / explore", "layers refused"]
    return [
        "## The same designs by Timeloop",
        "",
        "`BACO_TIMELOOP=timeloop-model python benchmarks/acceptance_timeloop.py`: every layer of each design through `timeloop-model`, in brackets",
        "how far that is from the model. Timeloop leaves out the read of outputs that leave, and reuses overlapping inputs, which `explore` does",
        "not seek here. Layers that it refuses, for rows that a stride jumps over, are judged by the model with its counting.",
        "",
        *table(headings, rows),
    ]


def single_operators() -> list[str]:
    """Table 6.6 redrawn."""
    found, rows = lines("operators"), []
    for kind, cases, machine, cycles, energy, ratio in operators.summary(found):
        published = TABLE_6_6[kind][operators.MACHINES.index(machine)]
        rows.append([kind, str(cases), machine, f"{cycles:,.0f}", f"{energy:,.1f}", f"{ratio:.2f}", f"{published:.2f}"])
    return [
        "## Single operators",
        "",
        f"`python benchmarks/operators.py`, {len(found)} cases: Tables 6.4 to 6.6 of the dissertation on shapes drawn",
        "from the same ranges, each case with its own machine and mapping in the gemmini space. Cycles and uJ are means, EDP over that of",
        "Gemmini-BACO is a geometric mean; the last column is Table 6.6. There is no cap here either, so the largest arrays win where a case",
        "is large; DOSA has 5,000 samples of each case. A product with a vector uses each weight once, so that DRAM binds on every machine of",
        "this model, which gives all the same DRAM: there is next to nothing to choose, unlike in the published table.",
        "",
        "![EDP of each machine over that of Gemmini-BACO](operators.svg)",
        "",
        *table(["operator", "cases", "machine", "cycles", "uJ", "EDP / BACO", "published"], rows),
    ]


def picture() -> str:
    """Bars of EDP over that of Gemmini-BACO, logarithmic, for each kind of operator and machine, as an SVG picture."""
    rows = operators.summary(lines("operators"))
    width, height, left, top, bottom = 640, 320, 50, 60, 40
    most = math.ceil(math.log10(max([10.0, *(ratio for *_, ratio in rows)])))

    def y(value: float) -> float:
        return height - bottom - math.log10(max(value, 0.9)) / most * (height - top - bottom)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts.append('<rect width="100%" height="100%" fill="#ffffff"/>')
    for power in range(most + 1):
        parts.append(f'<path d="M{left} {y(10**power):.1f}H{width - 10}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y(10**power) + 4:.1f}" text-anchor="end">{10**power}</text>')
    parts.append(f'<text x="{left}" y="20">EDP over that of Gemmini-BACO, geometric mean</text>')
    for place, (machine, colour) in enumerate(zip(operators.MACHINES, COLOURS, strict=True)):
        parts.append(f'<rect x="{left + place * 98}" y="32" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{left + place * 98 + 14}" y="41" font-size="10">{machine}</text>')
    group = (width - left - 10) / len(operators.CASES)
    for number, kind in enumerate(operators.CASES):
        start = left + number * group
        parts.append(f'<text x="{start + group / 2:.1f}" y="{height - 14}" text-anchor="middle">{kind}</text>')
        for place, (*_, ratio) in enumerate(row for row in rows if row[0] == kind):
            at = start + 10 + place * (group - 20) / len(COLOURS)
            parts.append(
                f'<rect x="{at:.1f}" y="{y(ratio):.1f}" width="{(group - 20) / len(COLOURS) - 3:.1f}"'
                f' height="{max(1.0, height - bottom - y(ratio)):.1f}" fill="{COLOURS[place]}"><title>{ratio:.2f}</title></rect>'
            )
    return "\n".join([*parts, "</svg>", ""])


def ablation() -> list[str]:
    """Table 6.7."""
    found = lines("ablation")
    first = found[0]["edp"]
    few = [d for d in found if d["row"] in ("d, few", "f")]
    rows = [
        [f"({d['row']})", d["what"], f"{d['edp']:.3e}", f"{first / d['edp']:.2f}", f"{TABLE_6_7[d['row']]:.2f}"]
        for d in found
        if d["row"] in TABLE_6_7
    ]
    return [
        "## Ablation on ResNet-50",
        "",
        "`python benchmarks/ablation.py`: Table 6.7 of the dissertation as far as its parts are comparable, in the gemmini space, no design larger",
        "than the default machine.",
        "",
        *table(["", "what", "EDP", "better by", "published"], rows),
        f"Importance, (f), matters where the samples are too few for what the search asks for: {few[0]['edp'] / few[1]['edp']:.2f} times better EDP",
        f"with 8,000 ({few[0]['edp']:.3e} without, {few[1]['edp']:.3e} with it), and nothing from 20,000 on ([explore.md](explore.md#importance)).",
        "The learned model, (e), changes what a design is judged by, not this EDP.",
        "",
    ]


def page() -> str:
    """The page's text."""
    acceptance = Acceptance()
    text = [INTRODUCTION, *acceptance.section("paper", "none"), *acceptance.against_dosa()]
    text += timeloop()
    for space, cap in list(CAPS)[1:]:
        text += acceptance.section(space, cap)
    return "\n".join([*text, *acceptance.price(), *single_operators(), *ablation(), *gpu()]).rstrip() + "\n"


if __name__ == "__main__":
    atomic_write(PAGE, page())
    atomic_write(PICTURE, picture())
