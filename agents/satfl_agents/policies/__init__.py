"""Trained policies: how they decide, and their files."""
