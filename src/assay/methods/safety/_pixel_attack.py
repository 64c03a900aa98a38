"""The pixel attack on a perceiver's network: a picture changed by so little that no eye sees it, to read as a control.

Projected gradient steps on the attacker's own patch of the screen, each for places of the patch that differ by a pixel
or two, so that the picture also works where a page is laid out a little differently. The result is a PNG: what counts
is what the browser paints of it. It is for measuring defences, on pages of one's own.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ._branch_steering import ATTACKS
from ._camel_controls import KINDS, STRIDE, ControlFinder, cells, pixels_of

LARGEST = (120, 60)  # width and height in pixels of what an attacker may own
MARGIN = 64  # pixels around the patch that its cells' answers depend on
Region = tuple[int, int, int, int]  # left, top, width, height in pixels
_WHERE = """() => {
  const box = document.querySelector("[data-lure] img").getBoundingClientRect();
  return [box.left, box.top, box.width, box.height].map(Math.round);
}"""


@dataclass(frozen=True)
class PixelAttack:
    """Sign-gradient ascent on the mean log-probability that the patch's cells are of kind `towards`.

    epsilon, step   most that a channel of a pixel may change, and changes a step, of 1
    shift           pixels by which the patch is moved at random, each way, at each of `draws` draws a step
    """

    towards: str = "button"
    epsilon: float = 8 / 255
    steps: int = 40
    step: float = 1 / 255
    shift: int = 2
    draws: int = 2

    def __post_init__(self) -> None:
        if self.towards not in KINDS:
            raise ValueError(f"towards: got {self.towards!r}, wanted one of {', '.join(KINDS)}")
        if not (0 < self.step <= self.epsilon <= 1):
            raise ValueError(f"step, epsilon: got {self.step:g}, {self.epsilon:g}, wanted 0 < step <= epsilon <= 1")
        if self.steps < 1 or self.draws < 1 or self.shift < 0:
            raise ValueError(
                f"steps, draws, shift: got {self.steps}, {self.draws}, {self.shift}, wanted at least 1, 1 and 0"
            )

    def perturb(self, net: ControlFinder, screen: Tensor, region: Region, *, seed: int = 0) -> Tensor:
        """The changed patch, (3, height, width) uint8, of a screen (3, H, W) in [0, 1]; all else stays as it is.

        Raises ValueError for a region that is larger than `LARGEST` or not on the screen.
        """
        check_region(region, screen)
        left, top, width, height = region
        patch = screen[:, top : top + height, left : left + width].clone()
        around, (x, y) = _surroundings(screen, region)
        change = torch.zeros_like(patch)
        generator = torch.Generator().manual_seed(seed)
        kind = KINDS.index(self.towards)
        for _ in range(self.steps):
            change.requires_grad_(True)
            views, seen = [], []
            for dx, dy in torch.randint(-self.shift, self.shift + 1, (self.draws, 2), generator=generator).tolist():
                at = _kept_inside(x + dx, y + dy, width, height, around)
                views.append(_pasted(around, patch + change, at))
                seen.append((at[0], at[1], at[0] + width, at[1] + height))
            chances = net(torch.stack(views)).log_softmax(1)[:, kind]
            gain = sum(view[cells(box, view.shape)].mean() for view, box in zip(chances, seen))
            (slope,) = torch.autograd.grad(gain, change)
            with torch.no_grad():
                change = (change + self.step * slope.sign()).clamp(-self.epsilon, self.epsilon)
                change = (patch + change).clamp(0, 1) - patch
        return _painted(patch, change)

    def lure(
        self,
        net: ControlFinder,
        evaluate: Callable[..., object],
        screenshot: Callable[[], bytes],
        goal: str,
        *,
        seed: int = 0,
    ) -> str | None:
        """The picture for the attack "picture" on an open page, as a data URL; None where no control is called `goal`.

        Leaves the plain picture on the page.
        """
        if not ATTACKS["picture"].apply(evaluate, goal):
            return None
        left, top, width, height = evaluate(_WHERE)  # type: ignore[misc]
        return data_url(self.perturb(net, pixels_of(screenshot()), (left, top, width, height), seed=seed))


def chance(net: ControlFinder, screen: Tensor, region: Region, kind: str = "button") -> float:
    """Mean probability of a kind over a region's cells of a screen (3, H, W) in [0, 1]."""
    left, top, width, height = region
    with torch.no_grad():
        chances = net(screen[None])[0].softmax(0)[KINDS.index(kind)]
    return float(chances[cells((left, top, left + width, top + height), chances.shape)].mean())


def data_url(picture: Tensor) -> str:
    """A picture (3, height, width) uint8 as a PNG that a page can hold."""
    png = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(png, "PNG")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


def check_region(region: Sequence[int], screen: Tensor) -> None:
    """Raises ValueError unless an attacker may own this region of a screen (3, H, W)."""
    left, top, width, height = region
    rows, columns = screen.shape[-2:]
    if not (1 <= width <= LARGEST[0] and 1 <= height <= LARGEST[1]):
        raise ValueError(f"region: got {width} x {height} pixels, wanted 1 x 1 to {LARGEST[0]} x {LARGEST[1]}")
    if min(left, top) < 0 or left + width > columns or top + height > rows:
        raise ValueError(f"region: got {tuple(region)}, wanted it inside {columns} x {rows}")


def _surroundings(screen: Tensor, region: Region) -> tuple[Tensor, tuple[int, int]]:
    """As much of the screen as the patch's answers depend on, and where the patch is in it; cells stay aligned."""
    left, top, width, height = region
    x, y = (max(0, v - MARGIN) // STRIDE * STRIDE for v in (left, top))
    return screen[:, y : top + height + MARGIN, x : left + width + MARGIN], (left - x, top - y)


def _kept_inside(x: int, y: int, width: int, height: int, around: Tensor) -> tuple[int, int]:
    rows, columns = around.shape[-2:]
    return min(max(x, 0), columns - width), min(max(y, 0), rows - height)


def _pasted(around: Tensor, patch: Tensor, at: tuple[int, int]) -> Tensor:
    x, y = at
    view = around.clone()
    view[:, y : y + patch.shape[1], x : x + patch.shape[2]] = patch
    return view


def _painted(patch: Tensor, change: Tensor) -> Tensor:
    """In whole steps of 1/255, as a PNG holds them, cut towards no change so that the bound still holds."""
    whole = (255 * change + 1e-3 * change.sign()).trunc()
    return ((255 * patch).round() + whole).clamp(0, 255).byte()
