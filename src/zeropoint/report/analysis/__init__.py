"""Where a network loses accuracy: every layer's error taken apart, and its effect measured."""
