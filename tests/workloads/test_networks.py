"""The network tables: against the networks' known figures and, where it is there, against the shared table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baco.workload import DIMENSIONS
from baco.workloads import NETWORKS, UnknownNetwork, network

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
@pytest.mark.parametrize(
    ("ours", "theirs"), [("resnet50", "resnet50"), ("unet", "unet"), ("retinanet", "retinanet"), ("bert-dosa", "bert")]
)
def test_tables_agree_with_the_shared_ones(ours, theirs):
    rows = {
        (*(row[d] for d in DIMENSIONS), (row["Hstride"], row["Wstride"])): row["count"] for row in json.loads(SHARED.read_text())[theirs]
    }
    assert {(*(getattr(layer.problem, d) for d in DIMENSIONS), layer.problem.stride): layer.count for layer in network(ours).layers} == rows


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_source_and_layers_of_different_names(name):
    net = network(name)
    assert net.name == name and net.source
    assert len({layer.name for layer in net.layers}) == len(net.layers)
    assert len({layer.problem for layer in net.layers}) == len(net.layers)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        # Multiply-accumulates as the models' publishers state them or their parameters imply.
        ("unet", 167_322_556_672),
        ("mobilenetv2", 300_774_272),  # torchvision's documentation: 0.30 G
        ("vit-b16", 17_563_828_224),  # torchvision's documentation: 17.56 G
        ("deepbench-ocr", 9 * (480 * 48 * 16 + 240 * 24 * 16 * 32 + 120 * 12 * 32 * 64 + 60 * 6 * 64 * 128)),
        ("deepbench-face", 9 * (54**2 * 3 * 64 + 54**2 * 64**2 + 27**2 * 128**2 + 14**2 * 128 * 256 + 7**2 * 256 * 512)),
        # One multiply-accumulate a weight of a matrix and token: the published parameters less embeddings, biases and normalisations.
        ("gpt2-decode", 124_439_808 - 1024 * 768 - 12 * (3 + 1 + 4 + 1 + 2 * 2) * 768 - 2 * 768 + 12 * 2 * 512 * 768),
        ("llama2-7b-decode", 6_738_415_616 - 32000 * 4096 - (2 * 32 + 1) * 4096 + 32 * 2 * 512 * 4096),
    ],
)
def test_networks_have_the_known_size(name, macs):
    assert network(name).macs == macs


def test_a_depthwise_convolution_is_one_problem_a_channel():
    layer = next(layer for layer in network("mobilenetv2").layers if layer.name == "stage2.0.depthwise")
    p = layer.problem
    assert (p.R, p.S, p.P, p.Q, p.C, p.K, p.stride, layer.count) == (3, 3, 56, 56, 1, 1, (2, 2), 96)


def test_a_step_of_a_language_model_reads_every_weight_once():
    decode = {layer.name: layer for layer in network("llama2-7b-decode").layers}
    assert all(layer.problem.P == 1 for layer in decode.values())
    assert (decode["scores"].problem.K, decode["values"].problem.C) == (512, 512)
    prefill = network("llama2-7b-prefill")
    assert prefill.macs == 512 * (network("llama2-7b-decode").macs - 32000 * 4096) + 32000 * 4096


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
