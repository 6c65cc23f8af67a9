"""Ha: *Speech Emotion Recognition via multi-task learning with speaker normalization* (report, Korea University)."""
