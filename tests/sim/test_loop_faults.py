"""Every refusal of a loop, and that a refusal inside one names the step."""

import numpy as np
import pytest

from baco.hardware import GemminiConfig
from baco.isa import encode, float_bits
from baco.sim.accelerator import Accelerator
from baco.sim.errors import DramAddressFault, MalformedInstruction, StateFault, UnsupportedInstruction

BASE = 0x8000_0000
ONE = float_bits(1.0)
CONFIG = GemminiConfig(dim=4, scratchpad_bytes=1024, accumulator_bytes=1024)  # halves: 128 scratchpad rows, 32 accumulator rows

MATMUL = {
    "config_ex": {"dataflow": 1, "a_stride": 1, "c_stride": 1},
    "config_ld": {"block_stride": 4, "scale": ONE, "dram_stride": 16},
    "config_st": {"dram_stride": 16, "acc_scale": ONE},
    "loop_ws_config_bounds": {"i": 2, "j": 2, "k": 2},
    "loop_ws_config_addrs_ab": {"a": BASE, "b": BASE},
    "loop_ws_config_addrs_dc": {"c": BASE + 2048},
    "loop_ws_config_strides_ab": {"a_stride": 16, "b_stride": 16},
    "loop_ws_config_strides_dc": {"c_stride": 16},
    "loop_ws": {},
}
CONV = {
    "config_ex": {"dataflow": 1, "a_stride": 1, "c_stride": 1},
    "config_st": {"dram_stride": 4, "acc_scale": ONE},
    "loop_conv_ws_config_1": {
        "batch_size": 1,
        "in_row_dim": 4,
        "in_channels": 4,
        "out_channels": 4,
        "out_row_dim": 3,
        "out_col_dim": 3,
        "stride": 1,
        "pool_out_row_dim": 1,
    },
    "loop_conv_ws_config_2": {
        "kernel_dim": 2,
        "pochs": 4,
        "batches": 1,
        "pool_stride": 1,
        "pool_size": 2,
        "porows": 2,
        "pocols": 2,
        "pool_out_col_dim": 2,
    },
    "loop_conv_ws_config_3": {"kchs": 4, "kcols": 2, "krows": 2, "in_col_dim": 4},
    "loop_conv_ws_config_4": {"kernel_dilation": 1, "orows": 3, "ocols": 3, "out_stride": 4, "weight_stride": 4, "in_stride": 4},
    "loop_conv_ws_config_5": {"weights": BASE, "output": BASE + 2048},
    "loop_conv_ws_config_6": {"bias": BASE, "input": BASE},
    "loop_conv_ws": {"no_pool": 1},
}


def run(program: dict[str, dict[str, int]], changes: dict[str, dict[str, int] | None]) -> Accelerator:
    m = Accelerator(CONFIG, np.zeros(4096, np.uint8), BASE)
    for name, fields in program.items():
        if changes.get(name, {}) is None:
            continue
        for load_id in range(3) if name == "config_ld" else (None,):
            given = fields | ({"load_id": load_id} if load_id is not None else {}) | (changes.get(name) or {})
            m.execute(encode(name, **given))
    return m


def test_the_unchanged_loops_run() -> None:
    assert run(MATMUL, {}).counters.traffic.macs == 8**3
    assert run(CONV, {}).counters.traffic.macs == 9 * 4 * 4 * 4
    run(CONV, {"loop_conv_ws": {"no_pool": 0}})


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"loop_ws_config_strides_dc": None}, StateFault, "loop_ws is used before a loop_ws_config_strides_dc"),
        ({"loop_ws_config_bounds": {"j": 0}}, MalformedInstruction, r"2 x 0 x 2 tiles \(I, J, K\)"),
        ({"loop_ws_config_bounds": {"pad_k": 4}}, MalformedInstruction, "lack 0, 0 and 4 elements"),
        ({"loop_ws_config_bounds": {"k": 9}}, MalformedInstruction, r"\(I 2, J 2, K 9\) take 144 scratchpad rows; .* half of them, 128"),
        ({"loop_ws_config_bounds": {"i": 5}}, MalformedInstruction, r"\(I 5, J 2\) take 40 accumulator rows; .* half of them, 32"),
        ({"loop_ws": {"activation": 5}}, MalformedInstruction, "activation is 5"),
        ({"loop_ws": {"skip_ex": 1}}, UnsupportedInstruction, "bits beyond 2 mean something only on some hardware"),
        ({"loop_ws": {"a_spad_id": 3}}, MalformedInstruction, "ids of A and B are 3 and 0"),
        ({"loop_ws": {"transpose_a": 1}}, StateFault, "transpose_a 1 and transpose_b 0, but config_ex 0 and 0"),
        ({"loop_ws": {"residual_add": 1}}, StateFault, "load configuration 0 has shrink 0, but the residual addition adds int8"),
        ({"loop_ws": {"residual_add": 1}, "loop_ws_config_addrs_ab": {"b": 0}}, StateFault, "null pointer to B"),
        ({"config_ex": {"dataflow": 0}}, StateFault, "it has dataflow 0, a_stride 1 and c_stride 1"),
        ({"config_ex": {"c_stride": 2}}, StateFault, "c_stride 2"),
        ({"config_ex": None}, StateFault, "before a config_ex set it"),
        ({"config_st": None}, StateFault, "before a config_st set it"),
        ({"config_ld": None}, StateFault, "load configuration 0 is used before"),
        ({"config_ld": {"block_stride": 8}}, StateFault, r"needs block stride 4 \(DIM\) in load configuration 0, not 8"),
        ({"config_ld": {"pixel_repeats": 2}}, StateFault, "pixel_repeats 2"),
        ({"config_ld": {"shrink": 1}, "loop_ws_config_addrs_dc": {"d": BASE}}, StateFault, "has shrink 1, but low_d says int32"),
        ({"config_st": {"pool_stride": 1, "pool_size": 1}}, StateFault, "cannot store while pooling is configured"),
        ({"loop_ws_config_addrs_ab": {"a": 0}}, StateFault, "A is null.* use id 1 or 2"),
        ({"loop_ws_config_addrs_ab": {"b": BASE + 4000}}, DramAddressFault, r"loading B tile \(1, 0\): row 2 reads 4 bytes"),
        ({"loop_ws_config_addrs_dc": {"c": 64}}, DramAddressFault, r"storing C tile \(0, 0\): writes DRAM at 0x40"),
    ],
)
def test_loop_ws(changes: dict, kind: type, reason: str) -> None:
    with pytest.raises(kind, match=reason) as caught:
        run(MATMUL, changes)
    assert type(caught.value) is kind
    assert caught.value.disassembly.startswith("loop_ws ")


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"loop_conv_ws_config_4": None}, StateFault, "loop_conv_ws is used before a loop_conv_ws_config_4"),
        ({"config_ex": {"dataflow": 0}}, StateFault, "weight-stationary"),
        ({"config_ex": {"a_stride": 2}}, StateFault, "a_stride 2 and c_stride 1; this loop_conv_ws needs 1 and 1"),
        ({"config_ex": {"transpose_a": 1}}, StateFault, "transpose_a 1 and transpose_b 0; loop_conv_ws with trans_input_3120 0"),
        ({"config_st": None}, StateFault, "before a config_st set it"),
        ({"config_st": {"pool_stride": 1, "pool_size": 1}}, StateFault, "has no_pool, but pooling is configured"),
        ({"loop_conv_ws_config_6": {"bias": 0}}, StateFault, "the bias pointer is null, but no tile is begun"),
        ({"loop_conv_ws_config_6": {"input": 0}}, StateFault, "the input is null"),
        ({"loop_conv_ws_config_5": {"weights": 0}}, StateFault, "the weights is null|the weights"),
        ({"loop_conv_ws_config_2": {"batches": 0}}, MalformedInstruction, "0 batches of 3 x 3 pixels of 4 channels"),
        ({"loop_conv_ws_config_3": {"kchs": 0}}, MalformedInstruction, "kernel tile is 2 x 2 of 0 channels"),
        ({"loop_conv_ws_config_4": {"kernel_dilation": 0}}, MalformedInstruction, "kernel_dilation is 0"),
        ({"loop_conv_ws_config_1": {"stride": 2}, "loop_conv_ws": {"input_dilated": 1}}, StateFault, "needs 2 and 2"),
        (
            {"loop_conv_ws_config_1": {"stride": 2}, "loop_conv_ws": {"input_dilated": 1}, "config_ex": {"a_stride": 2, "c_stride": 2}},
            MalformedInstruction,
            "needs stride 1, but the stride is 2",
        ),
        ({"loop_conv_ws": {"b_spad_id": 3}}, MalformedInstruction, "are 0 and 3"),
        ({"loop_conv_ws_config_3": {"upad": 5}}, MalformedInstruction, "5 above, 0 below, 0 left, 0 right.* 4 x 4 pixels"),
        ({"loop_conv_ws_config_4": {"orows": 1000, "ocols": 65000}}, MalformedInstruction, "limited to 32767"),
        ({"loop_conv_ws_config_3": {"kchs": 32}}, MalformedInstruction, "take 128 and 128 scratchpad rows; .* 128"),
        ({"loop_conv_ws_config_4": {"orows": 11}}, MalformedInstruction, "takes 33 accumulator rows; .* 32"),
        (
            {"loop_conv_ws": {"no_pool": 0}, "loop_conv_ws_config_2": {"pool_size": 4}},
            MalformedInstruction,
            "stride 1, size 4 and pads 0 and 0",
        ),
        (
            {"loop_conv_ws": {"no_pool": 0}, "loop_conv_ws_config_2": {"porows": 300}},
            MalformedInstruction,
            "300 x 2 of 3 x 3 pixels, 2 a row",
        ),
        ({"loop_conv_ws": {"no_pool": 0, "activation": 2}}, UnsupportedInstruction, "activation 2 with pooling"),
        ({"loop_conv_ws": {"no_pool": 0, "trans_output_1203": 1}}, UnsupportedInstruction, "no effect with pooling"),
        (
            {"loop_conv_ws_config_6": {"input": 64}},
            DramAddressFault,
            "loading the input of batch 0, row 0, column 0, channel 0: reads DRAM",
        ),
        ({"loop_conv_ws_config_5": {"output": 64}}, DramAddressFault, "storing batch 0, row 0, column 0, channel 0: writes DRAM"),
    ],
)
def test_loop_conv_ws(changes: dict, kind: type, reason: str) -> None:
    with pytest.raises(kind, match=reason) as caught:
        run(CONV, changes)
    assert type(caught.value) is kind
    assert caught.value.disassembly.startswith("loop_conv_ws ")


def test_a_tile_begun_twice_is_refused() -> None:
    m = run(CONV, {"loop_conv_ws_config_5": {"output": 0}})
    with pytest.raises(StateFault, match="a bias is loaded again before the last tile's output was stored"):
        m.execute(encode("loop_conv_ws", no_pool=1))
