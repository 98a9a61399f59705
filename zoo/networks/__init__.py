"""Definitions written here, one file a family; each file lists its own in `NETWORKS`."""
