"""Speed and memory, side by side with alternatives: `python -m benchmarks`."""
