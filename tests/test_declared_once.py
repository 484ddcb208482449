"""A setting's default stands in one place: nowhere else is there a literal default of the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import satfl_env

PACKAGE = Path(satfl_env.__file__).parent

# Names that mean different things in different places, and may have a default in each of them.
DIFFERENT = {
    "kind": "names a section",
    "size_field": "of each kind of constellation",
    "altitude_m": "of gateways, and of satellites",
    "span_s": "of what satellites have seen, and of the table of a propagator",
    "rate_bps": "of ideal links to gateways, and of those between satellites",
    "transmit_power_w": "of each kind of links",
    "carrier_hz": "of links to gateways, and of those between satellites",
    "bandwidth_hz": "of links to gateways, and of those between satellites",
    "extra_vectors": "of each kind of terms beside the loss",
    "undivided": "why each kind of links does not divide the band",
    "server_rate": "of late updates, and of each server optimiser",
    "widths": "of layers of convolutions, and of narrower models",
    "num_envs": "Gymnasium's own, of each vector environment",
}


def defaults(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Name and default of all parameters of functions and fields of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            positional = [*given.posonlyargs, *given.args]
            with_default = positional[len(positional) - len(given.defaults) :]
            parameters, values = [*with_default, *given.kwonlyargs], [*given.defaults, *given.kw_defaults]
            pairs = zip(parameters, values, strict=True)
            yield from ((parameter.arg, default) for parameter, default in pairs if default is not None)
        elif isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value is not None:
                    yield field.target.id, _of_field(field.value)


def _of_field(value: ast.expr) -> ast.expr:
    """What a field gives as its default, by itself or inside `Field(...)`."""
    if not isinstance(value, ast.Call):
        return value
    inside = [word.value for word in value.keywords if word.arg in ("default", "default_factory")]
    return next(iter([*inside, *value.args]), value) if ast.unparse(value.func).lower().endswith("field") else value


def is_a_value(default: ast.expr) -> bool:
    """Whether a default is written out here; None and False only say that a setting is not used."""
    names = any(isinstance(node, ast.Name | ast.Attribute | ast.Call) for node in ast.walk(default))
    return not names and ast.unparse(default) not in ("None", "False", "()", "''")


def places(sources: dict[str, str]) -> dict[str, list[str]]:
    """Where each setting's default is written out, for those that have more than one place."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, text in sources.items():
        for name, default in defaults(ast.parse(text)):
            if is_a_value(default) and name not in DIFFERENT:
                found[name].append(f"{path}:{default.lineno}")
    return {name: where for name, where in found.items() if len(where) > 1}


def test_no_default_stands_twice():
    sources = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert len(sources) > 50
    assert places(sources) == {}


def test_a_second_default_is_found_wherever_it_is_written():
    sources = {
        "section": "class Section:\n    hidden: int = 32\n    ratio: float = 1 / 6\n    twice: int = Field(default=2)",
        "model": "class Model:\n    def __init__(self, *, hidden=64, ratio=RATIO): ...\ndef make(twice=2, x=None): ...",
        "other": "x: int = 3\ndef use(ratio=default_of(Section, 'ratio'), x=False): ...",
    }
    assert places(sources) == {"hidden": ["section:2", "model:2"], "twice": ["section:4", "model:3"]}
