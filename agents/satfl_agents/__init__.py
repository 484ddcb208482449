"""Training schedulers with Stable-Baselines3: `python -m satfl_agents train`."""
