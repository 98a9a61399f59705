"""The integer program: the single source of truth; its verifier and its file."""
