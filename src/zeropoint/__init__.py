"""zeropoint turns a trained PyTorch CNN into an integer network.

q = zp.quantize(model, loader)      # nn.Module + batches -> QuantizedModel
y = q(x)                            # runs int8 kernels
print(zp.compare(model, q, loader)) # accuracy, size, latency, coverage
q.save("model.safetensors"); q = zp.load("model.safetensors")

qat = zp.prepare_qat(model, loader) # nn.Module to train on; zp.train has methods and schedules
q = zp.convert(qat)
"""

from zeropoint import train
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
    SaturationError,
    TrainingError,
    ZeropointError,
)
from zeropoint.execute.engines import Engine, engines
from zeropoint.model import QuantizedModel, load
from zeropoint.observe.best import Best
from zeropoint.observe.entropy import Entropy
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.moving_average import MovingAverage
from zeropoint.observe.mse import MSE
from zeropoint.observe.percentile import Percentile
from zeropoint.observe.sigma import Sigma
from zeropoint.observe.statistics import Statistics
from zeropoint.pipeline import observe, quantize
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.report.analysis.analysis import Analysis, LayerAnalysis
from zeropoint.report.analysis.analyze import analyze
from zeropoint.report.analysis.finding import Change, Edit, Finding
from zeropoint.report.certificate import Certificate
from zeropoint.report.compare import Comparison, compare
from zeropoint.report.page.report import Report, report
from zeropoint.report.prove import Proof, prove
from zeropoint.report.sweep.curves import Sweep
from zeropoint.report.sweep.sweep import sweep
from zeropoint.report.sweep.tensor import Activations, Rounding, Weights
from zeropoint.report.verify import verify
from zeropoint.train.module import QuantizationAware
from zeropoint.train.prepare import convert, prepare_qat
from zeropoint.train.schedule import reestimate_batch_norm
from zeropoint.version import VERSION as __version__

__all__ = [
    "MSE",
    "Activations",
    "Analysis",
    "Best",
    "CalibrationError",
    "CaptureError",
    "Certificate",
    "Change",
    "Comparison",
    "DataError",
    "Edit",
    "Engine",
    "EngineError",
    "Entropy",
    "ExportError",
    "FileError",
    "Finding",
    "GraphError",
    "LayerAnalysis",
    "MinMax",
    "MovingAverage",
    "PerChannel",
    "PerTensor",
    "Percentile",
    "ProgramError",
    "Proof",
    "QuantizationAware",
    "QuantizedModel",
    "Recipe",
    "RecipeError",
    "Report",
    "Rounding",
    "SaturationError",
    "Sigma",
    "Statistics",
    "Sweep",
    "TensorSpec",
    "TrainingError",
    "Weights",
    "ZeropointError",
    "__version__",
    "analyze",
    "compare",
    "convert",
    "engines",
    "load",
    "observe",
    "prepare_qat",
    "prove",
    "quantize",
    "reestimate_batch_norm",
    "report",
    "sweep",
    "train",
    "verify",
]
