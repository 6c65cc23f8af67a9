"""Noise-robust SER with dynamic layer customisation (Wilf and Mower Provost)."""
