"""A corpus on disk to an utterance table: one module a corpus, found by its file name."""
