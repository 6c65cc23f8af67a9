"""Batching, the fit loop, early stopping, metrics, seeds and checkpoints."""
