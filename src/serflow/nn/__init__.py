"""Layers used by more than one study."""
