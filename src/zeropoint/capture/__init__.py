"""nn.Module -> Graph; the only folder that knows torch.export."""

from zeropoint.capture.capture import capture

__all__ = ["capture"]
