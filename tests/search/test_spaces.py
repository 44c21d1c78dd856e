"""The two spaces: what they offer can be had, holds what it is meant to hold, and is not larger than it need be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baco.hardware import GemminiConfig, InvalidHardware
from baco.search import InvalidSearch
from baco.search.spaces import GemminiSpace, Limits, PaperSpace, space_named


@given(st.sampled_from((2, 4, 8, 16, 32, 64, 128)), st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_the_generator_builds_the_gemmini_space(side, rows, weight_rows, input_rows):
    space = GemminiSpace()
    accumulator = float(space.accumulator_kib(rows, side))
    scratchpad = float(space.scratchpad_kib(0, weight_rows, 0, input_rows, side))
    config = space.config(side, accumulator, scratchpad)
    assert config.accumulator_rows >= 2 * rows > config.accumulator_rows - 2 * side
    assert config.scratchpad_rows >= 2 * (weight_rows + input_rows)
    assert config.scratchpad_bank_rows == side or config.scratchpad_rows // 2 < 2 * (weight_rows + input_rows)


def test_the_default_machine_is_in_the_gemmini_space():
    config = GemminiSpace().config(16, 64, 256)
    assert config == GemminiConfig()
    with pytest.raises(InvalidHardware):
        GemminiSpace().config(16, 64, 200)


def test_the_paper_space_rounds_to_whole_kib():
    space = PaperSpace()
    assert float(space.accumulator_kib(784, 128)) == 392
    assert float(space.scratchpad_kib(1000, 0, 25, 0, 128)) == 2
    assert space.round_side(17.2, Limits()) == 18


def test_limits_and_names_are_checked():
    assert GemminiSpace().sides(Limits(max_dim=20)) == [16, 8, 4, 2]
    assert PaperSpace().sides(Limits(max_dim=20)) == [20]
    with pytest.raises(InvalidSearch, match=r"space: must be one of gemmini, paper, but is 'chip'\."):
        space_named("chip")
    with pytest.raises(InvalidSearch, match=r"max_dim: must be from 1 to 128, but is 200\."):
        Limits(max_dim=200)
    with pytest.raises(InvalidSearch, match=r"max_scratchpad_kib: must be greater than 0, but is -1\."):
        Limits(max_scratchpad_kib=-1)
