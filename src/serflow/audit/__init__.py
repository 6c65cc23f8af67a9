"""What the sets of a fit have in common, and what else a score may owe to what it should not know."""
