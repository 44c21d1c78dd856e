"""Running a Python file that a person names, as an import would run it, with its faults told as the person's own."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from baco.errors import BacoError


def run_file(path: Path, error: type[BacoError]) -> ModuleType:
    """The file as a module. What it prints goes to standard error, because standard output is the tool's.

    Raises:
        `error`: if there is no such file, or whatever it raises itself, told from the person's own frames on.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise error(f"{path}: there is no such Python file.")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as `python FILE` does, so that the file finds its neighbours
    sys.modules.setdefault(path.stem, module)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except SyntaxError as fault:
        line = f"\n    {fault.text.rstrip()}\n    {' ' * max((fault.offset or 1) - 1, 0)}^" if fault.text else ""
        raise error(f"{fault.filename}:{fault.lineno}:{fault.offset}: {fault.msg}.{line}") from None
    except BaseException as fault:  # noqa: BLE001  (whatever the file does, it is the person's; sys.exit too)
        raise error(as_the_users(fault, path)) from None
    finally:
        sys.path.remove(folder)
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
    return module


def as_the_users(error: BaseException, path: Path) -> str:
    """An exception while the file ran, from the person's own frames on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = next((i for i, f in enumerate(frames) if Path(f.filename) == path), len(frames))
    place = f"{frames[own].filename}:{frames[own].lineno}: " if own < len(frames) else f"{path}: "
    what = "".join(traceback.format_exception_only(error)).strip()
    trail = "".join(traceback.format_list(frames[own:])).rstrip()
    return f"{place}the file raised {what}\n{trail}"
