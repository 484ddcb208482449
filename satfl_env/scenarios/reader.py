"""Reading YAML text: the safe subset that scenarios need, with limits on its extent and errors of one line.

Numbers and truth values are those of YAML 1.2, since the older rules of PyYAML read `1:30` as 90, `010` as 8, `no` as
false and `1e6` as text. Dates need no quotes, and `<<` merges mappings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

import yaml

from satfl_env.scenarios.limits import MOST_BYTES, MOST_LEVELS, MOST_VALUES, check_extent
from satfl_env.utf8 import decoded

_BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))


class _Loader(yaml.SafeLoader):
    """The safe loader with numbers of YAML 1.2, which rejects keys that are given twice and too many values."""

    # The rules for everything else, by the first character of the text.
    yaml_implicit_resolvers = {  # noqa: RUF012 (the base class declares it so)
        first: [(tag, rule) for tag, rule in rules if tag not in (_BOOL, _INT, _FLOAT)]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one value; the limits hold before a deep or long text has been composed."""
        self._level, self._count = self._level + 1, self._count + 1
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self._level > MOST_LEVELS:
            raise yaml.YAMLError(f"line {line}: must not be nested more than {MOST_LEVELS} levels deep")
        if self._count > MOST_VALUES:
            raise yaml.YAMLError(f"line {line}: must not hold more than {MOST_VALUES} values")
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping.

        Raises:
            yaml.YAMLError: If a key is given twice; the message names it and both lines.
        """
        node = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise yaml.YAMLError(f"line {line}: key {key.value!r} was given in line {lines[key.value]} already")
            lines[key.value] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value.

        Raises:
            yaml.YAMLError: If there is no such date, or a value is not what its tag says; the message names the line.
        """
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            line, kind = node.start_mark.line + 1, node.tag.rpartition(":")[2]
            raise yaml.YAMLError(f"line {line}: not a valid {kind}: {error}") from error


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _real(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return {"true": True, "false": False}[str(loader.construct_scalar(node)).lower()]


_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_INT, re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+.0123456789"),
)
_Loader.add_constructor(_INT, _integer)
_Loader.add_constructor(_FLOAT, _real)
_Loader.add_constructor(_BOOL, _truth)


def decode(content: bytes) -> str:
    """The text of a scenario's file, with or without a byte order mark.

    Raises:
        ValueError: If it is longer than `MOST_BYTES` bytes, or not UTF-8; the message names the line.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"must not be longer than {MOST_BYTES} bytes")
    return decoded(content)


def read_yaml(text: str) -> Any:
    """The value that a YAML text describes.

    Raises:
        ValueError: If it is not valid YAML, more than one document, too long or too deep; the message has one line.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        # Aliases are shared until something copies them; what they would become is bounded before.
        check_extent(node, _inside)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(_in_one_line(error)) from error


def _inside(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return chain.from_iterable(node.value)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _in_one_line(error: yaml.YAMLError) -> str:
    """The message of an error, with the line at its beginning."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f"line {mark.line + 1}: "
        return place + ", ".join(part for part in (error.context, error.problem) if part)
    return " ".join(str(error).split())
