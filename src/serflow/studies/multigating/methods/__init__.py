"""How languages share a network: a module each."""
