"""zeropoint beside the other engines, in one run: `python -m benchmarks.run`.

networks/       the networks that are timed, with seeded weights and true batch-norm statistics
images.py       the inputs, for calibration and for timing
peers/          one file per engine, all with the same `prepare`
interleave.py   the timing itself: rounds in which every engine takes its turn
roofline.py     the int8 matrix-product rate of the machine, the ceiling of every engine
machine.py      what the numbers were measured on
load.py         what other programs took meanwhile
cell.py         one network with every peer, in a process of its own
summary.py      ratios between the peers and their geometric means
run.py          the command: all networks, JSON and Markdown
calibration.py  another command: the cost of `zp.quantize` itself
exactness.py    another: what every engine and exported file computes beside the reference
"""
