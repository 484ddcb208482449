"""Training schedulers with Stable-Baselines3: `satfl train`."""
