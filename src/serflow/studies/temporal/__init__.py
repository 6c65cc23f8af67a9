"""Xia, Chen, Rudnicky, Stern: *Temporal Context in Speech Emotion Recognition* (Interspeech 2021)."""
