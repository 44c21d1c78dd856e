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
    """Keep BACO's cache out of the user's home; the compiler's own cache (ZIG_GLOBAL_CACHE_DIR) may still be shared."""
    os.environ.setdefault("BACO_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session", autouse=True)
def _strict() -> None:
    """Run every program as hardware would have it, unless a test asks for what Spike does."""
    os.environ.setdefault("BACO_STRICT", "1")
