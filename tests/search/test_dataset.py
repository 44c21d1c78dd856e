"""`baco dataset`: the mappings that it draws, the table it writes, and how that survives kills and damage."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from baco import cli
from baco.collecting import DatasetError, read_problem
from baco.hardware import GemminiConfig
from baco.perfmodel import Machine, evaluate
from baco.search import dataset
from baco.search.dataset import Options, Table, Task, collect, measure, read_table, tasks
from baco.search.errors import InvalidSearch, OutputFolder
from baco.search.sampling import mappings
from baco.workload import Mapping, Problem
from baco.workloads import Layer

SMALL = GemminiConfig(dim=4, scratchpad_bytes=4096, accumulator_bytes=2048)
PRODUCT = Problem.gemm(12, 8, 16, name="product")
CONVOLUTION = Problem(R=3, S=3, P=6, Q=6, C=6, K=8, padding=(1, 1), name="convolution")
LAYERS = [Layer(PRODUCT, 2), Layer(CONVOLUTION)]
OPTIONS = Options(samples=3, backend="functional", jobs=1)


@pytest.mark.parametrize("tilings", ["exact", "ragged"])
@pytest.mark.parametrize("problem", [PRODUCT, replace(CONVOLUTION, P=13, C=7)])
def test_mappings_fit_and_differ_and_come_again(problem, tilings):
    drawn = list(islice(mappings(problem, SMALL, 1, 2, tilings), 40))
    assert len({str(m) for m in drawn}) == 40
    assert not any(m.violations(problem, SMALL, buffers=2) for m in drawn)
    assert drawn[:10] == list(islice(mappings(problem, SMALL, 1, 2, tilings), 10))
    assert drawn[:10] != list(islice(mappings(problem, SMALL, 2, 2, tilings), 10))


def test_a_layer_with_few_mappings_gives_them_all():
    found = list(mappings(Problem(P=2), SMALL))
    assert {m.temporal[3][2] for m in found} == {1, 2}  # two tiles of one row, or one of two


def test_lines_say_what_was_predicted_and_counted(tmp_path):
    table = tmp_path / "table.csv"
    collect(table, "net", LAYERS, SMALL, OPTIONS)
    lines = read_table(table)
    assert [line["layer"] for line in lines] == ["product", "convolution"] * 3
    for line in lines:
        problem = {"product": PRODUCT, "convolution": CONVOLUTION}[line["layer"]]
        mapping = Mapping.parse(line["mapping"])
        cost = evaluate(problem, mapping, Machine.from_config(SMALL))
        assert line["status"] == "ok"
        assert (int(line["predicted_cycles"]), int(line["predicted_energy_pj"])) == (round(cost.cycles), round(cost.energy_pj))
        counted = cost.traffic.reads["dram", "inputs"] + cost.traffic.reads["dram", "weights"] + 4 * cost.traffic.reads["dram", "outputs"]
        assert int(line["dram_bytes_read"]) == counted
        assert [int(line[d]) for d in "RSPQCKN"] == list(problem.sizes.values())
        assert line["device"] == line["memory"] == ""  # no clock


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    collect(whole, "net", LAYERS, SMALL, OPTIONS)
    text = whole.read_text()
    third = [i for i, letter in enumerate(text) if letter == "\n"][2]
    killed.write_text(text[: third + 30])  # two lines and a piece of the third
    ran = []
    monkeypatch.setattr(dataset, "measure", lambda task: ran.append(task) or measure(task))
    new = collect(killed, "net", LAYERS, SMALL, OPTIONS)
    assert len(new) == len(ran) == 4
    assert killed.read_text() == text
    assert not collect(killed, "net", LAYERS, SMALL, OPTIONS)
    more = collect(killed, "net", LAYERS, SMALL, replace(OPTIONS, samples=4))
    assert len(more) == 2
    assert len(read_table(killed)) == 8


def test_processes_leave_the_same_lines(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    collect(one, "net", LAYERS, SMALL, replace(OPTIONS, samples=1))
    collect(two, "net", LAYERS, SMALL, replace(OPTIONS, samples=1, jobs=2))
    assert sorted(one.read_text().splitlines()) == sorted(two.read_text().splitlines())


def test_tables_that_cannot_be_used(tmp_path):
    table = tmp_path / "table.csv"
    first = Table(table)
    with pytest.raises(OutputFolder, match=r"table\.csv: another run writes to this table"):
        Table(table)
    first.add(dict.fromkeys(dataset.COLUMNS, "x"))
    first.close()
    good = table.read_text()
    table.write_text(good + "a,damaged,line\n" + good.splitlines()[1] + "\n")
    with pytest.raises(OutputFolder, match="line 3 is damaged; remove it"):
        Table(table)
    table.write_text(good + "a,damaged,line\n")
    again = Table(table)
    again.close()
    assert again.dropped
    assert table.read_text() == good
    for text in ("other,columns\n1,2\n", "no table at all"):
        table.write_text(text)
        with pytest.raises(OutputFolder, match="name another"):
            Table(table)
        assert table.read_text() == text
    with pytest.raises(OutputFolder, match="cannot be opened"):
        Table(tmp_path)


def test_what_cannot_run_says_why_in_its_line():
    mapping = next(mappings(PRODUCT, SMALL))
    line = measure(Task("", LAYERS[0], mapping, SMALL, replace(OPTIONS, most_cycles=10), ""))
    assert "host instructions, its limit" in line["status"]
    spilling = Mapping(((1,) * 7, (3, 1, 1, 1, 1, 1, 1), (1,) * 7, (1, 3, 6, 6, 6, 8, 1)), ("RSPQCKN",) * 3 + ("SCKPQNR",))
    line = measure(Task("", LAYERS[1], spilling, SMALL, replace(OPTIONS, instructions="loops"), ""))
    assert "cannot be done in loop instructions" in line["status"]
    assert line["predicted_cycles"] > 0


def test_options_that_make_no_sense():
    with pytest.raises(InvalidSearch, match="samples: must be at least 1"):
        Options(samples=0)
    with pytest.raises(InvalidSearch, match="backend: must be one of verilator, functional"):
        Options(backend="spike")
    with pytest.raises(InvalidSearch, match="layer convolution: no mapping was found .* at most 5 cycles"):
        tasks("net", LAYERS[1:], SMALL, replace(OPTIONS, most_cycles=5))
    assert read_problem("R=3,P=4, stride=2x1") == Problem(R=3, P=4, stride=(2, 1))
    for text in ("R", "R=3x3", "X=4", "P=-1"):
        with pytest.raises(DatasetError, match="--problem: cannot read"):
            read_problem(text)


def test_the_command(tmp_path, capsys):
    machine, table = tmp_path / "small.json", tmp_path / "table.csv"
    machine.write_text(SMALL.to_json())
    options = ["--hardware", str(machine), "--samples", "2", "--backend", "functional", "--jobs", "1", "-o", str(table)]
    assert cli.main(["dataset", "--problem", "P=12,K=8,C=16", *options]) == 0
    assert "2 new lines in" in capsys.readouterr().out
    assert dataset.hardware_name(SMALL) in table.with_suffix(".hardware.json").read_text()
    for wrong, message in (([], "either a network or problems"), (["bert", "--layers", "lstm"], "bert has no layer 'lstm'")):
        assert cli.main(["dataset", *wrong, *options]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator here")
def test_cycles_of_the_rtl(tmp_path):
    lines = collect(tmp_path / "t.csv", "", [Layer(Problem.gemm(8, 8, 8))], GemminiConfig(dim=4), Options(samples=2, jobs=1))
    for line in lines:
        assert line["status"] == "ok"
        assert 0 < line["predicted_cycles"] < line["device"] <= line["whole"]
        assert line["bytes_read"] >= line["dram_bytes_read"]
    stored = read_table(tmp_path / "t.csv")
    np.testing.assert_array_equal([int(s["device"]) for s in stored], [line["device"] for line in lines])
    assert stored[0]["memory"] == "cached"
