"""A PyTorch model as a table of layers: ``from_torch(model, (1, 3, 224, 224))``, or FILE.py:NAME from the command line.

The model is exported for inputs of the given shapes (`torch.export`) and its operations are gone through in order, on tensors without data.
What multiplies matrices or convolves becomes a :class:`Problem`; everything else is listed by name as left out. An operation made of
others (a linear layer, an einsum, an LSTM) is run once more to see the products inside it.

    conv2d, 3 -> 64, 7x7            one Problem; with g groups one of C/g and K/g channels, g times (see `layers`)
    conv1d                          the sequence along P, the filter along R
    conv_transpose2d, s x s stride  one product for each input pixel with all R x S x K weights of an input channel
    linear, matmul, bmm, einsum     one product; for a batch of matrices as many as the batch has
    scaled_dot_product_attention    scores and values of every head and batch entry, a mask not made use of
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baco.userfile import as_the_users, run_file
from baco.workload import Problem
from baco.workloads.errors import UnreadableModel
from baco.workloads.network import Layer, Network, merge

if TYPE_CHECKING:
    import torch

SILENT = {
    "getitem",
    "clone",
    "contiguous",
    "reshape",
    "zeros",
    "ones",
    "full",
    "arange",
    "empty",
    "lift_fresh_copy",
    "_assert_tensor_metadata",
}
"""Operations that neither compute nor are views: not worth a line among those left out."""


def from_file(place: str, inputs: Sequence[str]) -> Network:
    """The network at ``FILE.py:NAME``, where NAME is a model, or a function or class that makes one when called without arguments.

    `inputs`: one text for each input, as :func:`parse_input` reads it.

    Raises:
        UnreadableModel: for a file, name, input or model that will not do.
    """
    import torch

    file, _, name = place.rpartition(":")
    if not file or not name:
        raise UnreadableModel(f"{place!r} does not name a model; write FILE.py:NAME, NAME being a model or a function that makes one.")
    if not inputs:
        raise UnreadableModel(f"{place}: say the shape of each input, as in --input 1,3,224,224.")
    shapes = [parse_input(text) for text in inputs]
    there = vars(run_file(Path(file), UnreadableModel))
    if name not in there:
        known = [n for n, value in there.items() if callable(value) and getattr(value, "__module__", None) == Path(file).stem]
        raise UnreadableModel(f"{file} has no {name!r}" + (f"; it has {', '.join(known)}." if known else "."))
    model = there[name]
    if not isinstance(model, torch.nn.Module) and callable(model):
        try:
            model = model()
        except Exception as fault:  # noqa: BLE001  (the person's function)
            raise UnreadableModel(as_the_users(fault, Path(file))) from None
    if not isinstance(model, torch.nn.Module):
        raise UnreadableModel(f"{place} is a {type(model).__name__}, but must be a torch.nn.Module or make one.")
    return from_torch(model, *shapes, name=name)


def parse_input(text: str) -> tuple[tuple[int, ...], str]:
    """Shape and type name from ``1,3,224,224`` (float32) or ``1,128:int64``.

    Raises:
        UnreadableModel: if it has another form.
    """
    import torch

    sizes, _, kind = text.partition(":")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UnreadableModel(f"--input {text}: write sizes of at least 1 with commas, as in 1,3,224,224 or 1,128:int64.")
    if not isinstance(getattr(torch, kind or "float32", None), torch.dtype):
        raise UnreadableModel(f"--input {text}: {kind!r} is no type of PyTorch's; float32 and int64 are.")
    return shape, kind or "float32"


def from_torch(
    model: torch.nn.Module, *inputs: torch.Tensor | Sequence[int] | tuple[tuple[int, ...], str], name: str | None = None
) -> Network:
    """The products of `model` for inputs given as tensors, as shapes (float32), or as (shape, type name).

    Equal products become one layer with a count, named after the module of the first. `Network.left_out` lists what is no product. A
    model on the meta device needs no memory for its weights.

    Raises:
        UnreadableModel: if the model cannot be exported, has no products, or one that a Problem cannot describe.
    """
    import torch

    title = name or type(model).__name__
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(model.eval(), tuple(_example(entry, device) for entry in inputs))
    except Exception as fault:  # whatever the model or the exporter says
        reason = str(fault).strip().splitlines() or [type(fault).__name__]
        raise UnreadableModel(f"{title}: torch.export cannot export it for these inputs: {reason[0]}") from fault
    products: list[Layer] = []
    left_out: Counter[str] = Counter()
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        with _quiet():
            found = list(_products(node, title))
        products += found
        if not found and not _silent(node.target):
            left_out[_name(node.target)] += 1
        if _overlaps(node):
            left_out["sums of overlapping outputs of conv_transpose"] += 1
    if not products:
        raise UnreadableModel(f"{title}: it has no convolution, linear layer or matrix product.")
    return merge(title, _named(products), f"PyTorch model {title}, exported for {_shapes(program)}", sorted(left_out.items()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's warnings and logged tracebacks to itself; what goes wrong is told in a sentence."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _example(entry: Any, device: torch.device) -> torch.Tensor:
    import torch

    if isinstance(entry, torch.Tensor):
        return entry
    shape, kind = entry if len(entry) == 2 and isinstance(entry[1], str) else (entry, "float32")
    return torch.zeros(tuple(shape), dtype=getattr(torch, kind), device=device)


def _shapes(program: Any) -> str:
    names = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in names]
    return ", ".join("x".join(map(str, n.meta["val"].shape)) for n in nodes)


def _named(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers, different ones of one name told apart by a number."""
    from dataclasses import replace

    seen: dict[str, list[Problem]] = {}
    for layer in layers:
        same_name = seen.setdefault(layer.name, [])
        if layer.problem not in same_name:
            same_name.append(layer.problem)
        number = same_name.index(layer.problem)
        yield Layer(replace(layer.problem, name=f"{layer.name}.{number + 1}"), layer.count) if number else layer


def _name(target: Any) -> str:
    return getattr(target, "__name__", str(target)).split(".")[0]


def _silent(target: Any) -> bool:
    name = _name(target)
    return bool(getattr(target, "is_view", False)) or name in SILENT or name.startswith("sym_")


def _module(node: Any) -> str:
    """The path of the module whose code the operation is, such as layer1.0.conv2; the operation's own name outside of any."""
    stack = node.meta.get("nn_module_stack") or {}
    return next((path for path, _ in reversed(stack.values()) if path), "") or _name(node.target)


def _overlaps(node: Any) -> bool:
    if not _name(node.target).startswith("conv_transpose"):
        return False
    (_, weight, *rest), (axes,) = node.args, (node.args[1].meta["val"].dim() - 2,)
    stride = _pair(rest[1] if len(rest) > 1 else 1, axes)
    return any(s < k for s, k in zip(stride, weight.meta["val"].shape[2:], strict=True))


def _pair(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def _products(node: Any, title: str) -> Iterator[Layer]:
    """The products of one operation of the exported graph."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        """Notes every basic operation that runs."""

        def __init__(self) -> None:
            super().__init__()
            self.calls: list[tuple[str, tuple[Any, ...]]] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
            self.calls.append((_name(func), args))
            return func(*args, **(kwargs or {}))

    if isinstance(node.target, torch._ops.HigherOrderOperator):
        raise UnreadableModel(f"{title}: {_module(node)} has control flow ({_name(node.target)}), whose layers cannot be counted.")
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.is_view:
        return
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: n.meta["val"])
    where = _module(node)
    if _name(node.target) == "scaled_dot_product_attention":
        yield from _attention(where, *args[:3])
        return
    fake = next((t.fake_mode for t in torch.utils._pytree.tree_leaves((args, kwargs)) if hasattr(t, "fake_mode")), None)
    recorder = Recorder()
    # Without the fused kernels of a CPU library an LSTM is seen step by step.
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), fake or contextlib.nullcontext(), recorder:
        node.target(*args, **kwargs)
    for name, called in recorder.calls:
        if name == "convolution":
            yield from _convolution(where, title, *called)
        elif name in MATRICES:
            yield _matrices(where, *called[MATRICES[name] : MATRICES[name] + 2])


MATRICES = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "addmv": 1, "baddbmm": 1}
"""Basic matrix products, and at which argument their two operands begin."""


def _matrices(where: str, a: torch.Tensor, b: torch.Tensor) -> Layer:
    """The product of (..., M, K) and (..., K, N); a vector is a matrix of one row or column."""
    batch = a.shape[0] if a.dim() == 3 else 1
    m = a.shape[-2] if a.dim() > 1 else 1
    n = b.shape[-1] if b.dim() > 1 else 1
    if a.dim() == 2 and b.dim() == 1:  # a matrix and a vector: the vector is the row, so that the matrix are weights
        m, n = 1, a.shape[0]
    return Layer(Problem.gemm(m, n, a.shape[-1], name=where), batch)


def _attention(where: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Iterator[Layer]:
    count = math.prod(query.shape[:-2])
    tokens, head, context = query.shape[-2], query.shape[-1], key.shape[-2]
    yield Layer(Problem.gemm(tokens, context, head, name=f"{where}.scores"), count)
    yield Layer(Problem.gemm(tokens, value.shape[-1], context, name=f"{where}.values"), count)


def _convolution(
    where: str,
    title: str,
    inputs: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Iterator[Layer]:
    """A convolution of one or two dimensions, in groups or not; a transposed one as a product on every input pixel."""
    axes = weight.dim() - 2
    if axes > 2:
        raise UnreadableModel(f"{title}: {where} is a convolution in {axes} dimensions, and a Problem has two; leave it out of the model.")

    def both(values: Sequence[int], other: int) -> tuple[int, int]:
        values = _pair(values, axes)
        return (values[0], values[1] if axes == 2 else other)

    batch, channels = inputs.shape[0] if inputs.dim() == axes + 2 else 1, inputs.shape[-axes - 1]
    taps = both(weight.shape[2:], 1)
    if transposed:
        pixels = both(inputs.shape[-axes:], 1)
        filters = weight.shape[1] * taps[0] * taps[1]
        yield Layer(Problem(P=pixels[0], Q=pixels[1], C=channels // groups, K=filters, N=batch, name=where), groups)
        return
    strides, borders, dilations = both(stride, 1), both(padding, 0), both(dilation, 1)
    size = both(inputs.shape[-axes:], 1)
    rows, columns = ((n + 2 * b - (k - 1) * d - 1) // s + 1 for n, b, k, d, s in zip(size, borders, taps, dilations, strides, strict=True))
    yield Layer(
        Problem(
            R=taps[0],
            S=taps[1],
            P=rows,
            Q=columns,
            C=channels // groups,
            K=weight.shape[0] // groups,
            N=batch,
            stride=strides,
            padding=borders,
            dilation=dilations,
            name=where,
        ),
        groups,
    )
