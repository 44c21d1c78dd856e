"""The generated pages are what their generators make now, and say something about everything there is."""

import importlib.util
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def generator(name: str):
    """A generator of docs/, which may use the others."""
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(DOCS))


@pytest.mark.parametrize("name", ["generate_environment", "generate_language", "generate_passes", "generate_results", "generate_strict"])
def test_pages_are_up_to_date(name: str) -> None:
    module = generator(name)
    assert module.PAGE.read_text() == module.page(), f"{module.PAGE.name} is not what docs/{name}.py makes; run `make docs`"


def test_every_name_of_the_language_is_in_its_reference() -> None:
    import baco.language as bl

    page = generator("generate_language").page()
    assert [n for n in bl.__all__ if f"bl.{n}" not in page and n != "DType"] == []


def test_every_pass_shows_a_program_before_and_after() -> None:
    from baco.lowering import pipelines  # noqa: F401  (registers the passes)
    from baco.lowering.passes import find, registered

    for name in set(registered()) - {"verify-stage"}:  # which changes nothing
        text = sys.modules[find(name).__module__].__doc__
        assert text.startswith(f"{name}: "), f"the docstring of {name}'s module begins with its name"
        assert "Before" in text and "After" in text, f"the docstring of {name}'s module shows a program before and after"
