"""Pretrained networks: where weights come from, how they are checked, loaded and run. One module a network."""
