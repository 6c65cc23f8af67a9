"""What a paper's text says of its tables, as assertions over ours, and how they come out."""
