"""The four formats of orbit mean-elements messages (OMM, CCSDS 502.0-B): from text to fields, message by message."""

from __future__ import annotations

import csv
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import dropwhile
from typing import Any
from xml.etree import ElementTree

Message = Mapping[str, Any]

_FIRST_KEYWORD = "CCSDS_OMM_VERS"
_SECTIONS = ("metadata", "meanElements", "tleParameters")


def csv_messages(text: str) -> Iterator[Message]:
    """Rows under a header with the fields' names, separated by commas, semicolons or tabs.

    Blank lines, and lines before the header that start with #, are skipped.

    Raises:
        ValueError: If the text is no such table.
    """
    lines = list(dropwhile(lambda line: line.startswith("#"), filter(str.strip, text.split("\n"))))
    if not lines:
        return
    separator = max(",;\t", key=lines[0].count)
    try:
        header, *rows = csv.reader(lines, delimiter=separator, strict=True)
    except csv.Error as error:
        raise ValueError(f"not an OMM in CSV: {error}") from error
    names = [name.strip() for name in header]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(f"message {number} must have {len(names)} values, as the header has, got {len(row)}")
        yield _without_repeats(zip(names, row, strict=True))


def json_messages(text: str) -> Iterator[Message]:
    """One object or a list of them.

    Raises:
        ValueError: If the text is anything else.
    """
    try:
        messages = json.loads(text, object_pairs_hook=_without_repeats)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not an OMM in JSON: {error}") from error
    for number, message in enumerate(messages if isinstance(messages, list) else [messages], start=1):
        if not isinstance(message, dict):
            raise ValueError(f"message {number} must be an object of OMM fields, got {reprlib.repr(message)}")
        yield message


def xml_messages(text: str) -> Iterator[Message]:
    """The segments of a document, in any namespace.

    Raises:
        ValueError: If it is not well formed or has a document type declaration, whose entities could be without end.
    """
    try:
        root = ElementTree.fromstring(text, ElementTree.XMLParser(target=_NoDoctype()))
    except ElementTree.ParseError as error:
        raise ValueError(f"not an OMM in XML: {error}") from error
    for segment in _named(root, ["segment"]):
        fields = (field for section in _named(segment, _SECTIONS) for field in section)
        yield _without_repeats((_local_name(field), _text(field)) for field in fields)


def kvn_messages(text: str) -> Iterator[Message]:
    """Lines `KEYWORD = VALUE`; each message but the first begins with CCSDS_OMM_VERS.

    Comments, blank lines and lines that start with # are skipped.

    Raises:
        ValueError: If a line has no equals sign, or a keyword is repeated.
    """
    message: list[tuple[str, str]] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line.startswith("#") or line.split()[0] == "COMMENT":
            continue
        keyword, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise ValueError(f"line {number}: must be KEYWORD = VALUE, got {reprlib.repr(line)}")
        if keyword == _FIRST_KEYWORD and message:
            yield _without_repeats(message)
            message = []
        message.append((keyword, value))
    if message:
        yield _without_repeats(message)


READERS: dict[str, Callable[[str], Iterator[Message]]] = {
    ".csv": csv_messages,
    ".json": json_messages,
    ".xml": xml_messages,
    ".kvn": kvn_messages,
}
"""The reader of each ending."""


def reader_of(text: str) -> Callable[[str], Iterator[Message]] | None:
    """The reader that fits the first line of a text that says something; None if it is no OMM."""
    lines = (line.strip() for line in text.split("\n"))
    first = next((line for line in lines if line and not line.startswith(("#", "COMMENT"))), "")
    if first.startswith(("[", "{")):
        return json_messages
    if first.startswith("<"):
        return xml_messages
    if first.partition("=")[0].strip() in (_FIRST_KEYWORD, "OBJECT_NAME", "EPOCH"):
        return kvn_messages
    return csv_messages if "MEAN_MOTION" in first else None


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("not an OMM in XML: it must have no document type declaration (<!DOCTYPE)")


def _named(parent: ElementTree.Element, names: Iterable[str]) -> Iterator[ElementTree.Element]:
    return (element for element in parent.iter() if _local_name(element) in names)


def _local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element) -> str | None:
    """What an element holds, with its unit, if it states one, as KVN has it: `51.6 [deg]`."""
    if len(element):
        raise ValueError(f"the field {_local_name(element)} must hold text alone, got the element {element[0].tag!r}")
    unit = element.get("units")
    return element.text if unit is None else f"{element.text} [{unit}]"


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields and name != "COMMENT":
            raise ValueError(f"the field {reprlib.repr(name)} is given twice")
        fields[name] = value
    return fields
