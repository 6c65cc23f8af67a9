"""What a score owes to a leak of its protocol: the paper's own way beside one without it, and the difference."""
