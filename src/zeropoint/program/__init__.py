"""The integer program: the single source of truth; its verifier, its coverage and its file."""
