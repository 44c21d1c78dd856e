"""Passes and named pipelines: baco -> linalg/memref -> instgem -> LLVM -> RISC-V object -> ELF."""
