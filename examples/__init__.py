"""Short scripts, in the order in which one would read them; the tests run them all."""
