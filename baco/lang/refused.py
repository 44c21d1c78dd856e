"""What Triton's language has and this machine has not, and why: names that :mod:`baco.language` refuses with the reason."""

from __future__ import annotations

_NARROW = "the accelerator computes in int8 and int32, the host core in float32"
_UNSIGNED = "integers are signed here; int8 to int64 hold them"
_RANDOM = "there is no random number generator; pass random numbers in"
_COMPILER = "it is a part of Triton's compiler that kernels do not need"
_MODULE = "its functions are in baco.language itself"

REFUSED = {
    "TRITON_MAX_TENSOR_NUMEL": "a block has at most 2**20 elements",
    "aggregate_replace": "there are no aggregates; use tuples",
    "atomic_poll": "it waits for another program instance, and instances run one after the other",
    "bfloat16": _NARROW,
    "bitonic_merge": "nothing here sorts by halves; use sort or topk",
    "block_type": _COMPILER,
    "const": "a pointer is read-only when the kernel does not store through it; leave the annotation out",
    "constexpr_type": _COMPILER,
    "core": _MODULE,
    "dot_scaled": "the accelerator has no block-scaled number formats; multiply int8 blocks and requantise",
    "dtype": "it is called DType here",
    "extra": "there are no libraries of other machines; baco.language has exp, log, erf and others",
    "float16": _NARROW,
    "float64": _NARROW,
    "float8e4b15": _NARROW,
    "float8e4b8": _NARROW,
    "float8e4nv": _NARROW,
    "float8e5": _NARROW,
    "float8e5b16": _NARROW,
    "inline_asm_elementwise": "there is no GPU assembly here",
    "map_elementwise": "functions of blocks work element by element already; call the function, and choose with where",
    "pair_uniform_to_normal": _RANDOM,
    "philox": _RANDOM,
    "philox_impl": _RANDOM,
    "pi32_t": "integers do not become pointers; pass the arrays as arguments",
    "pointer_type": "integers do not become pointers; pass the arrays as arguments",
    "rand": _RANDOM,
    "rand4x": _RANDOM,
    "randint": _RANDOM,
    "randint4x": _RANDOM,
    "randn": _RANDOM,
    "randn4x": _RANDOM,
    "random": _RANDOM,
    "slice": "a block is indexed only with : and None",
    "semantic": _MODULE,
    "standard": _MODULE,
    "str_to_ty": _COMPILER,
    "target_info": "there is one target; a launch's hardware= says which Gemmini",
    "tensor": "parameters of blocks need no annotation",
    "tensor_descriptor": "make one in the kernel, with make_tensor_descriptor",
    "tensor_descriptor_type": _COMPILER,
    "tuple": "write (a, b)",
    "tuple_type": _COMPILER,
    "uint16": _UNSIGNED,
    "uint32": _UNSIGNED,
    "uint64": _UNSIGNED,
    "uint8": _UNSIGNED,
    "uint_to_uniform_float": _RANDOM,
    "umulhi": _UNSIGNED,
    "void": _COMPILER,
}
