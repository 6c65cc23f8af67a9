"""What trainings leave behind, and what is read from it."""
