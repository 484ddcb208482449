"""The forms in which learners see the network and act on it."""
