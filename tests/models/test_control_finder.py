from functools import partial

import torch

from assay.methods.safety import _camel_controls as controls
from assay.models.control_finder import control_finder, place
from assay.worlds.gui import open_browser


def test_the_network_is_learnt_in_chromium_once_and_read_from_the_cache_then(monkeypatch, tmp_path):
    """Two pages and one round through them: what is learnt does not matter here."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    monkeypatch.setattr(controls, "EPOCHS", 1)
    monkeypatch.setattr(controls, "render_sheets", partial(controls.render_sheets, count=2))
    with open_browser() as browser:
        learnt = control_finder(browser)
        assert not browser.contexts
    assert [path.name for path in place().parent.iterdir()] == [place().name]
    kept = control_finder(None)  # no browser is asked for
    assert all(torch.equal(a, kept.state_dict()[name]) for name, a in learnt.state_dict().items())
    assert not kept.training


def test_rendered_pages_say_what_every_cell_shows():
    with open_browser() as browser:
        sheets = controls.render_sheets(browser.new_page(), count=3, seed=5)
    width, height = controls.SHEET
    assert sheets.pixels.shape == (3, 3, height, width)
    assert sheets.kinds.shape == (3, height // controls.STRIDE, width // controls.STRIDE)
    assert {"button", "link", "field"} <= {controls.KINDS[kind] for kind in set(sheets.kinds.flatten().tolist())}
    fields = sheets.kinds == controls.KINDS.index("field")
    inside = sheets.pixels[:, :, 2 :: controls.STRIDE, 2 :: controls.STRIDE].min(axis=1)
    assert (inside[fields] > 200).mean() > 0.6, "fields are white but for their edges and what is written in them"
