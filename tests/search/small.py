"""A network with one small layer of each kind, for searches that take a second."""

from __future__ import annotations

from baco.workload import Problem
from baco.workloads import Layer, Network

NETWORK = Network(
    "small",
    (
        Layer(Problem(R=3, S=3, P=8, Q=8, C=16, K=32, padding=(1, 1), name="conv"), 2),
        Layer(Problem(P=16, Q=16, C=16, K=24, name="pointwise"), 3),
        Layer(Problem(P=8, Q=8, C=32, K=32, stride=(2, 2), name="downsample"), 1),
        Layer(Problem(R=3, S=3, P=4, Q=4, C=16, K=16, stride=(2, 2), padding=(1, 1), name="strided"), 1),
        Layer(Problem(C=96, K=40, name="classifier"), 1),
        Layer(Problem.gemm(24, 32, 48, name="product"), 1),
    ),
)
