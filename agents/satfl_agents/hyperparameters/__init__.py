"""The hyperparameters of the algorithms: what there is, a YAML file for each algorithm, and how they are read."""
