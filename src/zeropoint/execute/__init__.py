"""Executors: one method wide, one file each; reference.py is the specification.

To add one, write its file and list it in engines.py.
"""
