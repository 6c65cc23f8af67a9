"""The systems, by the names that ``config.yaml`` gives them."""
