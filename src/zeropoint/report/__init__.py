"""What it cost and what it gained: accuracy, size, latency, side by side with float."""
