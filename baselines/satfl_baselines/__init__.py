"""The papers' scheduling rules as reference policies, and their comparison.

A policy is a function from a `NetworkState` to a `Decision`, composed of four rules: association, frequency,
clustering and aggregation, each in the module of that name. The public names are listed in `__init__.pyi`.
"""

from __future__ import annotations

from satfl_env.imports import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
