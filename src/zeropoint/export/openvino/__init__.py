"""OpenVINO IR: model.xml with its model.bin, as NNCF would write it, from the program.

    x --> FakeQuantize --> Convolution(Constant i8 -> Convert -> Multiply) --> Add --> FakeQuantize

FakeQuantize with the ends of a grid as its bounds is that grid's rounding; the CPU plugin turns the
whole into int8 kernels. A value is rounded once, however many operators read it.
"""

from zeropoint.export.openvino.writing import FORMAT, to_openvino

__all__ = ["FORMAT", "to_openvino"]
