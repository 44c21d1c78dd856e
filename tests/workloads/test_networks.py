"""The network tables: against the networks' known figures and, where it is there, against the shared table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baco.workload import DIMENSIONS
from baco.workloads import UnknownNetwork, network

SHARED = Path(__file__).parents[3] / "shared" / "data" / "workloads.json"


def test_resnet50_has_the_known_size():
    resnet = network("resnet50")
    assert len(resnet.layers) == 24
    assert sum(layer.count for layer in resnet.layers) == 54  # 53 convolutions and the fully connected layer
    assert resnet.macs == 4_089_184_256
    assert len({layer.name for layer in resnet.layers}) == 24


def test_resnet50_has_layers_of_every_kind():
    kinds = {layer.kind for layer in network("resnet50").layers}
    assert kinds == {
        "strided 7x7 convolution",
        "1x1 convolution",
        "3x3 convolution",
        "strided 3x3 convolution",
        "strided 1x1 convolution",
        "fully connected",
    }


def test_padding_gives_back_the_input_size():
    first = network("resnet50").layers[0].problem
    assert first.input_height - 2 * first.padding[0] == 223  # the last row of the 224 is not read: 7x7, stride 2, padding 3
    middle = next(layer.problem for layer in network("resnet50").layers if layer.kind == "3x3 convolution")
    assert middle.input_width - 2 * middle.padding[1] == middle.Q


def test_unknown_network_names_the_known_ones():
    with pytest.raises(UnknownNetwork, match=r"there is no network 'resnet5'; the networks are .*; did you mean 'resnet50'\?"):
        network("resnet5")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared table of layers is not here")
def test_resnet50_agrees_with_the_shared_table():
    theirs = {
        (*(row[d] for d in DIMENSIONS), (row["Hstride"], row["Wstride"])): row["count"]
        for row in json.loads(SHARED.read_text())["resnet50"]
    }
    ours = {(*(getattr(layer.problem, d) for d in DIMENSIONS), layer.problem.stride): layer.count for layer in network("resnet50").layers}
    assert ours == theirs


def test_bert_has_the_products_of_an_encoder_block():
    net = network("bert")
    assert [(layer.name, layer.count) for layer in net.layers] == [
        ("projection", 4),
        ("scores", 12),
        ("values", 12),
        ("expand", 1),
        ("contract", 1),
    ]
    # Four H x H projections and two H x 4H ones are 12 H^2 a token; scores and values are 2 T H a token.
    assert net.macs == 128 * (12 * 768**2 + 2 * 128 * 768)
