"""Pages of made-up controls, rendered in a browser, and the small network that learns from them what a control is.

No page here is of any application: words, colours, sizes and places are drawn anew, so that what the network knows of
a page that it is shown later it knows from paint alone.
"""

from __future__ import annotations

import html
import io
import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

if TYPE_CHECKING:
    from playwright.sync_api import Page

KINDS = ("nothing", "button", "link", "field", "choice", "checkbox", "checked")
STRIDE = 4  # pixels of the screen in one cell of the network's answer
SHEET = (480, 360)  # width and height of a page to learn from
SHEETS, EPOCHS, BATCH, RATE = 64, 10, 4, 5e-3
_WORDS = """
red blue open close north south river stone paper glass apple pear bread late early first last price order note group
photo music garden window winter summer total share record folder status account letter number street team visit level
plan draft store green light heavy short copy print round table train lamp cloud paint sound
"""
_FONTS = ("DejaVu Sans", "DejaVu Serif", "Liberation Sans", "Liberation Serif", "sans-serif", "monospace")
_BOXES = """() => [...document.querySelectorAll("[data-kind]")].map((e) => {
  let boxes = [e.getBoundingClientRect()];
  if (e.dataset.kind === "link") {
    const words = document.createRange();
    words.selectNodeContents(e);
    boxes = [...words.getClientRects()];
  }
  const kind = e.dataset.kind === "checkbox" && e.checked ? "checked" : e.dataset.kind;
  return boxes.map((box) => [kind, box.left, box.top, box.right, box.bottom]);
}).flat()"""


class Sheets(NamedTuple):
    """Rendered pages: `pixels` (N, 3, H, W) uint8, and what each cell shows, `kinds` (N, H / 4, W / 4) uint8."""

    pixels: NDArray[np.uint8]
    kinds: NDArray[np.uint8]


class ControlFinder(nn.Module):
    """Says of every 4 x 4 pixels of a screen which of `KINDS` they belong to. 39,000 parameters, all convolutions.

    Pictures are (B, 3, H, W) in [0, 1]; the answer is logits, (B, 7, H / 4, W / 4), rounded up.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        half = width // 2
        self.stem = nn.Sequential(
            *_layer(3, half, stride=2), *_layer(half, width - 8, stride=2), *_layer(width - 8, width)
        )
        self.wider = nn.ModuleList([nn.Sequential(*_layer(width, width, dilation=2**i)) for i in (1, 2, 3)])
        self.head = nn.Conv2d(width, len(KINDS), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        found = self.stem(2 * pictures - 1)
        for layer in self.wider:
            found = found + layer(found)
        answer: Tensor = self.head(found)
        return answer


def _layer(before: int, after: int, *, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU()]


def pixels_of(png: bytes) -> Tensor:
    """A PNG as (3, H, W) in [0, 1]."""
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255


def cells(box: Sequence[float], shape: Sequence[int]) -> tuple[slice, slice]:
    """The cells of the network's answer, (..., rows, columns), that a box (left, top, right, bottom) of pixels covers;
    at least one."""
    rows, columns = shape[-2:]
    left, top = min(max(int(box[0]) // STRIDE, 0), columns - 1), min(max(int(box[1]) // STRIDE, 0), rows - 1)
    right, bottom = (math.ceil(v / STRIDE) for v in box[2:])
    return slice(top, max(top + 1, bottom)), slice(left, max(left + 1, right))


def render_sheets(page: Page, count: int = SHEETS, seed: int = 0) -> Sheets:
    """Draw `count` pages of controls and have the browser paint them. Changes the page's content and size."""
    if count < 1:
        raise ValueError(f"count: got {count}, wanted at least 1")
    width, height = SHEET
    page.set_viewport_size({"width": width, "height": height})
    pixels = np.zeros((count, 3, height, width), np.uint8)
    kinds = np.zeros((count, height // STRIDE, width // STRIDE), np.uint8)
    middle = np.arange(max(SHEET) // STRIDE) * STRIDE + STRIDE / 2
    for i in range(count):
        page.set_content(sheet(random.Random(f"{seed}:{i}")))
        pixels[i] = (255 * pixels_of(page.screenshot())).round().byte().numpy()
        for kind, left, top, right, bottom in page.evaluate(_BOXES):
            columns = (left <= middle[: width // STRIDE]) & (middle[: width // STRIDE] < right)
            rows = (top <= middle[: height // STRIDE]) & (middle[: height // STRIDE] < bottom)
            kinds[i][np.ix_(rows, columns)] = KINDS.index(kind)
    return Sheets(pixels, kinds)


def train_controls(sheets: Sheets, seed: int = 0) -> ControlFinder:
    """A network that tells the sheets' kinds, by cross-entropy in which each kind weighs the root of its rarity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ControlFinder()
    generator = torch.Generator().manual_seed(seed)
    pixels, kinds = torch.from_numpy(sheets.pixels), torch.from_numpy(sheets.kinds).long()
    share = torch.bincount(kinds.flatten(), minlength=len(KINDS)).clamp(min=1) / kinds.numel()
    weigh = nn.CrossEntropyLoss(share.rsqrt() / share.sqrt().sum())
    steps = EPOCHS * -(-len(pixels) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(pixels), generator=generator).split(BATCH):
            loss = weigh(net(pixels[rows].float() / 255), kinds[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval().requires_grad_(False)


# --- one page -------------------------------------------------------------------------------------------------------


def sheet(rng: random.Random) -> str:
    """The HTML of one page: a head, and blocks of controls and of what is none, in an order drawn from `rng`."""
    makers = [_text, _text, _buttons, _buttons, _links, _field, _field, _choice, _tick, _tick, _table, _picture, _quote]
    blocks = [make(rng) for make in rng.sample(makers, len(makers))]
    size, font = rng.choice((12, 13, 13, 14, 15)), rng.choice(_FONTS)
    paper = rng.choice(("#fff", "#fff", "#fafafa", "#f2f5f8", "#fffdf5"))
    return f"""<body style="margin:0;background:{paper};color:{_dark(rng)};font:{size}px/1.35 '{font}'">
<style>button,input,select{{font:inherit;{_button_style(rng)}}} input,select{{background:#fff}}
button{{margin:{rng.randint(0, 3)}px 2px}}</style>
<div style="background:{_dark(rng)};color:#fff;padding:6px 10px"><b>{_words(rng)}</b> {_button(rng)}</div>
<div style="padding:{rng.randint(2, 14)}px {rng.randint(4, 60)}px">{"".join(blocks)}</div>"""


def _words(rng: random.Random, most: int = 3) -> str:
    return " ".join(rng.sample(_WORDS.split(), rng.randint(1, most))).capitalize()


def _dark(rng: random.Random) -> str:
    return "#" + "".join(f"{rng.randint(0x10, 0x60):02x}" for _ in range(3))


def _pale(rng: random.Random) -> str:
    return "#" + "".join(f"{rng.randint(0xDA, 0xFF):02x}" for _ in range(3))


def _button_style(rng: random.Random) -> str:
    edge = rng.choice(("1px solid #8493a5", "1px solid #666", "1px solid #bbb", "2px solid #789"))
    room = f"padding:{rng.randint(1, 4)}px {rng.randint(5, 10)}px"
    return f"border:{edge};border-radius:{rng.choice((0, 3, 4, 8))}px;{room};background:{_pale(rng)};color:#1c2430"


def _button(rng: random.Random) -> str:
    return f'<button data-kind="button">{_words(rng, 2)}</button>'


def _buttons(rng: random.Random) -> str:
    return f"<div>{''.join(_button(rng) for _ in range(rng.randint(1, 3)))}</div>"


def _links(rng: random.Random) -> str:
    colour, display = rng.choice(("#17446f", "#00e", "#532f68", "#713f12")), rng.choice(("inline-block", "block"))
    style = f"color:{colour};padding:2px 6px;display:{display}"
    made = "".join(f'<a href="#" data-kind="link" style="{style}">{_words(rng, 2)}</a> ' for _ in range(3))
    return f'<div style="background:{rng.choice(("none", _pale(rng)))}">{made}</div>'


def _labelled(rng: random.Random, control: str) -> str:
    width = rng.choice((60, 90, 120))
    return f'<div><span style="display:inline-block;min-width:{width}px">{_words(rng)}</span>{control}</div>'


def _field(rng: random.Random) -> str:
    value = rng.choice(("", "", _words(rng)))
    return _labelled(rng, f'<input data-kind="field" value="{value}" size="{rng.randint(8, 20)}">')


def _choice(rng: random.Random) -> str:
    return _labelled(rng, f'<select data-kind="choice"><option>{rng.choice(("…", _words(rng)))}</option></select>')


def _tick(rng: random.Random) -> str:
    return _labelled(rng, f'<input type="checkbox" data-kind="checkbox" {rng.choice(("", "checked"))}>')


def _text(rng: random.Random) -> str:
    tag = rng.choice(("p", "p", "h3", "span"))
    return f'<{tag} style="margin:4px 0">{" ".join(_words(rng) for _ in range(rng.randint(1, 3)))}.</{tag}>'


def _table(rng: random.Random) -> str:
    edge = "border-bottom:1px solid #dde3ea;padding:3px 6px"
    rows = [f'<td style="{edge}">{_words(rng)}<td style="{edge}">{rng.randint(1, 99)}' for _ in range(2)]
    return f'<table style="width:{rng.randint(50, 100)}%">{"".join(f"<tr>{row}" for row in rows)}</table>'


def _quote(rng: random.Random) -> str:
    style = f"border-left:3px solid #b9c4d0;background:{_pale(rng)};padding:2px 8px;margin:4px 0"
    return f'<div style="{style}">{_words(rng)}: {_words(rng)}</div>'


def _picture(rng: random.Random) -> str:
    """A picture with words in it, on a plain ground: it looks like text and can be pressed no more than that."""
    width, height, ground = rng.randint(50, 120), rng.randint(18, 50), rng.choice(("none", _pale(rng), "#fff"))
    font = f"{rng.choice((12, 13, 14))}px {rng.choice(_FONTS)}"
    drawn = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">
<rect width="100%" height="100%" fill="{ground}"/>
<text x="50%" y="55%" text-anchor="middle" dominant-baseline="middle" style="font:{font}">{_words(rng, 2)}</text>
</svg>"""
    return f'<img src="data:image/svg+xml,{html.escape(drawn.replace("#", "%23"), quote=True)}" alt="">'
