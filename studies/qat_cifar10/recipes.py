"""The article's two schemes, and widths from 8 bits down.

    symmetric     weights in [-m, m] per channel; activations in [0, m] behind a ReLU
    asymmetric    weights in [min, max] per channel, activations in [min, max]

Activations are all behind ReLUs here, so the schemes differ in the weights and in the image. At
fewer than 8 bits the image, the first and the last layer keep 8, as is usual.
"""

import zeropoint as zp

IMAGE = "x"
FIRST, LAST, POOL = "body.0", "body.26", "body.29"


def recipe(bits: int, *, symmetric: bool) -> zp.Recipe:
    """Weights and activations of so many bits; asymmetric weights need engine="reference"."""
    narrow, wide = _recipe(bits, symmetric), _recipe(8, symmetric)
    if bits == 8:
        return wide
    first = zp.Recipe(wide.weights, narrow.activations)
    return zp.Recipe(
        narrow.weights,
        narrow.activations,
        overrides={IMAGE: wide, FIRST: first, LAST: wide, POOL: wide},
    )


def _recipe(bits: int, symmetric: bool) -> zp.Recipe:
    calibrator = zp.MinMax() if bits == 8 else zp.MSE()
    return zp.Recipe(
        weights=zp.TensorSpec(bits, symmetric, zp.PerChannel(), calibrator),
        activations=zp.TensorSpec(bits, symmetric),
    )
