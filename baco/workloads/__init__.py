"""Networks as tables of distinct layers: the named ones, ``network("resnet50")``, and PyTorch models, ``from_torch(model, shape)``."""

from __future__ import annotations

from collections.abc import Callable

from baco.workloads.bert import bert, bert_dosa
from baco.workloads.deepbench import deepbench_face, deepbench_ocr
from baco.workloads.errors import UnknownNetwork, UnreadableModel
from baco.workloads.language_models import gpt2_decode, gpt2_prefill, llama2_7b_decode, llama2_7b_prefill
from baco.workloads.mobilenetv2 import mobilenetv2
from baco.workloads.network import Layer, Network, merge
from baco.workloads.resnet50 import resnet50
from baco.workloads.retinanet import retinanet
from baco.workloads.tables import layers_table, networks_table
from baco.workloads.torch_model import from_file, from_torch
from baco.workloads.unet import unet
from baco.workloads.vit import vit_b16

NETWORKS: dict[str, Callable[[], Network]] = {
    "resnet50": resnet50,
    "unet": unet,
    "retinanet": retinanet,
    "bert": bert,
    "bert-dosa": bert_dosa,
    "deepbench-ocr": deepbench_ocr,
    "deepbench-face": deepbench_face,
    "mobilenetv2": mobilenetv2,
    "vit-b16": vit_b16,
    "gpt2-prefill": gpt2_prefill,
    "gpt2-decode": gpt2_decode,
    "llama2-7b-prefill": llama2_7b_prefill,
    "llama2-7b-decode": llama2_7b_decode,
}
"""Network name to the function that makes its table."""


def network(name: str) -> Network:
    """The table of the named network.

    Raises:
        UnknownNetwork: if there is no such table; the message lists the names.
    """
    if name not in NETWORKS:
        raise UnknownNetwork(name, NETWORKS)
    return NETWORKS[name]()


__all__ = [
    "NETWORKS",
    "Layer",
    "Network",
    "UnknownNetwork",
    "UnreadableModel",
    "from_file",
    "from_torch",
    "layers_table",
    "merge",
    "network",
    "networks_table",
]
