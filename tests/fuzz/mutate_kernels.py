"""Random changes to a kernel's syntax tree and signature: what a person mistypes, and what nobody would write."""

from __future__ import annotations

import ast
import copy
import random

from seed_kernels import SEEDS, text

CONSTANTS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    15,
    16,
    17,
    32,
    100,
    4096,
    2**31,
    2**63,
    2**70,
    -(2**63),
    0.5,
    1e300,
    -0.0,
    "x",
    None,
    True,
    (),
    (1,),
    (16, 16),
    b"x",
    2j,
    ...,
]
TYPES = [
    "*i8",
    "*i16",
    "*i32",
    "*i64",
    "*fp32",
    "i64",
    "i32",
    "fp32",
    "i64:1",
    "16",
    "0",
    "-1",
    "3",
    "17",
    "4096",
    "None",
    "'x'",
    "(1, 2)",
    "1.5",
]
STATEMENTS = """\
return
return x
break
continue
global x
del x
import os
raise ValueError
pass
x = y = z = 1
x, *y = 1, 2
x: int = 3
x += 1
x[0] = 1
x.y = 1
with x: pass
try: pass
except E: pass
assert x, "m"
def f(): pass
class C: pass
lambda: 1
[i for i in range(3)]
(yield)
(x := 1)
f"{x!r:>{y}}"
print(x)
x if y else z
not x
x < y < z
x @ y
x ** y
x is None
x in (1, 2)
{1: 2}
{1}
x[1:2:3]
x[..., None]
bl.load(*x, **y)
bl.nothing(1)
bl.gemmini.nothing(1)
bl
range
for i in x: pass
for i in range(3): x = i
for i in range(0, 9, 0): pass
for i, j in range(3): pass
while True: x = 1
while x: pass
if x: y = 1
match x:
    case 1: pass
bl.static_assert(False, "no")
bl.static_print(x, 1, bl.int8)
bl.debug_barrier()
x.to(bl.float32)
x.dtype
x.shape[0]
-x
~x
min(x, 1)
len(x)
int(x)
__import__("os")
x()
"""
ODD = [
    ast.parse(s).body
    for s in STATEMENTS.replace("\nexcept", "\0except").replace("\n    case", "\0    case").splitlines()
    for s in [s.replace("\0", "\n")]
]


def case(seed: int) -> dict[str, str]:
    """A mutated kernel: the text of its file, its name and its signature."""
    rng = random.Random(seed)
    while True:
        try:
            return _mutated(rng)
        except ValueError:  # some trees have no text: those that no file can hold either
            continue


def _mutated(rng: random.Random) -> dict[str, str]:
    tree = ast.parse(text())
    name = rng.choice(list(SEEDS))
    signature = list(SEEDS[name].signature)
    functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
    targets = [functions[n] for n in (name, *SEEDS[name].calls)]
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 6])):
        if rng.random() < 0.15:
            signature[rng.randrange(len(signature))] = rng.choice(TYPES)
        else:
            rng.choice(MUTATIONS)(rng, rng.choice(targets))
    return {"source": ast.unparse(ast.fix_missing_locations(tree)), "name": name, "signature": ", ".join(signature)}


def _bodies(function: ast.FunctionDef) -> list[list[ast.stmt]]:
    return [
        body for node in ast.walk(function) for field in ("body", "orelse") if isinstance(body := getattr(node, field, None), list) and body
    ]


def _expressions(function: ast.FunctionDef) -> list[tuple[ast.AST, str, int | None]]:
    """Every place in the body where an expression stands."""
    places = []
    for statement in function.body:
        for node in ast.walk(statement):
            for field, value in ast.iter_fields(node):
                if isinstance(value, ast.expr) and not isinstance(getattr(value, "ctx", ast.Load()), ast.Store):
                    places.append((node, field, None))
                elif isinstance(value, list):
                    places += [
                        (node, field, i)
                        for i, v in enumerate(value)
                        if isinstance(v, ast.expr) and not isinstance(getattr(v, "ctx", ast.Load()), ast.Store)
                    ]
    return places


def _get(place: tuple[ast.AST, str, int | None]) -> ast.expr:
    node, field, i = place
    return getattr(node, field) if i is None else getattr(node, field)[i]


def _put(place: tuple[ast.AST, str, int | None], value: ast.expr) -> None:
    node, field, i = place
    if i is None:
        setattr(node, field, value)
    else:
        getattr(node, field)[i] = value


def _nodes(function: ast.FunctionDef, *types: type) -> list:
    return [n for s in function.body for n in ast.walk(s) if isinstance(n, types)]


def drop(rng: random.Random, f: ast.FunctionDef) -> None:
    body = rng.choice(_bodies(f))
    if len(body) > 1:
        del body[rng.randrange(len(body))]


def duplicate(rng: random.Random, f: ast.FunctionDef) -> None:
    body = rng.choice(_bodies(f))
    body.insert(rng.randrange(len(body) + 1), copy.deepcopy(rng.choice(rng.choice(_bodies(f)))))


def swap_statements(rng: random.Random, f: ast.FunctionDef) -> None:
    body = rng.choice(_bodies(f))
    i, j = rng.randrange(len(body)), rng.randrange(len(body))
    body[i], body[j] = body[j], body[i]


def insert_odd(rng: random.Random, f: ast.FunctionDef) -> None:
    names = [n.id for n in _nodes(f, ast.Name)] + [a.arg for a in f.args.args]
    chosen = dict(zip("xyz", rng.choices(names, k=3), strict=True))
    statements = copy.deepcopy(rng.choice(ODD))
    for s in statements:
        for node in ast.walk(s):
            if isinstance(node, ast.Name) and node.id in chosen and rng.random() < 0.8:
                node.id = chosen[node.id]
    body = rng.choice(_bodies(f))
    i = rng.randrange(len(body) + 1)
    body[i:i] = statements


def wrap(rng: random.Random, f: ast.FunctionDef) -> None:
    body = rng.choice(_bodies(f))
    i = rng.randrange(len(body))
    around = rng.choice(
        [
            "for _q in range(4):\n pass",
            "if n > 3:\n pass",
            "while i < 3:\n pass",
            "if True:\n pass",
            "for _q in bl.static_range(3):\n pass",
            "if bl.program_id(0) == 0:\n pass",
        ]
    )
    block = ast.parse(around).body[0]
    block.body = [body[i]]
    body[i] = block


def rename(rng: random.Random, f: ast.FunctionDef) -> None:
    names = _nodes(f, ast.Name)
    if names:
        rng.choice(names).id = rng.choice([n.id for n in names] + ["undefined", "bl", "range", "len", "square", "matmul"])


def change_constant(rng: random.Random, f: ast.FunctionDef) -> None:
    places = [p for p in _expressions(f) if isinstance(_get(p), ast.Constant)]
    if places:
        _put(rng.choice(places), ast.parse(repr(rng.choice(CONSTANTS)) if rng.random() < 0.95 else "1e999", mode="eval").body)


def replace_expression(rng: random.Random, f: ast.FunctionDef) -> None:
    places = _expressions(f)
    new = copy.deepcopy(_get(rng.choice(places))) if rng.random() < 0.7 else ast.parse(repr(rng.choice(CONSTANTS)), mode="eval").body
    _put(rng.choice(places), new)


def swap_expressions(rng: random.Random, f: ast.FunctionDef) -> None:
    one, other = rng.choice(_expressions(f)), rng.choice(_expressions(f))
    a, b = copy.deepcopy(_get(one)), copy.deepcopy(_get(other))
    _put(one, b)
    _put(other, a)


def change_operator(rng: random.Random, f: ast.FunctionDef) -> None:
    nodes = _nodes(f, ast.BinOp, ast.Compare, ast.AugAssign, ast.BoolOp)
    if nodes:
        node = rng.choice(nodes)
        if isinstance(node, ast.Compare):
            node.ops = [rng.choice([ast.Lt, ast.LtE, ast.Gt, ast.Eq, ast.NotEq, ast.Is, ast.In])()]
        elif isinstance(node, ast.BoolOp):
            node.op = rng.choice([ast.And, ast.Or])()
        else:
            node.op = rng.choice(
                [
                    ast.Add,
                    ast.Sub,
                    ast.Mult,
                    ast.Div,
                    ast.FloorDiv,
                    ast.Mod,
                    ast.Pow,
                    ast.LShift,
                    ast.RShift,
                    ast.BitAnd,
                    ast.BitOr,
                    ast.BitXor,
                    ast.MatMult,
                ]
            )()


def change_call(rng: random.Random, f: ast.FunctionDef) -> None:
    calls = _nodes(f, ast.Call)
    if not calls:
        return
    call = rng.choice(calls)
    kind = rng.randrange(6)
    if kind == 0 and call.args:
        del call.args[rng.randrange(len(call.args))]
    elif kind == 1 and call.args:
        call.args.insert(rng.randrange(len(call.args) + 1), copy.deepcopy(rng.choice(call.args)))
    elif kind == 2 and len(call.args) > 1:
        rng.shuffle(call.args)
    elif kind == 3 and call.keywords:
        del call.keywords[rng.randrange(len(call.keywords))]
    elif kind == 4 and call.keywords:
        rng.choice(call.keywords).arg = rng.choice(["mask", "other", "dtype", "axis", "boundary_check", "nothing", "relu"])
    else:
        call.func = copy.deepcopy(rng.choice(calls).func)


def change_attribute(rng: random.Random, f: ast.FunctionDef) -> None:
    import baco.language as bl

    nodes = _nodes(f, ast.Attribute)
    if nodes:
        rng.choice(nodes).attr = rng.choice([*bl.__all__, "nothing", "T", "to", "shape", "dtype", "__class__", "__dict__"])


def unpack(rng: random.Random, f: ast.FunctionDef) -> None:
    assigned = _nodes(f, ast.Assign)
    if assigned:
        node = rng.choice(assigned)
        node.targets = [ast.Tuple([*copy.deepcopy(node.targets), ast.Name("spare", ast.Store())], ast.Store())]


def index(rng: random.Random, f: ast.FunctionDef) -> None:
    place = rng.choice(_expressions(f))
    text = rng.choice(
        [
            "v[0]",
            "v[None]",
            "v[:, None]",
            "v[None, :]",
            "v[-1]",
            "v[n]",
            "v[:]",
            "v[0:1]",
            "-v",
            "~v",
            "not v",
            "v.to(bl.int8)",
            "bl.sum(v)",
            "bl.trans(v)",
            "(v, v)",
            "v.T",
            "bl.max(v, 0)",
        ]
    )
    new = ast.parse(text, mode="eval").body
    old = copy.deepcopy(_get(place))
    for node in ast.walk(new):
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.Name) and value.id == "v":
                setattr(node, field, old)
            elif isinstance(value, list):
                setattr(node, field, [old if isinstance(x, ast.Name) and x.id == "v" else x for x in value])
    _put(place, new)


MUTATIONS = [drop, duplicate, swap_statements, insert_odd, insert_odd, wrap, rename, change_constant, change_constant, replace_expression,
             swap_expressions, change_operator, change_call, change_call, change_attribute, unpack, index]  # fmt: skip
