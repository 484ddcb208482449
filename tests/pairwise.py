"""Few choices that hold every pair of options: a covering array of strength two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

Choice = dict[str, str]
Pair = frozenset[tuple[str, str]]


def pairs_of(choice: Mapping[str, str]) -> set[Pair]:
    """Every two of the options that are chosen together."""
    return {frozenset(pair) for pair in combinations(choice.items(), 2)}


def all_pairs(factors: Mapping[str, Sequence[str]], meet: Callable[[Choice], bool]) -> set[Pair]:
    """Every two options of two factors that can be chosen together."""
    options = [(factor, option) for factor, some in factors.items() for option in some]
    pairs = combinations(options, 2)
    return {frozenset(pair) for pair in pairs if pair[0][0] != pair[1][0] and meet(dict(pair))}


def covering(factors: Mapping[str, Sequence[str]], meet: Callable[[Choice], bool]) -> list[Choice]:
    """Choices of one option for each factor that hold every pair, found greedily (D. M. Cohen et al., AETG, 1997).

    Args:
        factors: Options by factor; the first one of each meets all others.
        meet: Whether some options can be chosen together.
    """
    missing, choices = all_pairs(factors, meet), []
    while missing:
        choice: Choice = dict(min(missing, key=sorted))
        for factor in sorted(factors, key=lambda name: -len(factors[name])):
            if factor in choice:
                continue
            fitting = [{**choice, factor: option} for option in factors[factor]]
            choice = max(filter(meet, fitting), key=lambda it: len(pairs_of(it) & missing))
        missing -= pairs_of(choice)
        choices.append({factor: choice[factor] for factor in factors})
    return choices


def spread(choices: Sequence[Choice]) -> list[Choice]:
    """Some of the choices that hold every option of all of them, found greedily."""
    missing, few = {option for choice in choices for option in choice.items()}, []
    while missing:
        few.append(max(choices, key=lambda choice: len(missing & choice.items())))
        missing -= few[-1].items()
    return few
