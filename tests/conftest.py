"""What every test shares: property tests that behave alike on slow machines, and a cache folder of the test run's own."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Time limits per example fail at random on a busy machine, and a fixed seed makes a failure come back.
settings.register_profile("baco", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("baco")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep BACO's cache out of the user's home; the compiler's own cache (ZIG_GLOBAL_CACHE_DIR) may still be shared.

    The simulated hardware takes a minute to build, so tests that run side by side share what they build of it.
    """
    if "BACO_CACHE_DIR" in os.environ:
        return
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "verilator"
    shared.mkdir(exist_ok=True)
    (own / "cache").mkdir()
    (own / "cache" / "verilator").symlink_to(shared)
    os.environ["BACO_CACHE_DIR"] = str(own / "cache")


@pytest.fixture(scope="session", autouse=True)
def _strict() -> None:
    """Run every program as hardware would have it, unless a test asks for what Spike does."""
    os.environ.setdefault("BACO_STRICT", "1")
