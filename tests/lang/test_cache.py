"""The compile cache on disk: what is found again, what is not, and what a damaged or foreign entry does (nothing)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import EXAMPLES

import baco
import baco.language as bl
from baco import knobs
from baco.hardware import GemminiConfig
from baco.lang import cache
from baco.lang.launch import Options
from baco.lang.source import NoCanonicalText, Signature, canonical, fingerprint
from baco.lang.types import Extent, KernelFacts

LAUNCH = """
import sys, importlib.util
import numpy as np
import baco
spec = importlib.util.spec_from_file_location("example", {path!r})
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
a, b, c = np.full((5, 6), 3, np.int8), np.full((6, 7), -2, np.int8), np.zeros((5, 7), np.int32)
example.launch(a, b, c, block=(16, 16, 16))
assert (c == -36).all()
print(example.matmul.compilations, *(m for m in ("torch_mlir", "torch", "llvmlite") if m in sys.modules))
"""


def launched_elsewhere(**environment: str) -> str:
    """What a process of its own prints after launching the matmul example."""
    root = Path(baco.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root), **environment}
    code = LAUNCH.format(path=str(EXAMPLES / "01_matmul.py"))
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=300).stdout.strip()


def test_the_second_process_compiles_nothing_and_loads_no_compiler(tmp_path) -> None:
    environment = {"BACO_CACHE_DIR": str(tmp_path / "cache"), "ZIG_GLOBAL_CACHE_DIR": _zig_cache()}
    assert launched_elsewhere(**environment) == "1 torch_mlir"
    assert launched_elsewhere(**environment) == "0"
    assert launched_elsewhere(**environment, BACO_ALWAYS_COMPILE="1") == "1 torch_mlir"


def _zig_cache() -> str:
    return os.environ.get("ZIG_GLOBAL_CACHE_DIR") or str(knobs.cache_dir.value / "zig")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", _zig_cache())
    with knobs.cache_dir.scope(tmp_path):
        yield tmp_path / "kernels"


def copies(x, y, n, B: bl.constexpr):
    bl.store(
        bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    )


def compiled_anew(**keywords) -> int:
    """How often a fresh kernel, as another process would have, compiles for one launch."""
    kernel = baco.jit(copies)
    x, y = np.arange(256, dtype=np.int8).reshape(16, 16), np.zeros((16, 16), np.int8)
    kernel[(1,)](x, y, 16, **{"B": 16, **keywords})
    np.testing.assert_array_equal(x, y)
    return kernel.compilations


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: b"",
        lambda entry: entry[: len(entry) // 2],
        lambda entry: b"\xff" + entry,
        lambda entry: entry.replace(b"copies", b"copied"),
        lambda entry: b"[]",
        lambda entry: b'{"digest": 3}',
        lambda entry: json.dumps({"digest": cache.digest("1"), "content": 1}).encode(),
        lambda entry: json.dumps({"digest": cache.digest('{"os.system": {}}'), "content": {"os.system": {}}}).encode(),
        lambda entry: json.dumps({"digest": cache.digest('{"tuple": [1, 2]}'), "content": {"tuple": [1, 2]}}).encode(),
        lambda entry: b"[" * 100_000,
    ],
)
def test_a_damaged_or_foreign_entry_is_a_miss_and_is_mended(own_cache, damage) -> None:
    key = cache.key_of(copies, Signature((("x", "pointer", "int8"),), ()), GemminiConfig(), Options())
    specialisation = baco.jit(copies).warmup(np.int8, np.int8, 16, B=16)
    cache.save(key, specialisation.compiled, specialisation.facts)
    assert cache.load(key)[0] == specialisation.compiled
    path = cache.path_of(key)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load(key) is None
    cache.save(key, specialisation.compiled, specialisation.facts)
    assert cache.load(key) is not None


def test_what_is_found_again_and_what_is_not(own_cache) -> None:
    assert compiled_anew() == 1
    assert compiled_anew() == 0
    assert compiled_anew(B=16, num_stages=2) == 1
    assert compiled_anew(hardware=GemminiConfig(dim=8)) == 1
    assert len(list(own_cache.iterdir())) == 3
    with knobs.always_compile.scope(True):
        assert compiled_anew() == 1


def test_a_cache_that_cannot_be_written_or_is_no_folder_only_costs_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", _zig_cache())
    (tmp_path / "kernels").write_text("in the way")
    monkeypatch.setattr(cache, "cache_dir", lambda: tmp_path)
    assert compiled_anew() == 1
    assert compiled_anew() == 1


def test_values_that_are_equal_but_compile_differently_are_told_apart() -> None:
    @baco.jit
    def kernel(x, V: bl.constexpr):
        bl.static_assert(V != 3)

    kernel.warmup(np.int8, V=2)
    kernel.warmup(np.int8, V=2.0)
    assert len(kernel.specialisations) == 2


@settings(max_examples=25)
@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), lambda s: st.tuples(s, s)))
def test_canonical_texts_are_plain_and_repeatable(value) -> None:
    assert canonical(value) == canonical(value)
    assert canonical((value,)) != canonical(value)


def test_canonical_texts_tell_types_apart_and_refuse_the_rest() -> None:
    assert len({canonical(v) for v in (1, 1.0, True, "1", (1,), bl.int8, np.dtype("int8"))}) == 7
    assert canonical(np.int64(3)) == canonical(3)
    with pytest.raises(NoCanonicalText):
        canonical(object())


@settings(max_examples=25)
@given(
    st.builds(
        KernelFacts,
        st.sets(st.text()),
        st.lists(st.builds(Extent, st.text(), st.tuples(st.integers(), st.none()), st.tuples(st.tuples(st.text(), st.text())))),
    )
)
def test_facts_come_back_as_they_were(facts) -> None:
    assert cache.decode(json.loads(json.dumps(cache.encode(facts)))) == facts


def test_the_fingerprint_follows_what_is_called_and_used(tmp_path) -> None:
    def fingerprint_of(device: str, constant: str, comment: str = "", decorator: str = "") -> str:
        path = tmp_path / f"{abs(hash((device, constant, comment, decorator)))}.py"
        path.write_text(
            f"import baco.language as bl\ndef other(): return 1\nC = {constant}\ndef device(x):\n    return x + {device}\n"
            f"{comment}\n{decorator}\ndef kernel(x, B: bl.constexpr):\n    y = device(x) * C  {comment}\n    bl.zeros((B, B), bl.int8)\n"
        )
        scope = {}
        exec(compile(path.read_text(), path, "exec"), scope)
        return fingerprint(scope["kernel"])

    same = fingerprint_of("1", "2")
    assert fingerprint_of("1", "2", "# a comment") == same
    assert fingerprint_of("1", "2", decorator="@(lambda f: f)") == same
    assert len({same, fingerprint_of("3", "2"), fingerprint_of("1", "2.0"), fingerprint_of("1", "other")}) == 4


def test_kernel_dump_writes_every_stage(own_cache, tmp_path) -> None:
    with knobs.kernel_dump.scope(True), knobs.dump_dir.scope(tmp_path / "dump"):
        compiled_anew()
    (folder,) = (tmp_path / "dump").iterdir()
    assert folder.name.startswith("copies-")
    names = sorted(f.name for f in folder.iterdir())
    assert names == ["0-baco.mlir", "1-linalg.mlir", "2-instgem.mlir", "3-llvm.ll", "4-riscv.s", "5-elf.elf"]
    assert (folder / "5-elf.elf").read_bytes()[:4] == b"\x7fELF"
