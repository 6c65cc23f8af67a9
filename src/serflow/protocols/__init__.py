"""Who trains, who is tested, and with which classes: splits of corpora, labels, and the rows of each fit."""
