"""Which layer deserves the next effort (dissertation 6.5, equations 6.6 to 6.8).

The objective f is a function of every layer's cost g_i, which is a function of the effort t_i spent on it. The next effort goes to the
layer with the largest

    |df/dt_i| ~ df/dg_i (alpha (g_i(t_i) - g_i(t_i - dt)) / dt + (1 - alpha) (g_i(t_i + dt) - g_i(t_i)) / dt)

where the first part is what the last effort brought and the second an optimistic guess of what the next will:

    g_i(t_i + dt) ~ min(g_i(t_i) - g_i(t_i) dt / t_i, beta w_i W_i min over similar layers k of g_k / (w_k W_k))

The first guess says that cost falls as 1 / t (the equation is printed with a plus, but its text has costs go to zero as effort grows); the
second that a layer can come close to what similar layers reach for the same work, W_i being its multiply-accumulates and w_i its count:
the printed FLOPs / max FLOPS, with the layer's whole cost in place of its time. A layer that hardly counts never gets much effort, and one
that did not get better for PATIENCE units is left alone as long as there are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from baco.workloads import Layer

ALPHA = 0.2
BETA = 2.0
PATIENCE = 12


@dataclass
class Task:
    """One layer's record: effort spent, and cost with it. Costs are parts of the objective, all occurrences of the layer together."""

    kind: str
    work: float
    """Multiply-accumulates of all occurrences."""
    efforts: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    idle: int = 0
    """Units of effort since it last got better."""
    done: bool = False
    """Whether there is nothing left to spend on."""


class Scheduler:
    """Chooses layers by importance; or, with `even`, the one with the least effort so far: what importance is compared with."""

    def __init__(self, layers: Sequence[Layer], *, even: bool = False) -> None:
        self.tasks = [Task(layer.kind, float(layer.count * layer.problem.macs)) for layer in layers]
        self.even = even

    def record(self, layer: int, effort: float, cost: float) -> None:
        """`effort` more was spent on a layer, whose cost now is `cost` or, where that is less, what it was."""
        task = self.tasks[layer]
        task.efforts.append((task.efforts[-1] if task.efforts else 0.0) + effort)
        task.idle = task.idle + 1 if task.costs and cost >= task.costs[-1] else 0
        task.costs.append(min([cost, *task.costs[-1:]]))

    def finish(self, layer: int) -> None:
        """Nothing can be spent on this layer any more."""
        self.tasks[layer].done = True

    def choose(self) -> int | None:
        """The layer to spend on next; one without a record first; None where all are finished."""
        open_tasks = [i for i, task in enumerate(self.tasks) if not task.done]
        unknown = [i for i in open_tasks if not self.tasks[i].costs]
        if unknown or not open_tasks:
            return unknown[0] if unknown else None
        if self.even:
            return min(open_tasks, key=lambda i: self.tasks[i].efforts[-1])
        return max([i for i in open_tasks if self.tasks[i].idle < PATIENCE] or open_tasks, key=self.gain)

    def gain(self, layer: int) -> float:
        """-df/dt of a layer, by what is known now; df/dg is 1, as costs are parts of f."""
        task = self.tasks[layer]
        effort, cost = task.efforts[-1], task.costs[-1]
        last = task.efforts[-1] - task.efforts[-2] if len(task.efforts) > 1 else effort
        backward = (task.costs[-2] - cost) / last if len(task.costs) > 1 else 0.0
        rates = [t.costs[-1] / t.work for t in self.tasks if t.costs and t.kind == task.kind and t.work]
        hoped = min(cost - cost * last / effort, BETA * task.work * min(rates))
        return ALPHA * backward + (1 - ALPHA) * max(cost - hoped, 0.0) / last
