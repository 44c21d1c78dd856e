"""Networks for people: rich tables of all of them and of one's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baco.workload import DIMENSIONS
from baco.workloads.network import Network

if TYPE_CHECKING:
    from rich.table import Table


def networks_table(networks: Sequence[Network]) -> Table:
    """One line a network."""
    from rich.table import Table

    table = Table()
    table.add_column("network", no_wrap=True)
    for heading in ("distinct\nlayers", "all\nlayers", "million MACs"):
        table.add_column(heading, justify="right")
    table.add_column("source", overflow="fold")
    for net in networks:
        figures = str(len(net.layers)), f"{sum(layer.count for layer in net.layers):,}", f"{net.macs / 1e6:,.0f}"
        table.add_row(net.name, *figures, net.source)
    return table


def layers_table(network: Network) -> Table:
    """One line a distinct layer."""
    from rich.table import Table

    left_out = f"; left out: {', '.join(f'{name} ({count})' for name, count in network.left_out)}" if network.left_out else ""
    table = Table(
        title=f"{network.name}: {network.source}", caption=f"{network.macs:,} multiply-accumulates{left_out}", title_justify="left"
    )
    table.add_column("layer", no_wrap=True)
    table.add_column("kind")
    for heading in ("count", *DIMENSIONS):
        table.add_column(heading, justify="right")
    for heading in ("stride", "padding", "dilation"):
        table.add_column(heading, justify="right")
    for layer in network.layers:
        p = layer.problem
        pairs = ("x".join(map(str, pair)) for pair in (p.stride, p.padding, p.dilation))
        table.add_row(layer.name, layer.kind, f"{layer.count:,}", *(str(n) for n in p.sizes.values()), *pairs)
    return table
