"""Words of utterances: how they are compared with a reference, and how they are kept."""
