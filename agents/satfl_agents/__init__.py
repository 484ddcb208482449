"""Training schedulers with Stable-Baselines3, and the policies that came of it: `satfl train`.

The public names are listed in `__init__.pyi`.
"""

from __future__ import annotations

from satfl_env.imports import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
