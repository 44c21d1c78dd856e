"""Functions on whole tensors, written by hand and by torch-mlir, on the simulator and on the CPU path."""

import re

import numpy as np
import pytest
from kernels import int8, product

import baco
from baco.hardware import GemminiConfig
from baco.lang import launch
from baco.lang.errors import CompilationError, LaunchError
from baco.lowering.errors import UnsupportedOperation

BACKENDS = ["functional", "cpu"]
rng = np.random.default_rng(0)


def module(name: str, x: str, w: str, y: str, attributes: str = "") -> str:
    """One named operation on two tensors, added to zeros."""
    x, w, y = (f"tensor<{t}>" for t in (x, w, y))
    return f"""func.func @f(%x: {x}, %w: {w}) -> {y} {{
  %c0 = arith.constant 0 : i32
  %e = tensor.empty() : {y}
  %z = linalg.fill ins(%c0 : i32) outs(%e : {y}) -> {y}
  %r = linalg.{name} {attributes} ins(%x, %w : {x}, {w}) outs(%z : {y}) -> {y}
  return %r : {y}
}}"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("m", "k", "n"), [(5, 3, 7), (37, 40, 21), (130, 300, 70)])
def test_products_of_any_size(backend, m, k, n) -> None:
    f = baco.from_linalg(module("matmul", f"{m}x{k}xi8", f"{k}x{n}xi8", f"{m}x{n}xi32"))
    a, b = int8(rng, m, k), int8(rng, k, n)
    small = GemminiConfig(dim=8, scratchpad_bytes=8192, accumulator_bytes=4096)
    np.testing.assert_array_equal(f(a, b, backend=backend, hardware=small, num_stages=2), product(a, b))


@pytest.mark.parametrize(("m", "k", "n"), [(130, 300, 70), (16, 90, 200)])
def test_loads_run_ahead_and_move_the_same(m, k, n) -> None:
    """With every number of stages: NumPy's result, the words moved without stages, the counts of the analysis."""
    f = baco.from_linalg(module("matmul", f"{m}x{k}xi8", f"{k}x{n}xi8", f"{m}x{n}xi32"))
    a, b = int8(rng, m, k), int8(rng, k, n)
    small = GemminiConfig(dim=8, scratchpad_bytes=8192, accumulator_bytes=4096)
    without = f.warmup(hardware=small).compiled.traffic(1)
    for stages in (2, 3, 4):
        with launch.recorded() as launches:
            np.testing.assert_array_equal(f(a, b, hardware=small, num_stages=stages), product(a, b))
        special = f.warmup(hardware=small, num_stages=stages)
        refused = any("another load in the same loop takes turns in its rows" in remark for remark in special.compiled.remarks)
        ahead = "iter_args" in special.compiled.asm["instgem"]
        assert ahead == (m == 130 or stages == 2) and (ahead or refused)
        assert special.compiled.traffic(1).differences(without) == [] == launches[0].result.counters.traffic.differences(without)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_and_transposed_operands(backend) -> None:
    a, b = int8(rng, 3, 9, 17), int8(rng, 3, 17, 20)
    f = baco.from_linalg(module("batch_matmul", "3x9x17xi8", "3x17x20xi8", "3x9x20xi32"))
    np.testing.assert_array_equal(f(a, b, backend=backend), product(a, b))
    maps = "indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]"
    f = baco.from_linalg(module("matmul", "9x17xi8", "20x17xi8", "9x20xi32", maps))
    np.testing.assert_array_equal(f(a[0], b[0].T.copy(), backend=backend), product(a[0], b[0]))


def convolution(x, w, stride, dilation):
    """NHWC by HWCF in plain NumPy."""
    r, s = w.shape[:2]
    height, width = ((n - d * (k - 1) - 1) // t + 1 for n, k, t, d in zip(x.shape[1:3], (r, s), stride, dilation, strict=True))
    y = np.zeros((x.shape[0], height, width, w.shape[3]), np.int32)
    for i in range(r):
        for j in range(s):
            rows = slice(i * dilation[0], i * dilation[0] + (height - 1) * stride[0] + 1, stride[0])
            columns = slice(j * dilation[1], j * dilation[1] + (width - 1) * stride[1] + 1, stride[1])
            y += x[:, rows, columns].astype(np.int32) @ w[i, j].astype(np.int32)
    return y


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2)), ((1, 2), (2, 1))])
@pytest.mark.parametrize("layout", ["nhwc_hwcf", "nchw_fchw"])
def test_convolutions(backend, stride, dilation, layout) -> None:
    x, w = int8(rng, 2, 9, 11, 5), int8(rng, 3, 2, 5, 18)
    y = convolution(x, w, stride, dilation)
    if layout == "nchw_fchw":
        x, w, y = x.transpose(0, 3, 1, 2).copy(), w.transpose(3, 2, 0, 1).copy(), y.transpose(0, 3, 1, 2)
    types = ("x".join(map(str, [*v.shape, "i32" if v is y else "i8"])) for v in (x, w, y))
    attributes = ", ".join(f"{n} = dense<[{a}, {b}]> : vector<2xi64>" for n, (a, b) in (("strides", stride), ("dilations", dilation)))
    f = baco.from_linalg(module(f"conv_2d_{layout}", *types, f"{{{attributes}}}"))
    np.testing.assert_array_equal(f(x, w, backend=backend), y)


TWO = """
#map = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @two(%x: tensor<6x10xi8>, %b: tensor<f32>) -> (tensor<6xi32>, tensor<6x10xf32>) {
  %c0 = arith.constant 0 : i32
  %e = tensor.empty() : tensor<6xi32>
  %z = linalg.fill ins(%c0 : i32) outs(%e : tensor<6xi32>) -> tensor<6xi32>
  %s = linalg.generic {indexing_maps = [#map, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<6x10xi8>) outs(%z : tensor<6xi32>) {
  ^bb0(%in: i8, %out: i32):
    %0 = arith.extsi %in : i8 to i32
    %1 = arith.addi %0, %out : i32
    linalg.yield %1 : i32
  } -> tensor<6xi32>
  %bias = tensor.extract %b[] : tensor<f32>
  %e2 = tensor.empty() : tensor<6x10xf32>
  %t = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<6x10xi8>) outs(%e2 : tensor<6x10xf32>) {
  ^bb0(%in: i8, %out: f32):
    %0 = arith.sitofp %in : i8 to f32
    %1 = arith.addf %0, %bias : f32
    %2 = math.tanh %1 : f32
    linalg.yield %2 : f32
  } -> tensor<6x10xf32>
  return %s, %t : tensor<6xi32>, tensor<6x10xf32>
}
"""  # noqa: E501


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_results_on_the_host(backend) -> None:
    x, b = int8(rng, 6, 10), np.float32(0.25)
    total, bent = baco.from_linalg(TWO)(x, b, backend=backend)
    np.testing.assert_array_equal(total, x.sum(1, dtype=np.int32))
    np.testing.assert_allclose(bent, np.tanh(x + b), rtol=1e-5)


def exported(model, *inputs):
    fx = pytest.importorskip("torch_mlir.fx")
    return fx.export_and_import(model, *inputs, output_type="linalg-on-tensors")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_quantised_model_from_pytorch(backend) -> None:
    torch = pytest.importorskip("torch")

    class Layers(torch.nn.Module):
        def forward(self, x, w, bias, v):
            hidden = torch.relu(torch._int_mm(x, w) + bias)
            hidden = torch.clamp(torch.round(hidden.to(torch.float32) * 0.01), -128, 127).to(torch.int8)
            return torch._int_mm(hidden, v)

    x, w, v = (torch.from_numpy(int8(rng, *s)) for s in ((20, 40), (40, 33), (33, 10)))
    bias = torch.arange(33, dtype=torch.int32) * 100
    f = baco.from_linalg(exported(Layers(), x, w, bias, v))
    result = f(x, w, bias, v, backend=backend)
    assert isinstance(result, torch.Tensor)
    hidden = np.maximum(product(x.numpy(), w.numpy()) + bias.numpy(), 0).astype(np.float32) * np.float32(0.01)
    np.testing.assert_array_equal(result.numpy(), product(np.clip(np.round(hidden), -128, 127).astype(np.int8), v.numpy()))
    if backend == "functional":
        # Bias, ReLU and scale are on the accelerator's way: the sums of the hidden layer are never stored, nor does the host touch it.
        assert f.warmup().compiled.remarks == ()
        counted = f.warmup().compiled.counters(1)
        assert counted.dram_bytes_written == 20 * 33 + 4 * 20 * 10
        assert counted.dram_bytes_read == 20 * 40 + 40 * 33 + 4 * 20 * 33 + 20 * 33 + 33 * 10
        assert "linalg.matmul" in f.warmup().asm["tensors"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("scale", "relu", "accelerated"),
    [
        (lambda h: h * 0.013, True, True),
        (lambda h: h / 64, False, True),
        (lambda h: h * -0.013, False, False),
        (lambda h: h / 60, False, False),
        (lambda h: h * 0.013 + 3, False, False),
    ],
)
def test_which_requantisations_leave_through_the_store(backend, scale, relu: bool, accelerated: bool) -> None:
    """In blocks and at ragged edges, of a product and of a convolution whose operands were widened. What deviates is the host's."""
    torch = pytest.importorskip("torch")

    class Layer(torch.nn.Module):
        def forward(self, x, w):
            sums = torch._int_mm(x, w) if x.dim() == 2 else torch.nn.functional.conv2d(x.to(torch.int32), w.to(torch.int32))
            rounded = torch.clamp(torch.round(scale(sums.to(torch.float32))), -128, 127)
            return (torch.relu(rounded) if relu else rounded).to(torch.int8)

    small = GemminiConfig(dim=8, scratchpad_bytes=8192, accumulator_bytes=4096)
    for shapes in (((37, 50), (50, 41)), ((2, 5, 7, 9), (18, 5, 3, 2))):
        operands = [torch.from_numpy(int8(rng, *s)) for s in shapes]
        f = baco.from_linalg(exported(Layer(), *operands))
        result = f(*operands, backend=backend, hardware=small)
        assert torch.equal(result, Layer()(*operands))
        if backend == "functional":
            special = f.warmup(hardware=small)
            of_weights = len(shapes[0]) // 4  # rows of the filters are not contiguous: the host rearranges them
            assert (len(special.compiled.remarks) == of_weights) == accelerated
            written = special.compiled.counters(1).dram_bytes_written
            assert written == result.numel() * (1 if accelerated else 4)


BIASED = """
#map = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
func.func @f(%x: tensor<2x7x9x5xi8>, %w: tensor<3x2x5x18xi8>, %bias: tensor<18xi32>) -> tensor<2x5x8x18xi8> {
  %scale = arith.constant 0.01 : f32
  %low = arith.constant 0.0 : f32
  %high = arith.constant 127.0 : f32
  %e = tensor.empty() : tensor<2x5x8x18xi32>
  %b = linalg.broadcast ins(%bias : tensor<18xi32>) outs(%e : tensor<2x5x8x18xi32>) dimensions = [0, 1, 2]
  %s = linalg.conv_2d_nhwc_hwcf ins(%x, %w : tensor<2x7x9x5xi8>, tensor<3x2x5x18xi8>) outs(%b : tensor<2x5x8x18xi32>) -> tensor<2x5x8x18xi32>
  %o = tensor.empty() : tensor<2x5x8x18xi8>
  %q = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s : tensor<2x5x8x18xi32>) outs(%o : tensor<2x5x8x18xi8>) {
  ^bb0(%in: i32, %out: i8):
    %0 = arith.sitofp %in : i32 to f32
    %1 = arith.mulf %0, %scale : f32
    %2 = math.roundeven %1 : f32
    %3 = arith.maximumf %2, %low : f32
    %4 = arith.minimumf %3, %high : f32
    %5 = arith.fptosi %4 : f32 to i8
    linalg.yield %5 : i8
  } -> tensor<2x5x8x18xi8>
  return %q : tensor<2x5x8x18xi8>
}
"""  # noqa: E501


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_convolution_with_its_bias(backend) -> None:
    x, w, bias = int8(rng, 2, 7, 9, 5), int8(rng, 3, 2, 5, 18), rng.integers(-9000, 9000, 18, np.int32)
    f = baco.from_linalg(BIASED)
    scaled = (convolution(x, w, (1, 1), (1, 1)) + bias).astype(np.float32) * np.float32(0.01)
    np.testing.assert_array_equal(f(x, w, bias, backend=backend), np.clip(np.rint(scaled), 0, 127).astype(np.int8))
    if backend == "functional":
        special = f.warmup()
        assert special.compiled.remarks == ()
        assert special.compiled.counters(1).dram_bytes_written == 2 * 5 * 8 * 18


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_float_model_from_pytorch(backend) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)

    class Layers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
            self.linear = torch.nn.Linear(16, 5)

        def forward(self, x):
            y = torch.relu(self.convolution(x))
            return torch.softmax(self.linear(y.flatten(2)).sum(-1), -1)

    model, x = Layers().eval(), torch.randn(1, 3, 4, 4)
    result = baco.from_linalg(exported(model, x))(x, backend=backend)
    np.testing.assert_allclose(result.numpy(), model(x).detach().numpy(), rtol=1e-4)


def test_a_second_process_compiles_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BACO_CACHE_DIR", str(tmp_path))
    first, second = (baco.from_linalg(module("matmul", "16x16xi8", "16x16xi8", "16x16xi32")) for _ in range(2))
    assert first.warmup().asm == second.warmup().asm
    assert (first.compilations, second.compilations) == (1, 0)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("(%x: tensor<?x4xf32>) -> tensor<?x4xf32>", "argument 0 is a tensor<?x4xf32>; shapes must be static"),
        ("(%x: tensor<*xf32>) -> tensor<*xf32>", "argument 0 is a tensor<*xf32>; this front end takes ranked tensors"),
        ("(%x: tensor<4xf16>) -> tensor<4xf16>", "argument 0 has elements of f16; supported are i8, i16, i32, i64, f32"),
        ("(%x: f32) -> f32", "argument 0 is a f32; this front end takes ranked tensors"),
    ],
)
def test_refused_signatures(signature, reason) -> None:
    type_ = signature.split("-> ")[1]
    with pytest.raises(UnsupportedOperation, match=re.escape(reason)):
        baco.from_linalg(f"func.func @f{signature} {{ return %x : {type_} }}")


def test_other_refusals() -> None:
    with pytest.raises(CompilationError, match="not a module that MLIR can read"):
        baco.from_linalg("func.func @f(")
    with pytest.raises(CompilationError, match="exactly one function with a body, not 0"):
        baco.from_linalg("")
    special = TWO.replace("math.tanh", "math.erf")
    with pytest.raises(UnsupportedOperation, match=r"math\.erf has no implementation for the host core"):
        baco.from_linalg(special).warmup()
    f = baco.from_linalg(module("matmul", "16x16xi8", "16x16xi8", "16x16xi32"))
    with pytest.raises(LaunchError, match="in1 is 16x16 of int8, not 16x8 of int8"):
        f(int8(rng, 16, 16), int8(rng, 16, 8))
    with pytest.raises(LaunchError, match="takes 2 tensors, but 1 were given"):
        f(int8(rng, 16, 16))
