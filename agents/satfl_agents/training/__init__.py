"""Training: what a run learns, how it is judged and kept, and the search for hyperparameters."""
