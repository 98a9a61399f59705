"""Every exception of the package, in one tree.

    ZeropointError
     ├─ CaptureError       the model cannot be turned into a graph
     ├─ GraphError         a graph is malformed (a bug in a pass, or a text that does not parse)
     ├─ RecipeError        the wish contradicts the model or the machine
     ├─ CalibrationError   the data cannot calibrate the model
     ├─ TrainingError      a checkpoint does not fit, or training is not finite
     ├─ ProgramError       an integer program breaks its own rules
     ├─ EngineError        no kernels here for what is asked
     │   └─ SaturationError   the kernels are here, but on this CPU they would compute nonsense
     ├─ ExportError        a format cannot carry the program, or its library is missing
     ├─ FileError          a file is missing, damaged, foreign or cannot be written
     └─ DataError          a dataset named on the command line cannot be read

Each message names the layer or value, what was found, what was expected, and what to do.
"""


class ZeropointError(Exception):
    """Root of all errors that zeropoint raises on purpose."""


class CaptureError(ZeropointError):
    """The model cannot be captured as a graph."""


class GraphError(ZeropointError):
    """A graph is malformed."""


class RecipeError(ZeropointError):
    """The recipe contradicts the model, or asks for what the engine cannot run."""


class CalibrationError(ZeropointError):
    """The calibration data are unusable, or the model is not finite on them."""


class TrainingError(ZeropointError):
    """A checkpoint belongs to another recipe, or a value in training is not finite."""


class ProgramError(ZeropointError):
    """A program is not the integer program it claims to be."""


class EngineError(ZeropointError):
    """An engine is missing, or cannot run this program."""


class SaturationError(EngineError):
    """On this CPU the engine's sums of products would saturate."""


class ExportError(ZeropointError):
    """A format cannot carry the program, or the library that writes it is missing."""


class FileError(ZeropointError):
    """A file is missing, damaged, foreign, or cannot be written."""


class DataError(ZeropointError):
    """A dataset cannot be found or read."""
