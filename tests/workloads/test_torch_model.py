"""PyTorch models read as tables: against the named networks, and product by product."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from baco.workload import Problem
from baco.workloads import UnreadableModel, from_file, from_torch, network


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Conv2d(channels, out, 1, stride, bias=False) if stride > 1 or channels != out else None

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(functional.relu(self.bn2(self.conv2(y)))))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, channels = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), 64
        for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
            made = []
            for block in range(blocks):
                made.append(Bottleneck(channels, width, 2 if stage > 1 and block == 0 else 1))
                channels = 4 * width
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def test_resnet50_written_in_pytorch_has_the_same_table():
    with torch.device("meta"):
        read = from_torch(ResNet50(), (1, 3, 224, 224))
    known = network("resnet50")
    assert [(layer.problem, layer.count) for layer in read.layers] == [(layer.problem, layer.count) for layer in known.layers]
    assert [layer.name for layer in read.layers] == [layer.name for layer in known.layers]
    assert dict(read.left_out) == {"relu": 49, "add": 16, "max_pool2d": 1, "mean": 1, "batch_norm": 49}
    assert "1x3x224x224" in read.source


def products(module, *shapes):
    return [(layer.problem, layer.count) for layer in from_torch(module, *shapes).layers]


def test_convolutions_of_every_kind():
    strided = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    assert products(strided, (2, 4, 9, 10)) == [
        (Problem(R=3, S=2, P=5, Q=8, C=4, K=6, N=2, stride=(2, 1), padding=(1, 0), dilation=(1, 2)), 1)
    ]
    assert products(nn.Conv2d(8, 8, 3, groups=8), (1, 8, 6, 6)) == [(Problem(R=3, S=3, P=4, Q=4), 8)]
    assert products(nn.Conv2d(8, 12, 1, groups=2), (1, 8, 6, 6)) == [(Problem(P=6, Q=6, C=4, K=6), 2)]
    assert products(nn.Conv2d(3, 5, 3, padding="same"), (1, 3, 6, 6)) == [(Problem(R=3, S=3, P=6, Q=6, C=3, K=5, padding=(1, 1)), 1)]
    assert products(nn.Conv1d(16, 8, 3, padding=1), (1, 16, 20)) == [(Problem(R=3, P=20, C=16, K=8, padding=(1, 0)), 1)]


def test_a_transposed_convolution_is_a_product_on_every_input_pixel():
    assert products(nn.ConvTranspose2d(8, 4, 2, stride=2), (1, 8, 5, 6)) == [(Problem(P=5, Q=6, C=8, K=16), 1)]
    read = from_torch(nn.ConvTranspose2d(8, 4, 3, stride=2), (1, 8, 5, 5))
    assert dict(read.left_out) == {"sums of overlapping outputs of conv_transpose": 1}


class Products(nn.Module):
    def forward(self, x, y, v):
        batch, one = x @ y, x[0] @ y[0]
        return batch.sum() + one.sum() + torch.einsum("bij,bjk->ik", x, y).sum() + (x[0] @ v).sum()


def test_matrix_products_of_every_kind():
    found = products(Products(), (2, 3, 4), (2, 4, 5), (4,))
    # The batch twice 3x4x5, once more alone; the einsum sums over the batch as well; a vector comes in as one row.
    assert found == [(Problem.gemm(3, 5, 4), 3), (Problem.gemm(3, 5, 8), 1), (Problem.gemm(1, 3, 4), 1)]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def test_attention_is_as_the_tables_have_it():
    assert products(Attention(), (2, 10, 32)) == [
        (Problem.gemm(20, 96, 32), 1),
        (Problem.gemm(10, 10, 8), 8),
        (Problem.gemm(10, 8, 10), 8),
        (Problem.gemm(20, 32, 32), 1),
    ]


def test_a_recurrent_layer_is_seen_step_by_step():
    found = products(nn.LSTM(6, 5, batch_first=True), (3, 4, 6))
    assert found == [(Problem.gemm(12, 20, 6), 1), (Problem.gemm(3, 20, 5), 4)]


def test_what_cannot_be_read_is_said():
    with pytest.raises(UnreadableModel, match="Conv3d: conv3d is a convolution in 3 dimensions"):
        from_torch(nn.Conv3d(3, 4, 3), (1, 3, 5, 5, 5))
    with pytest.raises(UnreadableModel, match=r"ReLU: it has no convolution, linear layer or matrix product\."):
        from_torch(nn.ReLU(), (3,))
    with pytest.raises(UnreadableModel, match=r"Linear: torch.export cannot export it for these inputs: .*3, 5"):
        from_torch(nn.Linear(4, 4), (3, 5))


MODEL = """
from torch import nn
def build():
    return nn.Sequential(nn.Embedding(100, 16), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
def broken():
    raise ValueError("no weights")
number = 3
"""


def test_a_model_is_read_from_a_file(tmp_path):
    file = tmp_path / "mymodel.py"
    file.write_text(MODEL)
    read = from_file(f"{file}:build", ["1,12:int64"])
    assert [(layer.name, layer.problem, layer.count) for layer in read.layers] == [
        ("1", Problem.gemm(12, 8, 16), 1),
        ("3", Problem.gemm(12, 4, 8), 1),
    ]
    assert (read.name, read.left_out) == ("build", (("embedding", 1), ("relu", 1)))
    for place, inputs, message in (
        (f"{file}:built", ["1,12"], "has no 'built'; it has build, broken"),
        (f"{file}:broken", ["1,12"], "mymodel.py:6: the file raised ValueError: no weights"),
        (f"{file}:number", ["1,12"], "is a int, but must be a torch.nn.Module or make one"),
        (f"{file}:build", [], "say the shape of each input, as in --input 1,3,224,224"),
        (f"{file}:build", ["1,x"], "--input 1,x: write sizes of at least 1 with commas"),
        (f"{file}:build", ["1,2:int63"], "'int63' is no type of PyTorch's"),
        (f"{tmp_path}/none.py:build", ["1"], "there is no such Python file"),
        ("build", ["1"], "does not name a model"),
    ):
        with pytest.raises(UnreadableModel, match=message):
            from_file(place, inputs)
