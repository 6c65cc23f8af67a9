"""What there is to say of each kind of artefact. Big files are read a row group at a time."""
