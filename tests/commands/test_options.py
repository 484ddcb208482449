"""`--set KEY=VALUE` reads values by the rules of scenario files."""

from __future__ import annotations

import pytest

from satfl_env.commands import parse_formats, parse_overrides
from satfl_env.scenarios import load
from satfl_env.scenarios.reader import read_yaml


@pytest.mark.parametrize("text", ["1e1", "010", "1:30", "no", "true", "0x10", "1_000", ".inf", "", "[1, 2]", "{a: 1}"])
def test_values_are_those_of_a_scenario_file(text):
    assert parse_overrides([f"a.b={text}"]) == {"a.b": read_yaml(text)}


def test_whole_numbers_may_have_an_exponent():
    assert load("leo-multitask", **parse_overrides(["training.batch_size=1e1"])).training.batch_size == 10


def test_text_after_the_first_equals_sign_is_the_value():
    assert parse_overrides(["name=a=b", "description='[/x]'"]) == {"name": "a=b", "description": "[/x]"}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("training.batch_size", "takes KEY=VALUE"),
        ("=5", "takes KEY=VALUE"),
        ("name=[", "--set name has a value that is not valid YAML: line 1"),
        ("training={batch_size: 4, batch_size: 5}", "key 'batch_size' was given in line 1 already"),
        ("name=!!python/object:os.system 1", "could not determine a constructor"),
        (f"name={'[' * 1000}", "must not be nested more than 32 levels deep"),
        ("name=[&a [1, 1, 1, 1], " + ", ".join(["[*a, *a, *a, *a]"] * 900) + "]", "more than 10000 values"),
    ],
)
def test_what_is_no_value_is_refused_in_one_line_by_its_key(item, words):
    with pytest.raises(ValueError, match=r"^--set ") as caught:
        parse_overrides([item])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_formats_of_pictures_are_named_once():
    assert parse_formats("pdf, PNG,pdf") == ("pdf", "png")
    with pytest.raises(ValueError, match=r"^--format takes some of png, pdf, svg, .* got 'pfd', did you mean 'pdf'\?$"):
        parse_formats("png,pfd")
