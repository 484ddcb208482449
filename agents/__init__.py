"""Training schedulers with Stable-Baselines3: `python -m agents train`."""
