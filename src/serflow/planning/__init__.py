"""What a run is going to cost, why it has something to do, and how long it still takes."""
