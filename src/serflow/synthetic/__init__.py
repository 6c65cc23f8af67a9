"""Stand-in corpora and noises, written in the layouts of the publishers."""
