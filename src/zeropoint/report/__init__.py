"""What was done and what it cost: coverage, size, speed, accuracy."""
