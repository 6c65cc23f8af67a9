"""The rows of Table I: one module a method, found by its file name."""
