"""Random networks, compared call by call with the reference on every engine that is installed."""
