"""Whether tables of scores are fit to be read: what is missing, failed, at chance, out of bounds, too small to tell."""
