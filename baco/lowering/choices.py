"""What a person may ask of the compiler by name; free of MLIR, so that a launch can check it at once."""

PRIMITIVE, LOOPS, AUTO = "primitive", "loops", "auto"
INSTRUCTIONS = (PRIMITIVE, LOOPS, AUTO)
"""What products become: primitive instructions, Gemmini's loop instructions, or the cheaper; see :mod:`baco.lowering.select_loops`."""
LOOP_STAGES = "baco.loop_stages"
"""Attribute of a loop: how deep its loads are buffered, in place of the module's number of stages."""
STAGES = ("baco", "linalg", "instgem", "llvm")
"""The stages that a file may take the place of; see :mod:`baco.lowering.overrides`."""
