"""What random networks are made of: an expression of x, and the modules that it needs.

A block is drawn for a shape (N, C, ...) or (N, ...) of what flows, and may refuse it with None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """`{m}` in an expression is the place of the modules, by number: `self.m7`."""

    expression: str
    modules: tuple[str, ...] = ()


Draw = Callable[[Random, Shape], Block | None]


def rank(shape: Shape) -> int:
    """The number of spatial dimensions."""
    return len(shape) - 2


def conv(random: Random, shape: Shape) -> Block | None:
    """A convolution of some kind."""
    if not 1 <= rank(shape) <= 3:
        return None
    channels, out = shape[1], random.choice([4, 6, 8, 16])
    kernel, stride = random.choice([1, 1, 3, 3, 2]), random.choice([1, 1, 1, 2])
    padding, dilation = random.choice([0, kernel // 2, kernel // 2]), random.choice([1, 1, 2])
    groups = random.choice([1, 1, 1, channels, 2])
    if channels % groups:
        groups = 1
    out = channels if groups == channels else out
    rest = f"{stride}, {padding}, {dilation}, {groups}, bias={random.random() < 0.8}"
    return Block("self.{m}(x)", (f"nn.Conv{rank(shape)}d({channels}, {out}, {kernel}, {rest})",))


def conv_transpose(random: Random, shape: Shape) -> Block | None:
    """A transposed convolution, of small images."""
    if not 1 <= rank(shape) <= 3 or max(shape[2:]) > 8:
        return None
    kernel, stride = random.choice([1, 2, 3, 4]), random.choice([1, 2])
    channels, out = shape[1], random.choice([4, 8])
    groups = random.choice([1, 1, 2]) if channels % 2 == 0 else 1
    rest = f"{random.choice([0, min(1, kernel - 1)])}, 0, {groups}"
    name = f"nn.ConvTranspose{rank(shape)}d"
    return Block("self.{m}(x)", (f"{name}({channels}, {out}, {kernel}, {stride}, {rest})",))


def batch_norm(random: Random, shape: Shape) -> Block | None:
    """A batch norm, behind whatever there is."""
    if not 1 <= rank(shape) <= 3:
        return None
    return Block("self.{m}(x)", (f"nn.BatchNorm{rank(shape)}d({shape[1]})",))


ACTIVATIONS = [
    "x.relu()", "F.relu6(x)", "F.silu(x)", "F.hardswish(x)", "F.gelu(x)", "x.sigmoid()", "x.tanh()",
    "F.softsign(x)", "F.leaky_relu(x, 0.1)", "F.elu(x)", "F.mish(x)", "x.clamp(-0.7, 0.9)",
    "F.softplus(x)", "x.abs()", "-x", "2 * x - 0.3", "x / 3", "x * x",
]  # fmt: skip


def activation(random: Random, shape: Shape) -> Block | None:
    """A function of each element."""
    return Block(random.choice(ACTIVATIONS))


def residual(random: Random, shape: Shape) -> Block | None:
    """A sum with a branch, which may be an island or the operand itself."""
    if not 1 <= rank(shape) <= 3:
        return None
    channels, r = shape[1], rank(shape)
    axes = tuple(range(2, r + 2))
    wide = f"nn.Conv{r}d({channels}, {channels}, 3, padding=1)"
    narrow = f"nn.Conv{r}d({channels}, {channels}, 1)"
    expressions = [
        "self.{m}(x) + x",
        "self.{m}(x).relu() + self.{n}(x)",
        "self.{m}(x) + self.{n}(x).relu()",
        "self.{m}(self.{n}(x)) + x",
        "x.relu() + self.{m}(x) + x",
        f"self.{{m}}(x) + self.{{n}}(x).mean({axes}, keepdim=True)",
        f"self.{{m}}(x) * self.{{n}}(x).mean({axes}, keepdim=True).sigmoid()",
        "self.{m}(x) - self.{n}(x)",
        "torch.maximum(self.{m}(x), self.{n}(x))",
        f"F.group_norm(self.{{m}}(x), {2 if channels % 2 == 0 else 1}) + self.{{n}}(x)",
        "self.{m}(x).flatten(2).flip(2).reshape(x.shape) + self.{n}(x)",
    ]
    return Block(random.choice(expressions), (wide, narrow))


def concat(random: Random, shape: Shape) -> Block | None:
    """Several on one grid or on their own, joined along some dimension."""
    if len(shape) < 3 or shape[1] > 24:
        return None
    axis = random.choice([1, 1, 1, -1])
    parts = random.sample(["x", "x.relu()", "x.sigmoid()", "2 * x", "x.tanh()", "x.flip(1)"], 2)
    return Block(f"torch.cat([{', '.join(parts)}], {axis})")


def pool(random: Random, shape: Shape) -> Block | None:
    """A pool that need not fit, of any image that is large enough."""
    if not 1 <= rank(shape) <= 3 or min(shape[2:]) < 2:
        return None
    kernel, stride = random.choice([2, 3]), random.choice([1, 2, 3])
    ceil = f"ceil_mode={random.random() < 0.5}"
    kind = random.choice(["max", "max", "avg"])
    padding = random.choice([0, 1]) if kernel == 3 else 0
    return Block(f"F.{kind}_pool{rank(shape)}d(x, {kernel}, {stride}, {padding}, {ceil})")


def resize(random: Random, shape: Shape) -> Block | None:
    """To another size."""
    if not 1 <= rank(shape) <= 3 or max(shape[2:]) > 8:
        return None
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank(shape)]
    factor = random.choice(["2.0", "2.0", "1.5"])
    corners = random.choice(["True", "False"])
    smooth = f"scale_factor={factor}, mode='{mode}', align_corners={corners}"
    return Block(f"F.interpolate(x, {random.choice([smooth, smooth, 'scale_factor=2.0'])})")


def move(random: Random, shape: Shape) -> Block | None:
    """The same elements elsewhere: views, reshapes, slices, paddings."""
    r = rank(shape)
    if not 1 <= r <= 3:
        return None
    several = ["x.flip(-1)", "x[:, :, 1:]", "F.pad(x, (1, 0))", "F.pad(x, (0, 1), value=0.5)"]
    several += ["x.transpose(-1, -2)", "x[..., ::2]", "x.transpose(1, 2).contiguous()"]
    if r > 1:
        several += ["x.flatten(2)", "x.flatten(1, 2)", "x.transpose(2, 3).contiguous()"]
    if shape[1] % 2 == 0:
        several += ["torch.cat(x.chunk(2, 1)[::-1], 1)", "x.chunk(2, 1)[0]", "F.glu(x, 1)"]
    if r == 2 and shape[1] % 4 == 0:
        several += ["F.pixel_shuffle(x, 2)", "F.channel_shuffle(x, 2)"]
    if r == 1:
        several += ["x.unsqueeze(2)", "x.unsqueeze(-1)"]
    return Block(random.choice(several))


def rows(random: Random, shape: Shape) -> Block | None:
    """A layer for the last dimension, or for the channels behind everything else."""
    if len(shape) < 3:
        return None
    out = random.choice([4, 8])
    if random.random() < 0.5:
        return Block(
            "self.{m}(x.movedim(1, -1)).movedim(-1, 1)", (f"nn.Linear({shape[1]}, {out})",)
        )
    if len(shape) > 3 or shape[-1] > 32:
        return None
    return Block("self.{m}(x)", (f"nn.Linear({shape[-1]}, {out})",))


def island(random: Random, shape: Shape) -> Block | None:
    """What stays in float."""
    if not 1 <= rank(shape) <= 3:
        return None
    groups = 2 if shape[1] % 2 == 0 else 1
    several = [
        (f"F.group_norm(x, {groups})", ()),
        ("self.{m}(x.movedim(1, -1)).movedim(-1, 1)", (f"nn.LayerNorm({shape[1]})",)),
        ("x.softmax(1) * x", ()),
        ("torch.sin(x)", ()),
        ("x.cumsum(1) * 0.2", ()),
        ("F.normalize(x, dim=1)", ()),
    ]
    return Block(*random.choice(several))


def matrices(random: Random, shape: Shape) -> Block | None:
    """Every element by every other: attention without a layer."""
    if rank(shape) not in (1, 2) or shape[1] * shape[2] > 512:
        return None
    product = "torch.matmul(x, x.transpose(-1, -2) * 0.3).sigmoid()"
    return Block(f"torch.matmul({product}, x)")


def head(random: Random, shape: Shape) -> Block | None:
    """The end of a network."""
    if not 1 <= rank(shape) <= 3:
        return None
    axes = tuple(range(2, len(shape)))
    several = [
        (f"self.{{m}}(x.mean({axes}))", (f"nn.Linear({shape[1]}, 5)",)),
        (f"x.amax({axes})", ()),
        ("x", ()),
        ("x.flatten(1)", ()),
        ("self.{m}(x)", (f"nn.Conv{rank(shape)}d({shape[1]}, 3, 1)",)),
    ]
    return Block(*random.choice(several))


BLOCKS: tuple[Draw, ...] = (
    conv, conv, conv, conv, conv, conv_transpose, batch_norm, activation, activation, activation,
    residual, residual, residual, concat, pool, pool, resize, move, move, rows, island, matrices,
)  # fmt: skip
