"""How fast it all is, side by side with what else one could use: `python -m benchmarks`."""
