"""Environment variables: values, scopes, nonsense, and a page that lists all of them."""

import ast
import importlib.util
from pathlib import Path

import pytest

import baco
from baco import knobs
from baco.knobs import KnobError

ROOT = Path(baco.__file__).parents[1]


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False), ("", False)])
def test_flags_read_the_environment_when_asked(monkeypatch, text, value) -> None:
    monkeypatch.setenv("BACO_INTERPRET", text)
    assert knobs.interpret.value is value


def test_nonsense_is_refused_by_name(monkeypatch) -> None:
    monkeypatch.setenv("BACO_INTERPRET", "maybe")
    with pytest.raises(KnobError, match=r"BACO_INTERPRET is 'maybe', but must be one of 1, true, yes, on, 0, false, no, off\."):
        _ = knobs.interpret.value


def test_python_wins_over_the_environment_and_scopes_end(monkeypatch) -> None:
    monkeypatch.setenv("BACO_ALWAYS_COMPILE", "1")
    with pytest.raises(RuntimeError, match="inside"), knobs.always_compile.scope(False):
        assert knobs.always_compile.value is False
        raise RuntimeError("inside")
    assert knobs.always_compile.value is True
    knobs.always_compile.value = False
    assert knobs.always_compile.value is False
    knobs.always_compile.reset()
    assert knobs.always_compile.value is True


def test_folders_build_on_one_another(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("BACO_DUMP_DIR", raising=False)
    monkeypatch.setenv("BACO_CACHE_DIR", str(tmp_path))
    assert knobs.dump_dir.value == tmp_path / "dump"
    monkeypatch.setenv("BACO_DUMP_DIR", str(tmp_path / "elsewhere"))
    assert knobs.dump_dir.value == tmp_path / "elsewhere"


def _variables_read(file: Path) -> set[str]:
    """Names that a file's text takes from os.environ: `environ.get("X")`, `environ["X"]` and `"X" in environ`."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        parts = ()
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
            parts = node.args[:1]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            parts = (node.slice,)
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) == "os.environ":
            parts = (node.left,)
        names |= {p.value for p in parts if isinstance(p, ast.Constant)}
    return names


def test_every_variable_that_the_source_reads_is_declared() -> None:
    read = set().union(*(_variables_read(f) for f in (ROOT / "baco").rglob("*.py")))
    assert read == set(knobs.RESPECTED)  # BACO's own are read through their declaration only


def test_the_page_is_up_to_date() -> None:
    script = ROOT / "docs" / "generate_environment.py"
    spec = importlib.util.spec_from_file_location("generate_environment", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run make docs"


def test_numbers_are_not_negative(monkeypatch) -> None:
    monkeypatch.setenv("BACO_PASS_PROFILE_THRESHOLD_MS", "2.5")
    assert knobs.pass_profile_threshold_ms.value == 2.5
    for text in ("-1", "nan", "much"):
        monkeypatch.setenv("BACO_PASS_PROFILE_THRESHOLD_MS", text)
        with pytest.raises(KnobError, match="must be a number of at least 0"):
            _ = knobs.pass_profile_threshold_ms.value


def test_a_home_holds_the_rest(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("BACO_CACHE_DIR", raising=False)
    monkeypatch.setenv("BACO_HOME", str(tmp_path))
    assert knobs.override_dir.value == tmp_path / "override" and knobs.dump_dir.value == tmp_path / "dump"
