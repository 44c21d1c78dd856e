"""What strict mode refuses: programs that Spike runs, but that hardware would not run, or would run with another result.

One entry a rule. The native code names rules by their place here (`generated.h`), a fault carries the rule it broke (`fault.rule`), and
``docs/strict.md`` is written from these tables. Sections are those of the instruction set's description that BACO follows: 9.x are the
differences between Spike, the vendor's header and the RTL, 10 the limits of fields and moves.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One difference: what Spike does, what hardware does, and how to stay clear of it."""

    name: str
    section: str
    spike: str
    hardware: str
    remedy: str


RULES: tuple[Rule, ...] = (
    Rule(
        "mesh_width",
        "9.1",
        "sums in the array have 32 bits",
        "the mesh carries 20 bits, so a sum of 2^19 or more in size wraps",
        "accumulate in the accumulator: more, shorter products",
    ),
    Rule(
        "output_stationary_shift",
        "9.2",
        "in_shift does not apply to results that go to the accumulator",
        "it does",
        "in_shift 0 for results that go to the accumulator",
    ),
    Rule("relu_order", "9.3", "scales, then takes the RELU", "takes the RELU, then scales", "no negative scale together with RELU"),
    Rule(
        "large_scale",
        "9.4",
        "a product of 2^63 or more, or NaN, becomes -128",
        "it becomes 127",
        "scales of at most 2^31 in size, which no product can take there",
    ),
    Rule(
        "normalisation",
        "9.5, 9.6, 9.7",
        "LAYERNORM, IGELU and SOFTMAX are always there; LAYERNORM truncates, SOFTMAX stays until another activation",
        "the default generator leaves them out; where they are built in they round half to even, and SOFTMAX is replaced",
        "normalise on the host core",
    ),
    Rule(
        "weights_overwritten",
        "9.8",
        "reads the preloaded operand at the compute",
        "reads it at the preload",
        "no move into those rows between a preload and its compute",
    ),
    Rule(
        "compute_without_preload",
        "9.9",
        "writes to the C of the last preload again",
        "drops the result",
        "one preload for each compute",
    ),
    Rule("output_stationary_stride", "9.10", "rows of C are c_stride apart", "they are somewhere else", "c_stride 1"),
    Rule(
        "rows_beyond_a",
        "9.11",
        "rows of C beyond those of A are written: zeros, or the bias",
        "they are written only if the next preload, sent soon enough, has real weights",
        "as many rows of C as of A",
    ),
    Rule(
        "move_size",
        "9.14, 10",
        "moves any number of rows and columns",
        "moves 1 to DIM rows of at most one DMA burst",
        "split the move",
    ),
    Rule(
        "operand_size",
        "10",
        "clips A, B and D to DIM rows and columns, and takes none as zeros",
        "takes 1 to DIM; higher bits of the fields are dropped",
        "1 to DIM rows and columns",
    ),
    Rule("block_stride", "9.15", "column blocks may overlap", "an assertion stops it", "a block stride of at least the rows moved"),
    Rule(
        "pool_size",
        "9.16, 10",
        "a plain store with pool_stride 0; windows, images and widths of nothing store nothing, or -128",
        "pool_size with pool_stride 0 selects a store of its own",
        "pool_size 0 with pool_stride 0, else 1 to 3",
    ),
    Rule("keep_scale", "9.17", "takes a scale of all ones as NaN", "keeps the old scale", "give the scale itself"),
    Rule(
        "loop_placement",
        "9.18",
        "loop_ws uses the lower halves, loop_conv_ws alternates accumulator halves by its bias and output pointers",
        "both alternate, by other rules",
        "never depend on where a loop left something",
    ),
    Rule(
        "loop_configuration",
        "7.10, 7.11",
        "a loop runs its steps with whatever is configured",
        "the loop sequencer relies on it",
        "configure what the loop needs, and send all of its registers",
    ),
    Rule(
        "loop_size",
        "10",
        "loop_conv_ws may take more than half of a memory",
        "tiles of successive loops overwrite each other",
        "tiles of at most half of each memory",
    ),
    Rule(
        "loop_fields",
        "7.10, 7.11",
        "ignores fields that only hardware has, and any other value beyond those with a meaning",
        "they skip or move parts of the loop",
        "leave them 0",
    ),
    Rule("fence_command", "9.20", "takes funct7 127 for a fence, and does nothing", "hangs", "the RISC-V fence instruction"),
    Rule(
        "register_flags",
        "2",
        "takes an operand whose register is not sent as all ones",
        "the accelerator sees something else",
        "funct3 3, or 7 for the counter command",
    ),
    Rule(
        "pixel_repeats",
        "7.5, 9.23",
        "repeats into the accumulator, and from the upper half of the scratchpad down into the lower",
        "an assertion stops the first and the second is clipped",
        "repeat inside one half of the scratchpad",
    ),
    Rule(
        "weight_stationary_only",
        "1",
        "every build has both dataflows, and reads and writes either memory",
        "the lean and chip presets keep weights in the array, write results to the accumulator and take no bias from the scratchpad",
        "weight-stationary, C in the accumulator, the bias moved there by mvin",
    ),
    Rule(
        "full_width_stores",
        "1",
        "every build stores 32-bit rows of the accumulator",
        "the lean and chip presets cannot",
        "store int8",
    ),
)
"""In the order of the native code's enumeration (1 is the first)."""

BY_NAME = {rule.name: rule for rule in RULES}

ALWAYS: tuple[tuple[str, str, str], ...] = (
    ("4, 9.13", "rows outside a memory", "Spike stops; hardware wraps around"),
    ("4, 9.12", "operands of a preload or compute in the accumulator", "Spike stops; some hardware can"),
    ("4, 9.22", "a garbage A with a real C, or a garbage move", "undefined everywhere, or Spike stops"),
    ("5, 9.24", "anything used before a config_* or preload set it", "undefined everywhere"),
    ("7.1", "both transposes (weight-stationary), B's alone (output-stationary), in_shift of 32 or more", "Spike stops; an assertion"),
    ("7.2, 7.4", "load configuration 3, statistics slots beyond 3", "Spike writes past its arrays"),
    ("7.8, 10", "more than DIM rows or columns of C, or of a pooling store", "Spike stops"),
    ("7.10", "loop_ws beyond half of a memory, or lacking whole tiles", "Spike stops"),
    ("7.11", "loop_conv_ws with sizes of 0, or that do not fit the 16 bits of its arithmetic", "Spike wraps around or never ends"),
    ("3", "commands that are none, and those for an external scratchpad", "Spike stops"),
    ("-", "DRAM outside the program's buffers, or writing to those that it only reads", "another's memory"),
)
"""What is refused with and without strict mode: section, what, and why."""

UNSEEN: tuple[tuple[str, str, str], ...] = (
    ("8", "DRAM that a mvout wrote is read again without a fence", "hardware may read the old bytes"),
    ("9.19", "loop_ws with missing elements in K reads B beyond its end", "the values are not used, but the memory must exist"),
    ("9.21", "counters are random on Spike", "here they count instructions, the same in every run"),
)
"""Differences that strict mode does not see."""
