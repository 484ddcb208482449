"""SemSpaceFL's tables and figures: the printed numbers, the scene without training, and the trained comparison."""
