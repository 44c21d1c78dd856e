"""A search that was killed goes on from its folder: the same answer, without the work that was done."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from small import NETWORK

from baco.search import enumeration, explore, report
from baco.search.journal import PROGRESS_FILE, Journal
from baco.workloads import Network

PAIR = Network("pair", NETWORK.layers[2:4])

OPTIONS = {"objective": "pareto", "budget": 40_000, "space": "paper", "max_sram_kib": 40.0, "max_dim": 12}


class Killed(Exception):
    """In place of the end of the process."""


def killed_at(phase, times, out, **options):
    """Start a search and end it at the event of a phase that comes for the `times`th time; whether it came to that."""
    seen = []

    def progress(event):
        seen.append(event.phase)
        if seen.count(phase) == times:
            raise Killed

    with pytest.raises(Killed):
        explore(PAIR, **{**OPTIONS, **options}, out=out, progress=progress)


def answer(result):
    return {k: v for k, v in result.to_dict().items() if k != "run"}


@pytest.fixture(scope="module")
def expected():
    return answer(explore(PAIR, **OPTIONS))


@pytest.mark.parametrize(("phase", "times", "stopped"), [("descent", 90, r"descent \d+"), ("enumeration", 6, r"(side|sides) .+")])
def test_a_search_goes_on_with_the_same_answer(phase, times, stopped, expected, tmp_path):
    killed_at(phase, times, tmp_path)
    told = io.StringIO()
    with report.live(Console(file=told, width=200)) as progress:
        resumed = explore(PAIR, **OPTIONS, out=tmp_path, progress=progress)
    assert answer(resumed) == expected
    first = told.getvalue().splitlines()[0]
    assert re.fullmatch(rf"goes on where an earlier run was stopped: after {stopped}, [\d,]+ mappings in \d+ s", first)
    assert json.loads((tmp_path / "design.json").read_text())["edp"] == expected["edp"]
    assert not (tmp_path / PROGRESS_FILE).exists()  # nothing is left to go on from


@pytest.mark.parametrize(("phase", "stopped"), [("enumeration", r"descent \d+"), ("front", "branch and bound")])
def test_a_search_of_few_samples_goes_on_with_the_same_answer(phase, stopped, tmp_path):
    few = {"budget": 5_000}
    killed_at(phase, 5, tmp_path, **few)
    reached = []
    resumed = explore(PAIR, **{**OPTIONS, **few}, out=tmp_path, progress=lambda event: reached.append(event.detail))
    assert answer(resumed) == answer(explore(PAIR, **{**OPTIONS, **few}))
    assert re.fullmatch(rf"{stopped}, [\d,]+ mappings in \d+ s", reached[0])


def test_what_was_done_is_not_done_again(expected, tmp_path, monkeypatch):
    killed_at("front", 1, tmp_path)
    assert (tmp_path / PROGRESS_FILE).exists()
    for name in ("_enumerate_side", "_bound_between"):
        monkeypatch.setattr(enumeration, name, lambda *_: pytest.fail("a finished side was enumerated again"))
    monkeypatch.setattr("baco.search.descent.losses", lambda *_: pytest.fail("descent was done again"))
    assert answer(explore(PAIR, **OPTIONS, out=tmp_path)) == expected


@pytest.mark.parametrize("change", [{"seed": 1}, {"max_sram_kib": 41.0}], ids=str)
def test_the_progress_of_another_search_is_not_taken(change, tmp_path):
    killed_at("enumeration", 6, tmp_path, **change)
    phases = []
    explore(PAIR, **OPTIONS, out=tmp_path, progress=lambda event: phases.append((event.phase, event.samples)))
    assert phases[0][1] <= 24 * len(PAIR.layers) * 3  # from the start


@pytest.mark.parametrize("damage", ["none", "cut", "flipped", "empty", "foreign", "of another search"])
def test_a_damaged_file_means_a_new_start(damage, tmp_path):
    state = SimpleNamespace(samples=7, best=None, seen=[], history=[(1, 2.5, "descent")], tables={})
    assert Journal(tmp_path, "key").step(state, "first", lambda: [1.5, True]) == [1.5, True]
    file = tmp_path / PROGRESS_FILE
    data = file.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    contents = {"cut": data[:middle], "flipped": flipped, "empty": b"", "foreign": b"\x80\x04N." * 99}
    file.write_bytes(contents.get(damage, data))
    journal, fresh = Journal(tmp_path, "other" if damage == "of another search" else "key"), SimpleNamespace(tables={})
    if damage == "none":
        assert journal.step(fresh, "first", lambda: pytest.fail("done again")) == [1.5, True]
        assert (fresh.samples, fresh.best, fresh.seen, fresh.history) == (7, None, [], [(1, 2.5, "descent")])
    else:
        assert journal.steps == {}


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from small import NETWORK
from baco.search import explore
from baco.workloads import Network
seen = []
def progress(event):
    seen.append(event.phase)
    if seen.count("enumeration") == 6:
        os.kill(os.getpid(), signal.SIGKILL)
explore(Network("pair", NETWORK.layers[2:4]), out={out!r}, progress=progress, **{options!r})
"""


def test_a_killed_process_leaves_what_another_goes_on_from(expected, tmp_path):
    script = KILLED.format(here=str(Path(__file__).parent), out=str(tmp_path), options=OPTIONS)
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / PROGRESS_FILE).stat().st_size > 1000
    assert answer(explore(PAIR, **OPTIONS, out=tmp_path)) == expected


def test_an_interrupted_search_goes_on(expected, tmp_path):
    def stop(event):
        if event.phase == "enumeration":
            raise KeyboardInterrupt

    assert explore(PAIR, **OPTIONS, out=tmp_path, progress=stop).interrupted
    assert answer(explore(PAIR, **OPTIONS, out=tmp_path)) == expected
