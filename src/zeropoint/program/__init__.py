"""The integer program: the single source of truth about what is computed; its verifier and its file."""
