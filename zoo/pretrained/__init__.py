"""Networks whose trained weights ship inside a registry package, on real inputs, with a metric.

The packages are those of `packages.txt`, installed without their dependencies: only the weights
and one module of each are used, and some of them ask for a torch of years ago.
"""
