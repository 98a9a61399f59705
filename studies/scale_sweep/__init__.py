"""A blog's norm-factor curve: where its optimum lies, why an error remains, and how far it goes."""
