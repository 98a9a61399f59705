"""The one graph type: SSA values and nodes; verify, text, rewrite, walk."""
