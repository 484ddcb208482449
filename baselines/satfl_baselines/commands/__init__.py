"""Subcommands of `satfl`: `compare`, `reproduce` and `list policies`. Nothing heavy is imported before they run."""
