"""Results of several labs: where two trees diverge, one table of them, and what may leave the house."""
