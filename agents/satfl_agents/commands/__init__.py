"""Subcommands of `satfl`; nothing heavy is imported before they run."""

from __future__ import annotations

from satfl_agents.commands.training import train

__all__ = ["train"]
