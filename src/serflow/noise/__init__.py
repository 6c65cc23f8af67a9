"""ESC-50 groups, noise profiles, and the plan of which clip goes where at what level."""
