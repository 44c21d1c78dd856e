"""Random changes to MLIR text, and random passes to run over it."""

from __future__ import annotations

import random
import re
import tempfile
from functools import cache
from pathlib import Path

TOKENS = re.compile(r'%\w+(?:#\d+)?|"[^"\n]*"|[A-Za-z_][\w.$-]*|-?\d+|.', re.DOTALL)
NUMBERS = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "15",
    "16",
    "17",
    "64",
    "1000000",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
]
TYPES = [
    "i1",
    "i8",
    "i32",
    "i64",
    "f32",
    "index",
    "tensor<4xi8>",
    "tensor<?xi8>",
    "tensor<*xi8>",
    "tensor<16x16xi32>",
    "memref<4x4xi8>",
    "memref<*xi8>",
    "memref<?x?xf32>",
    "!baco.ptr<i8>",
    "!baco.block_ptr<tensor<16x32xi8>>",
    "!baco.ptr_block<tensor<4xi8>>",
    "!llvm.ptr",
    "vector<4xi8>",
    "none",
    "()",
    "tuple<i8>",
    "complex<f32>",
    "i0",
    "bf16",
    "!baco.ptr<>",
]
MLIR_PASSES = [
    "canonicalize",
    "cse",
    "one-shot-bufferize",
    "convert-linalg-to-loops",
    "convert-elementwise-to-linalg",
    "linalg-fuse-elementwise-ops",
    "loop-invariant-code-motion",
    "expand-strided-metadata",
    "lower-affine",
    "arith-expand",
    "convert-scf-to-cf",
    "convert-to-llvm",
    "symbol-dce",
    "inline",
    "sccp",
    "reconcile-unrealized-casts",
    "canonicalize{max-iterations=1}",
    "func.func(cse)",
    "buffer-deallocation-pipeline",
    "finalize-memref-to-llvm",
    "one-shot-bufferize{bufferize-function-boundaries}",
    "convert-func-to-llvm",
    "convert-arith-to-llvm",
]


@cache
def seeds() -> dict[str, list[str]]:
    """Programs at each stage, made from the kernels that the other fuzzer mutates."""
    from seed_kernels import SEEDS, text

    from baco.hardware import GemminiConfig
    from baco.lang import aot
    from baco.lang.frontend import read_kernel
    from baco.lang.launch import signature_of
    from baco.lang.source import namespace_of
    from baco.lowering.passes import run_passes, set_hardware
    from baco.lowering.pipelines import PIPELINES

    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "seeds.py"
        place.write_text(text())
        for name, seed in SEEDS.items():
            kernel = aot.load_kernel(f"{place}:{name}")
            bound = kernel.bind((), aot.stand_ins(", ".join(seed.signature), kernel.parameters, kernel.constexprs))
            module, _ = read_kernel(kernel.source, namespace_of(kernel.function), signature_of(name, bound, kernel.constexprs))
            set_hardware(module, GemminiConfig())
            steps = [*PIPELINES["baco-to-linalg"], *PIPELINES["linalg-to-instgem"], *PIPELINES["instgem-to-llvm"]]
            texts = [str(module)]
            for step in steps:
                run_passes(module, [step])
                texts.append(str(module))
            found[name] = list(dict.fromkeys(texts))
    return found


def passes(rng: random.Random) -> list[str]:
    """A few passes, more often BACO's."""
    from baco.lowering import pipelines
    from baco.lowering.passes import registered

    own = [*registered(), *registered(), *pipelines.PIPELINES]
    return [rng.choice(own if rng.random() < 0.7 else MLIR_PASSES) for _ in range(rng.choice([1, 1, 1, 2, 3, 5]))]


def case(seed: int) -> dict[str, str]:
    """A mutated module and the passes to run over it. One in six is not changed: the passes alone are odd there."""
    rng = random.Random(seed)
    texts = seeds()[rng.choice(list(seeds()))]
    text = rng.choice(texts)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
        text = rng.choice(MUTATIONS)(rng, text)
    return {"text": text, "passes": ",".join(passes(rng))}


def drop_line(rng: random.Random, text: str) -> str:
    lines = text.splitlines()
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def duplicate_line(rng: random.Random, text: str) -> str:
    lines = text.splitlines()
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "\n".join(lines)


def swap_lines(rng: random.Random, text: str) -> str:
    lines = text.splitlines()
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def cut(rng: random.Random, text: str) -> str:
    i = rng.randrange(len(text))
    return text[:i] if rng.random() < 0.3 else text[:i] + text[i + rng.randrange(1, 40) :]


def replace(pattern: str, pool: list[str] | None):
    """A mutation that puts another text of a pool (None: of the same kind from the program) where a pattern matches."""
    expression = re.compile(pattern)

    def mutate(rng: random.Random, text: str) -> str:
        matches = list(expression.finditer(text))
        if not matches:
            return text
        match = rng.choice(matches)
        return text[: match.start()] + rng.choice(pool or [m[0] for m in matches]) + text[match.end() :]

    return mutate


def drop_attribute(rng: random.Random, text: str) -> str:
    """Leave out one entry of an attribute dictionary."""
    matches = list(re.finditer(r"[\w.]+ = [^,{}<>\n]+(?:<[^<>\n]*>)?(?=[,}])", text))
    if not matches:
        return text
    match = rng.choice(matches)
    rest = text[match.end() :]
    return text[: match.start()] + (rest[1:] if rest.startswith(",") else rest)


def odd_character(rng: random.Random, text: str) -> str:
    i = rng.randrange(len(text))
    return text[:i] + rng.choice(["\0", "\x7f", "é", "{", "}", "(", ")", '"', "%", "#", "!", "<", ">", "\n", "//"]) + text[i + 1 :]


def set_hardware(rng: random.Random, text: str) -> str:
    return (
        re.sub(r"dim = \d+", f"dim = {rng.choice(NUMBERS)}", text)
        if rng.random() < 0.5
        else text.replace("baco.hardware = {", "baco.hardware = {oddity = 1 : i64, ", 1)
    )


MUTATIONS = [
    drop_line,
    duplicate_line,
    swap_lines,
    cut,
    replace(r"(?<![\w%.@])-?\d+(?![\w.])", NUMBERS),
    replace(r"(?<=[<x])\d+(?=x)", ["0", "1", "?", "3", "16", "1000000", "-1"]),
    replace(r"(?<![\w%.])(?:i\d+|f32|index|!baco\.\w+<[^ ,()]*>|tensor<[^<>]*>|memref<[^<>]*>)", TYPES),
    replace(r"%\w+(?:#\d+)?", None),
    replace(r"%\w+(?:#\d+)?", None),
    replace(r'"(?:baco|instgem)\.\w+"|(?<= )(?:linalg|memref|arith|scf|tensor|llvm)\.\w+', None),
    replace(r'"[^"\n]*"', ['"x"', '""', '"scratchpad"', '"accumulator"', '"relu"', '"sum"']),
    replace(
        r"array<[^<>]*>",
        [
            "array<i64>",
            "array<i64: 0, 0>",
            "array<i64: 5, -1>",
            "array<i32: 1, 2, 2, 2>",
            "array<i32: 99>",
            "array<i8: 1>",
            "dense<1> : tensor<2xi64>",
            "3 : i64",
        ],
    ),
    drop_attribute,
    drop_attribute,
    odd_character,
    set_hardware,
]
