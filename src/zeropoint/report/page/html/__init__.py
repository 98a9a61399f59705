"""The report as one HTML page: a template, a style sheet and scripts, joined into one file."""
