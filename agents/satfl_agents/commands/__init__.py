"""Subcommands of `satfl`; nothing heavy is imported before they run."""

from __future__ import annotations

from satfl_agents.commands.training import train
from satfl_agents.commands.tuning import tune

__all__ = ["train", "tune"]
