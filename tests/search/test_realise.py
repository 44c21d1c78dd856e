"""What was chosen is run: right results, and exactly the predicted accesses."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console
from small import NETWORK

from baco.search import InvalidSearch, explore, report
from baco.search.realise import KINDS, example, realise, reference
from baco.workload import Problem


@pytest.fixture(scope="module", params=["gemmini", "paper"])
def result(request):
    return explore(NETWORK, space=request.param, budget=20_000)


@pytest.fixture(scope="module")
def realised(result, tmp_path_factory):
    pytest.importorskip("baco.lowering.mapping_program")
    folder = tmp_path_factory.mktemp("out")
    return folder, realise(result, layers="all", out=folder)


def test_every_layer_does_what_was_predicted(realised):
    _, layers = realised
    assert [layer.name for layer in layers] == [layer.name for layer in NETWORK.layers]
    for layer in layers:
        assert layer.wrong_elements == 0
        assert layer.predicted.differences(layer.counted) == []
        assert all(row.equal for row in layer.rows)


def test_kernels_are_written(realised):
    folder, layers = realised
    assert [entry["equal"] for entry in json.loads((folder / "realised.json").read_text())] == [True] * len(layers)
    for layer in layers:
        kernel = folder / "kernels" / layer.name
        assert (kernel / "program.elf").read_bytes()[:4] == b"\x7fELF"
        assert "preload" in (kernel / "instgem.txt").read_text()


def test_layers_of_different_kinds_are_chosen(result):
    pytest.importorskip("baco.lowering.mapping_program")
    told = []
    kinds = [layer.kind for layer in realise(result, progress=told.append)]
    assert kinds == list(KINDS)
    assert len(told) == len(kinds)
    with pytest.raises(InvalidSearch, match="small has no layer 'conv9'; its layers are conv, pointwise"):
        realise(result, layers=["conv9"])


def test_reports_print_without_a_terminal(result, realised):
    text = io.StringIO()
    console = Console(file=text, width=200)
    report.print_result(result, console)
    report.print_realised(realised[1], console)
    printed = text.getvalue()
    assert "gemmini-default" in printed and "classifier" in printed and "mappings scored" in printed
    assert "6 of 6 layers ran with the right result and exactly the predicted accesses." in printed


def test_progress_is_logged_without_a_terminal():
    text = io.StringIO()
    with report.live(Console(file=text, width=200)) as progress:
        explore(NETWORK, budget=3_000, progress=progress)
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("gradient descent: ") and lines[-1].startswith("done: ")


def test_the_reference_is_a_convolution():
    problem = Problem(R=2, S=3, P=3, Q=2, C=4, K=5, N=2, stride=(2, 1), dilation=(1, 2), padding=(1, 0))
    inputs, weights, scale = example(problem)
    assert not inputs[:, 0].any() and not inputs[:, -1].any()
    out = reference(problem, inputs, weights, scale, relu=False)
    for n, p, q, k in np.ndindex(2, 3, 2, 5):
        total = sum(
            int(inputs[n, 2 * p + r, q + 2 * s, c]) * int(weights[r, s, c, k]) for r in range(2) for s in range(3) for c in range(4)
        )
        assert out[n, p, q, k] == np.clip(np.rint(np.float32(total) * np.float32(scale)), -128, 127)
    assert (reference(problem, inputs, weights, scale, relu=True) == np.maximum(out, 0)).all()


@pytest.mark.long
@pytest.mark.parametrize("name", ["resnet50", "bert", "vit-b16"])
def test_every_layer_of_a_network_does_what_was_predicted(name):
    from baco.workloads import network

    for layer in realise(explore(network(name)), layers="all"):
        assert layer.wrong_elements == 0, layer.name
        assert layer.predicted.differences(layer.counted) == [], layer.name
