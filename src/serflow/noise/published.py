"""Facts of ESC-50 (Piczak, ACM Multimedia 2015) that need no data: counts, groups, licence, files."""

GROUPS = {1: "natural", 2: "human", 3: "interior"}
PUBLISHED_CLIPS = 2000
PUBLISHED_CLASSES = 50
PUBLISHED_PER_CLASS = 40
PUBLISHED_PER_GROUP = 10 * PUBLISHED_PER_CLASS
ADDRESS = "https://github.com/karolpiczak/ESC-50"
LICENCE = "CC BY-NC 3.0"
READS = ("meta/esc50.csv", "audio/*.wav", "audio/*.flac")
"""Patterns of the files that are read (`serflow.state.stamps`)."""
