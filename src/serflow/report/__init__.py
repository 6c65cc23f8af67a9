"""Figures and tables beside the papers'."""
