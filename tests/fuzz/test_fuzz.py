"""Hostile kernels and hostile MLIR: whatever comes in, a result or a user's error comes out. Faults found are kept as tests elsewhere."""

from pathlib import Path

import harness
import mutate_kernels
import mutate_mlir
import pytest

HERE = Path(__file__).parent


def check(worker: str, cases: list[dict[str, str]]) -> None:
    outcomes = harness.run(HERE / f"{worker}.py", cases, seconds=60)
    print(harness.summary(outcomes))
    faults = harness.faults(cases, outcomes)
    told = "\n\n".join(f"{o.verdict}: {o.detail}\n" + "\n".join(f"--- {k}\n{v}" for k, v in case.items()) for case, o in faults[:5])
    assert not faults, f"{len(faults)} ways to fail:\n{told}"
    assert sum(o.verdict == "accepted" for o in outcomes) > len(cases) // 20, "so few cases are accepted that nothing is tested"


def test_kernels() -> None:
    check("kernel_worker", [mutate_kernels.case(seed) for seed in range(60)])


def test_mlir() -> None:
    check("mlir_worker", [mutate_mlir.case(seed) for seed in range(200)])


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_many_kernels(part: int) -> None:
    check("kernel_worker", [mutate_kernels.case(seed) for seed in range(1000 + 400 * part, 1400 + 400 * part)])


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_much_mlir(part: int) -> None:
    check("mlir_worker", [mutate_mlir.case(seed) for seed in range(1000 + 2000 * part, 3000 + 2000 * part)])


@pytest.mark.parametrize(
    ("verdict", "worker"),
    [("dies", "os.kill(os.getpid(), 11)"), ("hangs", "time.sleep(60)"), ("accepted", "pass")],
)
def test_the_harness_survives_its_workers(tmp_path: Path, verdict: str, worker: str) -> None:
    file = tmp_path / "worker.py"
    body = f"if case:\n        {worker}\n    return harness.Outcome('accepted')"
    file.write_text(
        f"import os, sys, time\nsys.path.insert(0, {str(HERE)!r})\nimport harness\ndef judge(case):\n    {body}\nharness.serve(judge)\n"
    )
    outcomes = harness.run(file, [0, 1, 0], seconds=2)
    assert [o.verdict for o in outcomes] == ["accepted", verdict, "accepted"]
