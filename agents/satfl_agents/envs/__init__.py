"""Environments in the form that Stable-Baselines3 takes, and records of their episodes."""
