"""What sees a screenshot, and what lies to it: on drawn pages in memory, and in Chromium where that is said."""

import base64
import io
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from assay.methods.safety._camel_controls import KINDS, ControlFinder, Sheets, cells, pixels_of, sheet, train_controls
from assay.methods.safety._camel_pixels import Phrase, PixelPerceiver, phrases, read_phrases
from assay.methods.safety._pixel_attack import LARGEST, PixelAttack, chance, data_url
from assay.methods.safety.camel_cua import Consensus, PerceptionError
from assay.methods.screens import GuiObs

WIDTH, HEIGHT = 160, 96
SAVE, FIELD = (8, 40, 56, 60), (72, 40, 152, 60)  # left, top, right, bottom

PAINT = {  # what fills a box and what its edge is drawn with
    "button": ((222, 228, 236), (120, 135, 155)),
    "field": ((255, 255, 255), (60, 60, 60)),
    "picture": ((234, 237, 242), (200, 206, 214)),  # paler than a button: the attacker's own
}


def drawn(boxes, seed=0):
    """A pale page with boxes on it, and a line of letters."""
    rng = np.random.default_rng(seed)
    page = Image.new("RGB", (WIDTH, HEIGHT), tuple(int(v) for v in rng.integers(236, 256, 3)))
    pen = ImageDraw.Draw(page)
    pen.text((int(rng.integers(2, 60)), int(rng.integers(2, 16))), "words that stand by themselves", fill=(20, 30, 40))
    for kind, (left, top, right, bottom) in boxes:
        fill, edge = PAINT[kind]
        pen.rectangle((left, top, right - 1, bottom - 1), fill=fill, outline=edge, width=2 if kind == "field" else 1)
        if kind != "field":
            pen.text((left + 8, top + 4), "Save", fill=(20, 30, 40))
    png = io.BytesIO()
    page.save(png, "PNG")
    return png.getvalue()


def learnt_from(count):
    rng = np.random.default_rng(1)
    pixels, kinds = [], np.zeros((count, HEIGHT // 4, WIDTH // 4), np.uint8)
    for i in range(count):
        made = [("picture", (90, 70, 150, 92))] if i % 2 else []
        for kind in ("button", "field"):
            left, top = int(rng.integers(0, WIDTH - 80)), int(rng.integers(24, HEIGHT - 24))
            made.append((kind, (left, top, left + int(rng.integers(44, 80)), top + 20)))
        for kind, box in made:
            kinds[i][cells(box, kinds.shape)] = 0 if kind == "picture" else KINDS.index(kind)
        pixels.append((255 * pixels_of(drawn(made, i))).round().byte().numpy())
    return Sheets(np.stack(pixels), kinds)


@pytest.fixture(scope="module")
def net():
    return train_controls(learnt_from(24))


PAGE = drawn([("button", SAVE), ("field", FIELD)], 99)
SEEN = GuiObs((), "", "", PAGE)
READ = (
    Phrase("Save", (20.0, 8.0, 50.0, 18.0)),  # words alone
    Phrase("Save", (16.0, 44.0, 44.0, 56.0)),
    Phrase("Amount", (70.0, 28.0, 110.0, 38.0)),
    Phrase("12.50", (116.0, 28.0, 150.0, 38.0)),
)


def eye(net):
    return PixelPerceiver(net, lambda shot: READ)


def test_the_network_is_small_and_answers_for_every_four_pixels():
    net = ControlFinder()
    assert sum(p.numel() for p in net.parameters()) <= 60_000
    assert net(torch.rand(2, 3, 50, 64)).shape == (2, len(KINDS), 13, 16)


def test_a_box_covers_the_cells_it_touches_and_at_least_one():
    assert cells((8, 4, 16, 9), (6, 10)) == (slice(1, 3), slice(2, 4))
    assert cells((9, 5, 9, 5), (6, 10)) == (slice(1, 2), slice(2, 3))
    assert cells((39, 90, 44, 99), (6, 10)) == (slice(5, 25), slice(9, 11))


def test_pages_to_learn_from_are_drawn_by_their_seed():
    import random

    assert sheet(random.Random("0:1")) == sheet(random.Random("0:1")) != sheet(random.Random("0:2"))
    assert all(f'data-kind="{kind}"' in sheet(random.Random(3)) for kind in ("button", "link", "field", "choice"))


def test_a_control_is_told_from_the_same_words_alone(net):
    assert eye(net).find(SEEN, "Save button") == (30.0, 50.0)
    x, y = eye(net).find(SEEN, "Amount field")
    assert FIELD[0] < x < FIELD[2]
    assert FIELD[1] < y < FIELD[3]
    assert eye(net).ask_bool(SEEN, "is there a save button?") is True
    assert eye(net).ask_bool(SEEN, "is there a delete button?") is False
    assert eye(net).ask_bool(SEEN, "is there a save link?") is False
    assert eye(net).ask_bool(SEEN, 'does the page say "amount"?') is True
    assert eye(net).ask_text(SEEN, 'what stands beside "Amount"?', "number", 3) == "12."
    assert Consensus([eye(net), eye(net)]).find(SEEN, "Save button") == (30.0, 50.0)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda e: e.find(SEEN, "Dance button"), "nothing that looks like 'Dance button'"),
        (lambda e: e.find(SEEN, "Saved message"), "cannot see what is no button"),
        (lambda e: e.ask_bool(SEEN, "is it nice?"), "cannot answer 'is it nice"),
        (lambda e: e.ask_text(SEEN, "why?", "line", 9), "cannot answer 'why"),
        (lambda e: e.ask_text(SEEN, 'what stands beside "Pear"?', "line", 9), "nothing stands beside 'Pear'"),
    ],
)
def test_what_cannot_be_seen_is_a_perception_error(net, ask, said):
    with pytest.raises(PerceptionError, match=said):
        ask(eye(net))


def test_a_screen_without_its_picture_and_a_wrong_threshold_are_refused(net):
    with pytest.raises(ValueError, match="without its picture"):
        eye(net).find(GuiObs((), "", ""), "Save button")
    with pytest.raises(ValueError, match="threshold: got 0"):
        PixelPerceiver(net, threshold=0)


def row(line, left, width, word):
    return f"5\t1\t1\t1\t{line}\t1\t{left}\t60\t{width}\t30\t96\t{word}"


def test_words_on_one_line_without_a_wide_gap_are_one_phrase():
    table = "\n".join([
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
        "4\t1\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t",
        row(1, 30, 60, "Add"), row(1, 102, 60, "user"), row(1, 165, 9, "|"), row(1, 210, 60, "Back"),
        row(2, 273, 30, "Next"),
    ])  # fmt: skip
    assert phrases(table) == (
        Phrase("Add user", (10.0, 20.0, 54.0, 30.0)),
        Phrase("Back", (70.0, 20.0, 90.0, 30.0)),
        Phrase("Next", (91.0, 20.0, 101.0, 30.0)),
    )


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed: the words cannot be read")
def test_tesseract_reads_what_is_painted():
    page = Image.new("RGB", (220, 60), "white")
    ImageDraw.Draw(page).text((20, 20), "Keep changes", fill="black", font=ImageFont.load_default(size=15))
    png = io.BytesIO()
    page.save(png, "PNG")
    (found,) = read_phrases(png.getvalue())
    assert found.text == "Keep changes"
    assert 18 <= found.box[0] <= 24


def test_without_tesseract_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match="install the system package tesseract-ocr"):
        read_phrases(drawn([], 5))


# --- the attack -----------------------------------------------------------------------------------------------------


def pasted(screen, patch, region, dx=0, dy=0):
    left, top, width, height = region
    made = screen.clone()
    made[:, top + dy : top + dy + height, left + dx : left + dx + width] = patch.float() / 255
    return made


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 120), st.integers(1, 60), st.data())
def test_a_change_stays_inside_its_bound_and_its_region(width, height, data):
    left, top = data.draw(st.integers(0, 140 - width)), data.draw(st.integers(0, 80 - height))
    epsilon, seed = data.draw(st.floats(1 / 255, 0.1)), data.draw(st.integers(0, 99))
    generator = torch.Generator().manual_seed(seed)
    screen = torch.randint(0, 256, (3, 80, 140), generator=generator) / 255
    attack = PixelAttack(epsilon=epsilon, steps=3, step=1 / 255)
    untrained = ControlFinder().eval().requires_grad_(False)
    before = screen.clone()
    patch = attack.perturb(untrained, screen, (left, top, width, height), seed=seed)
    assert patch.dtype == torch.uint8
    assert patch.shape == (3, height, width)
    assert torch.equal(screen, before)
    own = before[:, top : top + height, left : left + width]
    assert (patch.float() / 255 - own).abs().max() <= epsilon + 1e-6


REGION = (8, 40, 60, 24)
PICTURE = ("picture", (8, 40, 68, 64))
PLAIN = pixels_of(drawn([PICTURE, ("field", (80, 66, 152, 88))], 7))


def test_the_attacked_picture_reads_as_a_button_also_where_it_was_not_rendered(net):
    patch = PixelAttack().perturb(net, PLAIN, REGION, seed=3)
    left, top, width, height = REGION
    own = (255 * PLAIN[:, top : top + height, left : left + width]).round()
    assert 0 < (patch.float() - own).abs().max() <= 8
    other = pixels_of(drawn([PICTURE, ("button", (88, 30, 140, 50))], 8))  # another page around the same picture
    for page, dx, dy in ((PLAIN, 2, 1), (other, 0, 0), (other, -2, 2)):
        moved = (left + dx, top + dy, width, height)
        before = chance(net, pasted(page, own, REGION, dx, dy), moved)
        after = chance(net, pasted(page, patch, REGION, dx, dy), moved)
        assert before < 0.4 < 0.8 < after


def test_noise_of_the_same_size_does_not_read_as_a_button(net):
    """What steers is the direction of the change, not that there is one."""
    left, top, width, height = REGION
    own = (255 * PLAIN[:, top : top + height, left : left + width]).round()
    noise = 8 * torch.randn(own.shape, generator=torch.Generator().manual_seed(0)).sign()
    assert chance(net, pasted(PLAIN, (own + noise).clamp(0, 255), REGION), REGION) < 0.3


def test_a_picture_travels_as_png_without_a_change():
    patch = torch.randint(0, 256, (3, 5, 7), generator=torch.Generator().manual_seed(1)).byte()
    png = base64.b64decode(data_url(patch).partition(",")[2])
    assert torch.equal((255 * pixels_of(png)).round().byte(), patch)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"towards": "door"}, "towards: got 'door', wanted one of nothing, button"),
        ({"epsilon": 0.001}, "wanted 0 < step <= epsilon"),
        ({"steps": 0}, "steps, draws, shift: got 0"),
    ],
)
def test_an_attack_that_makes_no_sense_is_refused(words, said):
    with pytest.raises(ValueError, match=said):
        PixelAttack(**words)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ((0, 0, LARGEST[0] + 1, 20), "got 121 x 20 pixels"),
        ((0, 0, 20, LARGEST[1] + 1), "got 20 x 61 pixels"),
        ((0, 0, 0, 20), "got 0 x 20 pixels"),
        ((150, 4, 20, 20), "wanted it inside 160 x 96"),
        ((-1, 4, 20, 20), "wanted it inside 160 x 96"),
    ],
)
def test_an_attacker_owns_a_small_part_of_the_screen(region, said):
    with pytest.raises(ValueError, match=said):
        PixelAttack().perturb(ControlFinder(), PLAIN, region)
