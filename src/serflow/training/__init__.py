"""The loop that trains, its batches, optimizers, seeds and checkpoints; metrics and evaluation."""
