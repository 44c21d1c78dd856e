"""The MLIR dialects `baco` (blocks) and `instgem` (Gemmini's instructions), and the one door to the MLIR bindings."""
