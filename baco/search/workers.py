"""Work that does not depend on each other done side by side: on the cores of this machine, or on those of a Ray cluster.

Results come back in the order of the tasks, whichever is done first, so that the number of workers never changes an answer.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from baco.search.errors import InvalidSearch

Task, Result = TypeVar("Task"), TypeVar("Result")

RAY = "ray"
WORTH_IT = 2_000_000
"""Mappings to score from which on more processes are faster than one: with fewer, starting them takes longer than the work."""


class Workers(Protocol):
    """Whoever does the work."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterable[Result]:
        """The result of each task, in their order."""


class ThisProcess:
    """One task after the other, here."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterable[Result]:
        return map(function, tasks)


class Processes:
    """Processes of this machine."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterable[Result]:
        return self.pool.imap(function, tasks)


class Cluster:
    """A Ray cluster: the one that RAY_ADDRESS names, or one of this machine's cores."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterable[Result]:
        remote = self.ray.remote(_call)
        return map(self.ray.get, [remote.remote(function, task) for task in tasks])


def _call(function: Callable[[Task], Result], task: Task) -> Result:
    return function(task)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_workers(workers: int | str | None) -> int | str | None:
    """Raises :class:`InvalidSearch` unless it is a number of processes from 1, "ray", or None for all cores."""
    if workers is None or workers == RAY or (isinstance(workers, int) and workers >= 1):
        return workers
    raise InvalidSearch("workers", f"must be a number of processes from 1, or ray, but is {workers!r}.")


@contextmanager
def open_workers(workers: int | str | None, mappings: int) -> Iterator[Workers]:
    """Whoever is to score so many mappings; None stands for all cores where that many are worth it.

    Raises:
        InvalidSearch: for "ray" where Ray is not installed, or its cluster cannot be reached.
    """
    if workers == RAY:
        yield Cluster(_ray())
        return
    # A worker of a pool may have no processes of its own; and only a fork leaves the caller's program alone.
    able = "fork" in multiprocessing.get_all_start_methods() and not multiprocessing.current_process().daemon
    many = workers if isinstance(workers, int) else cores() if mappings >= WORTH_IT else 1
    if many == 1 or not able:
        yield ThisProcess()
        return
    with multiprocessing.get_context("fork").Pool(many, initializer=_leave_interrupts_to_the_search) as pool:
        yield Processes(pool)


def _leave_interrupts_to_the_search() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InvalidSearch("workers", "are to be Ray's, which is not installed: install the extra baco[ray].") from error
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).split("\n")[0].rstrip(".")
            raise InvalidSearch("workers", f"are to be Ray's, whose cluster cannot be reached: {reason}. Is RAY_ADDRESS right?") from error
    return ray
