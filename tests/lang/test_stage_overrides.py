"""What a person who works on a kernel's stages can switch on: edited stages, diffs, times, no line table."""

import numpy as np
import pytest

import baco
import baco.language as bl
from baco import knobs


def fresh():
    @baco.jit
    def plus(x, y, B: bl.constexpr):
        bl.store(y + bl.arange(0, B), bl.load(x + bl.arange(0, B)) + 41)

    return plus


@pytest.fixture
def dumped(tmp_path):
    """A kernel's folder of stages, in both places."""
    with knobs.kernel_dump.scope(True), knobs.dump_dir.scope(tmp_path), knobs.always_compile.scope(True):
        fresh().warmup(np.int32, np.int32, B=8)
    with knobs.kernel_override.scope(True), knobs.override_dir.scope(tmp_path):
        (folder,) = tmp_path.iterdir()
        for path in folder.iterdir():
            if path.suffix != ".mlir" or "linalg" not in path.name:
                path.unlink()
        yield folder / next(folder.iterdir()).name


def test_an_edited_stage_takes_the_place_of_the_compilers(dumped, capsys) -> None:
    dumped.write_text(dumped.read_text().replace("41", "77"))
    x, y = np.arange(8, dtype=np.int32), np.zeros(8, np.int32)
    kernel = fresh()
    kernel[(1,)](x, y, B=8)
    np.testing.assert_array_equal(y, x + 77)
    assert f"the stage linalg is taken from {dumped}" in capsys.readouterr().err
    with knobs.kernel_override.scope(False):
        fresh()[(1,)](x, y, B=8)
    np.testing.assert_array_equal(y, x + 41)


def test_a_fault_in_an_edited_stage_is_shown_there(dumped) -> None:
    dumped.write_text(dumped.read_text() + "oops")
    with pytest.raises(baco.lang.errors.CompilationError) as error:
        fresh().warmup(np.int32, np.int32, B=8)
    assert str(error.value).startswith(str(dumped)) and "oops" in str(error.value)


def test_passes_are_compared_and_timed(capsys) -> None:
    with knobs.pass_diff.scope(True), knobs.pass_profile.scope(True), knobs.always_compile.scope(True):
        fresh().warmup(np.int32, np.int32, B=8)
    told = capsys.readouterr().err
    assert "--- before structure-pointers" in told and "+++ after structure-pointers" in told and " ms  structure-pointers" in told
    with knobs.pass_profile.scope(True), knobs.pass_profile_threshold_ms.scope(1e6), knobs.always_compile.scope(True):
        fresh().warmup(np.int32, np.int32, B=8)
    assert capsys.readouterr().err == ""


def test_line_info_can_be_left_out() -> None:
    elf = fresh().warmup(np.int32, np.int32, B=8).asm["elf"]
    with knobs.disable_line_info.scope(True):
        bare = fresh().warmup(np.int32, np.int32, B=8).asm["elf"]
    assert b".debug_line" in elf and b".debug_line" not in bare


def test_errors_keep_their_insides_for_work_on_the_compiler() -> None:
    @baco.jit
    def wrong(x, B: bl.constexpr):
        bl.store(x, bl.reshape(bl.arange(0, B), 3))

    for inside in (False, True):
        with knobs.front_end_debugging.scope(inside), pytest.raises(baco.lang.errors.KernelTypeError) as error:
            wrong.warmup(np.int32, B=8)
        assert (error.value.__cause__ is not None) == inside
