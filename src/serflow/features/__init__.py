"""Waveform to frames or to a vector: one module a feature, found by its file name."""
