"""What a wheel holds: every file of the package, its templates, C sources and tables with the Python code."""

from __future__ import annotations

from pathlib import Path

from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration

ROOT = Path(__file__).parents[1]
MADE = {".pyc", ".so", ".o"}
"""Endings of files that tests and builds leave there."""


def test_a_wheel_holds_every_file_of_the_package(monkeypatch):
    monkeypatch.chdir(ROOT)
    wheel = apply_configuration(Distribution({"script_name": "setup.py"}), ROOT / "pyproject.toml")
    wheel.include_package_data = False  # what pyproject.toml lists, and not what a working tree happens to hold
    build = wheel.get_command_obj("build_py")
    build.ensure_finalized()
    held = {Path(folder) / name for _, folder, _, names in build.data_files for name in names}
    held |= {Path(path) for _, _, path in build.find_all_modules()}
    there = {p.relative_to(ROOT) for p in (ROOT / "baco").rglob("*") if p.is_file() and p.suffix not in MADE}
    assert {p.as_posix() for p in there - held} == set()
    assert Path("baco/search/templates/report.html") in held
