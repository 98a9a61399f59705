"""zeropoint turns a trained PyTorch CNN into an integer network.

q = zp.quantize(model, loader)      # nn.Module + batches -> QuantizedModel
y = q(x)                            # runs int8 kernels
print(zp.compare(model, q, loader)) # accuracy, size, latency, coverage
q.save("model.safetensors"); q = zp.load("model.safetensors")
"""

from zeropoint.arithmetic.granularity import PerChannel, PerTensor
from zeropoint.errors import (
    CalibrationError,
    CaptureError,
    DataError,
    EngineError,
    ExportError,
    FileError,
    GraphError,
    ProgramError,
    RecipeError,
    ZeropointError,
)
from zeropoint.execute.engines import Engine, engines
from zeropoint.model import QuantizedModel, load
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE
from zeropoint.pipeline import quantize
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.report.certificate import Certificate
from zeropoint.report.compare import Comparison, compare
from zeropoint.report.prove import Proof, prove
from zeropoint.report.verify import verify
from zeropoint.version import VERSION as __version__

__all__ = [
    "MSE",
    "CalibrationError",
    "CaptureError",
    "Certificate",
    "Comparison",
    "DataError",
    "Engine",
    "EngineError",
    "ExportError",
    "FileError",
    "GraphError",
    "MinMax",
    "PerChannel",
    "PerTensor",
    "ProgramError",
    "Proof",
    "QuantizedModel",
    "Recipe",
    "RecipeError",
    "TensorSpec",
    "ZeropointError",
    "__version__",
    "compare",
    "engines",
    "load",
    "prove",
    "quantize",
    "verify",
]
