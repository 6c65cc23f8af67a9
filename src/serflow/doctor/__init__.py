"""What is wrong with the data, the weights and the machine, and what is missing, told before a run."""
