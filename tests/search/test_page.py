"""The pages of a search: in a browser, on a desk and on a phone; every text escaped; and what two designs differ in."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from browser import look, needs_browser
from small import NETWORK

from baco import cli
from baco.search import OutputFolder, explore, load
from baco.search.charts import Axis, number
from baco.search.compare import Comparison
from baco.search.page import page, read_rivals, write_report
from baco.search.realise import realise
from baco.workloads import Layer, Network

BUDGET = 12_000
EVIL = "<script>alert(1)</script>\"&'[red]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("explored")
    realise(explore(NETWORK, objective="pareto", budget=BUDGET, out=out), layers=["classifier"], out=out)
    curves = {method: [[100, 9e6], [400 + at, 8e6]] for at, method in enumerate(("random", "dosa"))}
    (out / "rivals.json").write_text(json.dumps({"network": "small", "space": "gemmini", "max_dim": 128, "curves": curves}))
    write_report(load(out), out)
    return out


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    out = tmp_path_factory.mktemp("other")
    explore(NETWORK, space="paper", budget=BUDGET, out=out, max_dim=8)
    return out


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["desk", "phone"])
def test_a_browser_shows_the_report(folder, tmp_path, width, dark):
    seen = look((folder / "report.html").read_text(), tmp_path, width, dark)
    assert seen["console"] == [] and seen["scripts"] == 0
    assert seen["width"] == width == seen["needed"]  # nothing to scroll sideways
    assert seen["sections"] == ["trajectory", "front", "machines", "hierarchy", "roofline", "energy", "latency"]
    assert seen["charts"] == 7 and seen["marks"] > 40
    assert seen["outside"] == []  # no text is cut off by the edge of its chart
    assert seen["least"] >= 10  # pixels of the smallest line of text in a chart
    assert (seen["background"] == "rgb(18, 22, 28)") == dark
    assert seen["links"] == [] or seen["links"] == ["data:,"]
    assert "all 15 figures as predicted" in seen["text"] and "random" in seen["text"] and "dosa" in seen["text"]


@needs_browser
def test_a_browser_shows_a_comparison_on_a_phone(folder, other, tmp_path):
    seen = look(Comparison(("first", "second" * 20), load(folder), load(other)).page(), tmp_path, 390)
    assert seen["console"] == [] and seen["needed"] == 390
    assert seen["charts"] == 4 and seen["outside"] == []


def test_every_figure_of_a_layer_is_on_the_page(folder):
    result, text = load(folder), (folder / "report.html").read_text()
    for r in result.layers:
        assert f'<td class="wide">{r.mapping}</td>' in text
        assert f"{r.layer.name}: bound by {'DRAM' if r.cost.binding == 'dram' else r.cost.binding}" in text
    widths = [float(w) for w in re.findall(r'<rect class="c\d" [^>]*width="([\d.]+)"[^>]*><title>conv: ', text)]
    energies = list(next(r for r in result.layers if r.layer.name == "conv").cost.energies.values())
    shares = [w / sum(widths[:5]) for w in widths[:5]]
    assert shares == pytest.approx([e / sum(energies) for e in energies], abs=0.01)


def test_the_page_needs_no_network(folder):
    text = (folder / "report.html").read_text()
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script", text)


def test_names_are_escaped(tmp_path, capsys):
    layers = tuple(Layer(dataclasses.replace(layer.problem, name=EVIL + str(i)), layer.count) for i, layer in enumerate(NETWORK.layers[:2]))
    result = explore(Network(EVIL, layers), budget=2_000, out=tmp_path)
    both = Comparison((EVIL, EVIL), result, result)
    for text in (page(result), both.page()):
        assert "<script" not in text and "&lt;script&gt;alert(1)" in text
        assert text.count("<title>") == text.count("</title>")
    assert cli.main(["compare", str(tmp_path), str(tmp_path)]) == 0
    assert EVIL + "0" in capsys.readouterr().out


def test_a_result_without_bound_says_so_and_one_with_says_how_far(folder, other):
    whole = explore(NETWORK, budget=250_000)
    assert whole.gap is not None
    assert f"EDP is at most {whole.gap:.2%} above the best possible" in page(whole)
    assert "No bound was proved in this run" in page(dataclasses.replace(whole, bound=None))


def test_runs_of_other_methods_are_read_and_faults_told(folder, tmp_path):
    result = load(folder)
    assert [t.method for t in read_rivals(result, folder)] == ["random, exact tiles", "dosa, exact tiles"]
    assert [t.method for t in read_rivals(dataclasses.replace(result, tilings="exact"), folder)] == ["random", "dosa"]
    assert read_rivals(dataclasses.replace(result, limits="side up to 16"), folder) == []
    assert read_rivals(result, tmp_path) == []
    (tmp_path / "rivals.json").write_text('{"network": "small", "space": "paper", "max_dim": 128, "curves": [{}]}')
    assert read_rivals(result, tmp_path) == []
    (tmp_path / "rivals.json").write_text('{"network": "small"')
    with pytest.raises(OutputFolder, match=r"rivals\.json: does not hold runs"):
        read_rivals(result, tmp_path)


def test_a_comparison_says_what_differs(folder, other, capsys):
    assert cli.main(["compare", str(folder), str(other), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    first, second = (json.loads((place / "design.json").read_text()) for place in (folder, other))
    assert [row["name"] for row in answer["asked"]] == ["space", "objective", "limits", "tilings"]
    network = {row["name"]: row for row in answer["network"]}
    assert network["EDP uJ x cycles"]["ratio"] == pytest.approx(first["edp"] / second["edp"])
    assert (answer["hardware"][0]["first"], answer["hardware"][0]["second"]) == tuple(
        str(d["design"]["machine"]["side"]) for d in (first, second)
    )
    for pair, layer in zip(answer["layers"], first["design"]["layers"], strict=True):
        assert pair["first"]["energy_uj"] == pytest.approx(layer["count"] * layer["energy_pj"] * 1e-6)
        assert pair["first"]["cycles"] == layer["count"] * layer["cycles"]
    assert (other / "comparison.html").exists()
    (other / "comparison.html").unlink()


def test_layers_of_only_one_network_are_shown(folder, tmp_path):
    few = explore(Network("few", NETWORK.layers[1:3]), budget=2_000)
    pairs = Comparison(("a", "b"), load(folder), few).layers
    assert [p.name for p in pairs if p.second is None] == ["conv", "strided", "classifier", "product"]
    assert "only in one" in Comparison(("a", "b"), load(folder), few).page()


@pytest.mark.parametrize("command", [["report"], ["compare"]])
def test_a_folder_without_a_design_is_refused(command, tmp_path, capsys):
    assert cli.main([*command, *[str(tmp_path)] * (1 + (command == ["compare"]))]) == 2
    assert "design.json: cannot be read: No such file or directory." in capsys.readouterr().err


def test_short_numbers_and_ticks():
    assert [number(v) for v in (0, 12.345, 1234, 6.5e6, 3.21e9, 4e12, 5.6e20, 0.5)] == [
        "0",
        "12.3",
        "1.23k",
        "6.5M",
        "3.21G",
        "4T",
        "5.60e20",
        "0.5",
    ]
    for low, high in ((1, 1), (6.3e6, 6.5e6), (1, 9), (3, 3000), (1e-3, 1e12)):
        ticks = Axis([low, high], 0, 100).ticks(5)
        assert 1 <= len(ticks) <= 6 and ticks == sorted(ticks)
