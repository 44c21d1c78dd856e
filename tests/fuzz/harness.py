"""Run hostile cases in worker processes: one that dies or hangs costs a case, not the test run.

A worker is a Python file with ``judge(case) -> Outcome``; run as a program it does the cases of a file from a given number on, and writes a
line for each as soon as it is done, so that the harness knows which one it died on and goes on after it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MEMORY = 6 << 30
FINE = ("accepted", "refused")


@dataclass(frozen=True)
class Outcome:
    """What came of a case: accepted, refused (as a user's error should be), or one of the faults a fuzzer looks for."""

    verdict: str
    detail: str = ""


def run(worker: Path, cases: Sequence[Any], *, seconds: float = 30) -> list[Outcome]:
    """The outcome of every case. A case that takes longer than `seconds` is "hangs", one that ends a fresh process is "dies".

    In a process that has done others it is tried again: MLIR's parser damages the heap on some texts, and a later case may die of that.
    """
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="baco-fuzz-") as folder:
        questions, answers = Path(folder) / "cases.json", Path(folder) / "answers"
        questions.write_text(json.dumps(cases))
        while len(outcomes) < len(cases):
            answers.write_text("")
            command = [sys.executable, str(worker), str(questions), str(answers), str(len(outcomes))]
            with (
                (Path(folder) / "stderr").open("w+") as stderr,
                subprocess.Popen(
                    command,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    env={**os.environ, "BACO_CACHE_DIR": folder, "PYTHONPATH": os.pathsep.join(sys.path)},
                ) as process,
            ):
                hung = not _wait(process, answers, seconds)
                done = [Outcome(**json.loads(line)) for line in answers.read_text().splitlines()]
                outcomes += done
                if len(outcomes) < len(cases) and (hung or not done):
                    stderr.seek(0)
                    tail = stderr.read().strip().splitlines()[-1:]
                    outcomes.append(Outcome("hangs") if hung else Outcome("dies", f"status {process.returncode} {' '.join(tail)}"))
    return outcomes


def _wait(process: subprocess.Popen, answers: Path, seconds: float) -> bool:
    """Wait for a worker for as long as it answers; kill it otherwise."""
    size, since = -1, time.monotonic()
    while process.poll() is None:
        now = answers.stat().st_size
        if now != size:
            size, since = now, time.monotonic()
        if time.monotonic() - since > seconds:
            process.kill()
            process.wait()
            return False
        time.sleep(0.02)
    return True


def serve(judge: Callable[[Any], Outcome]) -> None:
    """The main program of a worker."""
    questions, answers, start = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Path(answers).open("a", buffering=1) as out:
        for case in json.loads(Path(questions).read_text())[int(start) :]:
            out.write(json.dumps(asdict(judge(case))) + "\n")


def faults(cases: Sequence[Any], outcomes: Sequence[Outcome]) -> list[tuple[Any, Outcome]]:
    """The cases with an outcome that no input should have, one for each way of failing.

    MLIR's own parser ends the process on some texts, such as a linalg.map that lacks its body; baco-opt says so and lives.
    """
    found: dict[str, tuple[Any, Outcome]] = {}
    for case, outcome in zip(cases, outcomes, strict=True):
        if outcome.verdict not in FINE and not (outcome.verdict == "dies" and outcome.detail.endswith("parsing k.mlir")):
            found.setdefault(f"{outcome.verdict} {outcome.detail[-200:]}", (case, outcome))
    return list(found.values())


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many cases came out how."""
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(o.verdict for o in outcomes).most_common())
