"""Winograd's convolutions: a network's outputs in less time, on a processor.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. An image is cut into
tiles that overlap; each tile and the kernel are transformed, multiplied point by point, and
transformed back. With tiles of 10 x 10, a 5 x 5 convolution needs 100 multiplications for 36
outputs instead of 900. Between the transforms, each point is a product of matrices, channels in by
channels out, for all tiles at once.

The transforms are those of Toom and Cook: a kernel and an image are polynomials, whose product is
known from its values at some points, one of them infinity. The values grow with the points' powers,
and roundings with them: :data:`POINTS` were chosen for small errors. Taught in chapter 05.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import TypeGuard, cast

import torch
from torch import nn

from .srn import ResBlock

__all__ = ["WinogradBlocks", "WinogradConv", "lighten", "suits", "transforms"]

OUTPUTS = 6  # side of what a tile gives, pixels
#: side of the kernel -> the finite points, for OUTPUTS outputs. Those for 5 are 0 and two numbers
#: with their opposites and inverses: of all with numerators and denominators below 8, the two whose
#: error in float32 is least.
POINTS = {
    5: (0, 5 / 4, -5 / 4, 4 / 5, -4 / 5, 5 / 2, -5 / 2, 2 / 5, -2 / 5),
    3: (0, 1, -1, 2, -2, 1 / 2, -1 / 2),
}
LEAST = 16  # channels, in and out: with fewer, the transforms take longer than the products
LARGE = 100 * 100  # pixels of an image: in smaller ones, a whole network takes longer
#: Bytes of transformed tiles that are worked on at a time, for each thread, to stay in a cache.
STRIP = 3 * 2**20


def transforms(
    outputs: int, points: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The matrices of a one-dimensional minimal filtering, ``F(outputs, taps)``.

    For an input ``d`` of ``n = outputs + taps - 1`` values and a kernel ``g``, what ``g`` gives
    (correlation, as ``conv2d`` computes) is ``A @ ((G @ g) * (B @ d))``.

    Args:
        outputs: values that come out.
        points: ``n - 1`` different numbers; infinity is added.

    Returns:
        ``A`` ``(outputs, n)``, ``G`` ``(n, taps)`` and ``B`` ``(n, n)``, float64.
    """
    p = torch.tensor(points, dtype=torch.float64)
    n = len(p) + 1
    taps = n + 1 - outputs
    at_infinity = torch.zeros(n, dtype=torch.float64)
    at_infinity[-1] = 1
    A = torch.cat([p ** torch.arange(outputs)[:, None], at_infinity[-outputs:, None]], 1)
    G = torch.cat([p[:, None] ** torch.arange(taps), at_infinity[None, -taps:]])
    B = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n - 1):
        others = torch.cat([p[:i], p[i + 1 :]])
        G[i] /= (p[i] - others).prod()
        B[i, :-1] = _polynomial(others)
    B[-1] = _polynomial(p)
    return A, G, B


def _polynomial(roots: torch.Tensor) -> torch.Tensor:
    """Coefficients of the product of all ``x - root``, the constant one first."""
    found = torch.ones(1, dtype=torch.float64)
    for root in roots:
        longer = torch.zeros(len(found) + 1, dtype=torch.float64)
        longer[1:] += found
        longer[:-1] -= root * found
        found = longer
    return found


class WinogradConv(nn.Module):
    """What a convolution gives, but for roundings; without gradients, on a processor, in float32.

    Args:
        conv: see :func:`suits`. Its weights are transformed once, in float64.
    """

    weight: torch.Tensor  # n, n; channels in, out
    bias: torch.Tensor | None
    A: torch.Tensor
    B: torch.Tensor

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        A, G, B = transforms(OUTPUTS, POINTS[conv.kernel_size[0]])
        taps = conv.weight.detach().permute(2, 3, 1, 0).double()
        weight = torch.kron(G, G) @ taps.flatten(0, 1).flatten(1)
        self.register_buffer("weight", weight.float().view(*B.shape, *taps.shape[2:]))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach())
        self.register_buffer("A", A.float())
        self.register_buffer("B", B.float())
        self.around = int(conv.padding[0])

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``x`` ``(B, C, H, W)``; ``(B, C_out, H, W)``, the channels last in memory."""
        return _seen(self.convolve(x.movedim(1, -1)), x.shape[-2:])

    def convolve(
        self,
        x: torch.Tensor,
        out: torch.Tensor | None = None,
        add: torch.Tensor | None = None,
        relu: bool = False,
    ) -> torch.Tensor:
        """Convolve ``x`` ``(B, H, W, C)``, then add ``add``, or cut off what is negative.

        Args:
            out: where to, of the shape that is returned; also ``add`` itself, but not ``x``.
            add: of the shape that is returned.

        Returns:
            ``(B, H', W', C_out)``, the sides whole tiles; what is beyond H and W is of no use.
        """
        m = OUTPUTS
        height, width = x.shape[1:3]
        down, across = -(-height // m), -(-width // m)  # tiles
        if out is None:
            out = x.new_empty(len(x), down * m, across * m, self.weight.shape[-1])
        strip = _Strip(self, down, width)
        for i, image in enumerate(x):
            strip.begin(image)
            for top in range(0, down, strip.tiles):
                tiles = min(strip.tiles, down - top)
                y = strip.convolve(image, top)[:tiles, :, :across]
                rows = slice(m * top, m * (top + tiles))
                target = out[i, rows].view(y.shape)
                if add is not None:
                    torch.add(y, add[i, rows].view(y.shape), out=target)
                elif relu:
                    torch.clamp_min(y, 0, out=target)
                else:
                    target.copy_(y)
        return out


def _seen(out: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Of what :meth:`WinogradConv.convolve` returns, the image, ``(B, C, H, W)``."""
    return out[:, : size[0], : size[1]].movedim(-1, 1)


class _Strip:
    """The working memory of a convolution: some rows of tiles, from the input to the output.

    Of the axes, ``k`` and ``l`` count the points down and across, of ``n`` each; ``t`` the tiles
    of the strip, row by row, with one of no use at the end of each row.
    """

    def __init__(self, conv: WinogradConv, down: int, width: int):
        weight = self.weight = conv.weight
        m, n, channels, filters = OUTPUTS, *weight.shape[1:]
        across = -(-width // m) + 1
        one_row = 4 * n * n * max(channels, filters) * across
        fitting = max(1, STRIP * torch.get_num_threads() // one_row)
        strips = -(-down // fitting)
        self.tiles = -(-down // strips)  # rows of them
        self.A, self.B, self.around, self.width = conv.A, conv.B, conv.around, width
        self.columns, t = m * across, self.tiles * across
        rows = m * self.tiles
        self.padded = weight.new_zeros(rows * self.columns + n - m, channels)
        self.lines = weight.new_empty((rows + n - m) * across, n, channels)  # row, j; l
        self.inputs = weight.new_empty(n, t, n, channels)  # k, t, l
        self.products = weight.new_empty(n, n, t * filters)  # k, l, t
        self.half = weight.new_empty(n, m, t * filters)  # k, column, t
        self.outputs = weight.new_empty(m, m, self.tiles, across, filters)  # row, column, t
        self.bias = None if conv.bias is None else conv.bias.repeat(m * t)

    def begin(self, image: torch.Tensor) -> None:
        """Transform the rows of ``image`` ``(H, W, C)`` that the first strip begins with."""
        self._transform(image, -self.around, 0, 2 * self.around)

    def convolve(self, image: torch.Tensor, top: int) -> torch.Tensor:
        """The strip whose first row of tiles is ``top``: ``(tiles, m, tiles across, m, C)``.

        The strip before it, or :meth:`begin`, has left the transformed rows that both need.
        """
        m, n, filters = OUTPUTS, *self.weight.shape[1::2]
        rows, shared = m * self.tiles, n - m
        lines = self.lines.view(rows + shared, -1)
        if top:
            lines[:shared] = lines[rows:]
        self._transform(image, m * top + self.around, shared, rows)
        by_row = self.inputs.view(n, self.tiles, -1)
        for i in range(self.tiles):
            torch.mm(self.B, lines[m * i : m * i + n], out=by_row[:, i])
        for k in range(n):
            products = self.products[k].view(n, -1, filters)
            torch.bmm(self.inputs[k].transpose(0, 1), self.weight[k], out=products)
        torch.bmm(self.A.expand(n, m, n), self.products, out=self.half)
        half, outputs = self.half.view(n, -1), self.outputs.view(m, -1)
        if self.bias is None:
            torch.mm(self.A, half, out=outputs)
        else:
            torch.addmm(self.bias, self.A, half, out=outputs)
        return self.outputs.permute(2, 0, 3, 1, 4)

    def _transform(self, image: torch.Tensor, first: int, to: int, count: int) -> None:
        """Transform ``count`` rows of the image across, from ``first``, which may be outside."""
        n, channels = self.weight.shape[1:3]
        padded = self.padded[: count * self.columns].view(count, self.columns, channels)
        above = min(max(-first, 0), count)
        below = min(max(len(image) - first, above), count)
        padded[:above] = 0
        padded[below:] = 0
        inside = slice(self.around, self.around + self.width)
        padded[above:below, inside] = image[first + above : first + below]
        across = self.columns // OUTPUTS
        tiles = self.padded.as_strided(
            (count * across, n, channels), (OUTPUTS * channels, channels, 1)
        )
        lines = self.lines[to * across : (to + count) * across]
        torch.bmm(self.B.expand(len(tiles), n, n), tiles, out=lines)


class WinogradBlocks(nn.Module):
    """What blocks (:class:`~deblurlib.models.srn.ResBlock`) in a row give, but for roundings.

    They share two stretches of memory, for it takes long to be given new ones.
    """

    def __init__(self, blocks: Sequence[ResBlock]):
        super().__init__()
        pairs = ([WinogradConv(block.first), WinogradConv(block.second)] for block in blocks)
        self.convs = nn.ModuleList(chain.from_iterable(pairs))

    @torch.no_grad()
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """``z`` ``(B, C, H, W)`` is left as it is."""
        size = z.shape[-2:]
        z = z.movedim(1, -1)
        hidden = result = None
        convs = cast(list[WinogradConv], list(self.convs))
        for first, second in zip(convs[::2], convs[1::2], strict=True):
            hidden = first.convolve(z, hidden, relu=True)
            if result is None:
                result = torch.zeros_like(hidden)
                result[:, : size[0], : size[1]] = z
            second.convolve(hidden[:, : size[0], : size[1]], result, add=result)
            z = result[:, : size[0], : size[1]]
        return z.movedim(-1, 1)


def suits(conv: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a layer is a convolution that :class:`WinogradConv` replaces, and quickens."""
    if not isinstance(conv, nn.Conv2d) or isinstance(conv.padding, str):
        return False
    side = conv.kernel_size[0]
    return (
        side in POINTS
        and (conv.kernel_size, conv.padding) == ((side, side), (side // 2, side // 2))
        and (conv.stride, conv.dilation, conv.groups) == ((1, 1), (1, 1), 1)
        and conv.padding_mode == "zeros"
        and min(conv.in_channels, conv.out_channels) >= LEAST
        and (conv.weight.device.type, conv.weight.dtype) == ("cpu", torch.float32)
    )


@lru_cache(maxsize=8)
def lighten(model: nn.Module) -> nn.Module:
    """A copy of a network on a processor that restores the same, but for roundings, in less time.

    It has the other layers' weights in common with the model, and takes no part in a training: what
    becomes of the model's weights later, it does not see. Who asks twice gets the same copy. Its
    transformed weights need four times the memory of those they come from, or seven (3 x 3).

    Args:
        model: its convolutions that :func:`suits` allows are replaced; on a GPU none is.
    """
    own = chain(model.parameters(), model.buffers())
    light = copy.deepcopy(model, {id(tensor): tensor for tensor in own})
    for parent in list(light.modules()):
        if isinstance(parent, nn.Sequential):
            _join_blocks(parent)
    for parent in list(light.modules()):
        for name, layer in list(parent.named_children()):
            if suits(layer):
                setattr(parent, name, WinogradConv(layer))
    return light


def _join_blocks(layers: nn.Sequential) -> None:
    """Replace residual blocks that stand one after the other, all at once."""
    joined: list[nn.Module] = []
    blocks: list[ResBlock] = []
    for layer in [*layers, None]:
        if isinstance(layer, ResBlock) and suits(layer.first) and suits(layer.second):
            blocks.append(layer)
            continue
        joined += [WinogradBlocks(blocks)] if blocks else []
        joined += [] if layer is None else [layer]
        blocks = []
    del layers[:]
    layers.extend(joined)
