"""Networks as tables of distinct layers, derived from the networks' definitions: ``network("resnet50")``."""

from __future__ import annotations

from collections.abc import Callable

from baco.workloads.bert import bert
from baco.workloads.errors import UnknownNetwork
from baco.workloads.network import Layer, Network, merge
from baco.workloads.resnet50 import resnet50

NETWORKS: dict[str, Callable[[], Network]] = {"resnet50": resnet50, "bert": bert}
"""Network name to the function that makes its table."""


def network(name: str) -> Network:
    """The table of the named network.

    Raises:
        UnknownNetwork: if there is no such table; the message lists the names.
    """
    if name not in NETWORKS:
        raise UnknownNetwork(name, NETWORKS)
    return NETWORKS[name]()


__all__ = ["NETWORKS", "Layer", "Network", "UnknownNetwork", "merge", "network"]
