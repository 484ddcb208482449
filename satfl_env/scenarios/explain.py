"""Explains what is wrong with a scenario: one line per invalid field, with its value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from satfl_env.scenarios.errors import plain_words
from satfl_env.scenarios.schema import Scenario
from satfl_env.suggestions import did_you_mean, question

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_NO_SECTION = ("model_type", "model_attributes_type", "dataclass_type")
_LONGEST_LINE = 500
_MOST_LINES = 20

# A pydantic model or dataclass.
Section = type[Any]


class _Place(NamedTuple):
    """Where a problem is: the dotted path as in an override, and the sections allowed there.

    `variants` are all of these sections, `chosen` those of the kind given. Plain values have none.
    """

    path: str
    chosen: Sequence[Section]
    variants: Sequence[Section]


def explain(name: str, error: ValidationError) -> str:
    """All problems of the scenario `name`, one per line."""
    lines = (f"  {line}"[:_LONGEST_LINE] for line in problem_lines(error))
    return "\n".join([f"scenario {name!r} is not valid:", *lines])


def problem_lines(error: ValidationError, section: Sequence[str] = (), root: Section = Scenario) -> list[str]:
    """One line for each of the first problems of a scenario, or of one of its sections.

    Args:
        error: What pydantic says.
        section: The fields that lead to the section.
        root: The whole, if it is not a scenario.
    """
    problems = [{**problem, "loc": (*section, *problem["loc"])} for problem in error.errors(include_url=False)]
    told = [problem for problem in problems if not _follows(problem, problems)]
    lines = [_line(problem, root) for problem in told[:_MOST_LINES]]
    hidden = len(told) - len(lines)
    return [*lines, f"and {hidden} more"] if hidden else lines


def _follows(problem: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a sequence is too short only because some items are invalid, which are reported already."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in problems
    )


def _line(problem: Mapping[str, Any], root: Section) -> str:
    kind, location = problem["type"], problem["loc"]
    place = _find(location, root)
    path = place.path or _name(root)
    if kind in _UNKNOWN_KEY:
        return f"{path}: unknown key{_unknown_key(str(location[-1]), _find(location[:-1], root), root)}"
    if kind == "union_tag_not_found":
        return f"{path}.kind: missing, allowed are {_kinds(place.variants)}{_fitting_kinds(problem['input'], place)}"
    if kind == "union_tag_invalid":
        tag = problem["ctx"]["tag"]
        guess = did_you_mean(tag, filter(None, map(_kind, place.variants)))
        return f"{path}.kind: must be one of {_kinds(place.variants)}, got {tag!r}{guess}"
    if kind in _NO_SECTION:
        return f"{path}: must be a section with {_content(place)}, got {problem['input']!r}"
    if kind == "missing":
        return f"{path}: {plain_words(problem)}"
    if kind == "value_error":
        return _own_words(str(problem["ctx"]["error"]), place, root)
    return f"{path}: {plain_words(problem)}, got {problem['input']!r}"


def _own_words(text: str, place: _Place, root: Section) -> str:
    """The message of one of our own checks, which states the value and may begin with a field of its section."""
    prefix = f"{place.path}." if place.path else ""
    if re.split(r"\W", text, maxsplit=1)[0] in _fields(place.chosen):
        return prefix + text
    return f"{place.path or _name(root)}: {text}"


def _find(location: Sequence[int | str], root: Section) -> _Place:
    """The place of a problem from pydantic's location, which contains kinds; the path does not."""
    path: list[str] = []
    chosen: Sequence[Section] = (root,)
    variants = chosen
    for part in location:
        of_kind = [section for section in chosen if _kind(section) == part]
        if len(chosen) > 1 and of_kind:
            chosen = of_kind
            continue
        path.append(str(part))
        # The items of a sequence are described by its field.
        if isinstance(part, str):
            chosen = variants = _sections_in(chosen, part)
    return _Place(".".join(path), chosen, variants)


def _sections_in(sections: Sequence[Section], field: str) -> tuple[Section, ...]:
    """The sections that a field may hold, in the order of its annotation."""
    found = (_fields_of(section)[field].annotation for section in sections if field in _fields_of(section))
    return tuple(dict.fromkeys(inner for annotation in found for inner in _sections_of(annotation)))


def _sections_of(annotation: Any) -> Iterator[Section]:
    if _fields_of(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_of(argument)


def _fields_of(section: Any) -> dict[str, FieldInfo]:
    """The fields of a section by name, also of a plain dataclass; empty for anything else."""
    if isinstance(section, type) and is_dataclass(section) and not hasattr(section, "__pydantic_fields__"):
        return {field.name: FieldInfo(annotation=None) for field in fields(section)}
    return getattr(section, "__pydantic_fields__", {})


def _name(root: Section) -> str:
    return root.__name__.lower()


def _kind(section: Section) -> str | None:
    field = _fields_of(section).get("kind")
    return None if field is None else str(field.default)


def _kinds(sections: Sequence[Section]) -> str:
    return ", ".join(repr(_kind(section)) for section in sections)


def _content(place: _Place) -> str:
    if len(place.variants) > 1:
        return f"kind {_kinds(place.variants)}"
    return f"the fields {', '.join(_fields(place.variants))}"


def _fields(sections: Sequence[Section]) -> list[str]:
    return list(dict.fromkeys(field for section in sections for field in _fields_of(section)))


def _fitting_kinds(value: Any, place: _Place) -> str:
    """The kinds that have all the given keys, if these identify a kind."""
    keys = set(value) if isinstance(value, Mapping) else set()
    fitting = [section for section in place.variants if keys <= set(_fields_of(section))]
    return f"; its keys are those of {_kinds(fitting)}" if keys and fitting else ""


def _unknown_key(key: str, place: _Place, root: Section) -> str:
    """Where an unknown key belongs: to another kind, another spelling or another section."""
    owners = [section for section in place.variants if key in _fields_of(section)]
    if owners:
        return f" of kind {_kinds(place.chosen)}, belongs to kind {_kinds(owners)}"
    fields = _fields(place.chosen)
    guess = did_you_mean(key, fields) or question(list(dict.fromkeys(paths_to(key, root)))[:3])
    return guess or f", allowed are {', '.join(fields)}"


def paths_to(key: str, section: Section) -> Iterator[str]:
    """Dotted paths of all fields with a given name, in a section and the sections inside it."""
    for field in _fields_of(section):
        if field == key:
            yield key
        for inner in _sections_in((section,), field):
            yield from (f"{field}.{path}" for path in paths_to(key, inner))
