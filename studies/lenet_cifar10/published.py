"""The numbers of the report, as printed."""

ACCURACY = {
    "plain": {"float": "60.88", "weights": "60.9", "integer": "60.92"},
    "biased": {"float": "60.88", "weights": "57.07", "integer": "60.9"},
}

WEIGHTS = {
    "conv1": ((-0.6182, 0.5482), (-0.5282, 0.5327)),
    "conv2": ((-0.3643, 0.4440), (-0.3343, 0.3052)),
    "fc1": ((-0.1489, 0.1432), (-0.0728, 0.0701)),
    "fc2": ((-0.2099, 0.2348), (-0.1491, 0.1513)),
    "fc3": ((-0.5104, 0.5138), (-0.4914, 0.4905)),
}
"""The actual range and that of three sigmas."""

ACTIVATIONS = {
    "input": ((-1.0, 1.0), (-1.5247, 1.4301)),
    "conv1": ((0.0, 6.7950), (-1.5456, 2.4861)),
    "conv2": ((0.0, 11.1239), (-1.7026, 2.4098)),
    "fc1": ((0.0, 11.1450), (1.5848, 2.1411)),
    "fc2": ((0.0, 7.7190), (1.9397, 2.8915)),
    "fc3": ((-8.8538, 13.0640), (-8.2897, 8.2521)),
}
"""The same. The lower ends of fc1 and fc2 have surely lost their minus signs."""
