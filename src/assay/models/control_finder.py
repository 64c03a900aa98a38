"""The network that tells controls on a screenshot, made at the first use and kept in the cache.

A minute: Chromium renders pages of made-up controls, and the network learns them on one thread. Another version of the
pages, the network or torch is another network, made anew.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from assay.places import cache_root

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from assay.methods.safety._camel_controls import ControlFinder


def control_finder(browser: Browser) -> ControlFinder:
    """The network, from the cache if it is there; else learnt from what `browser` renders in a window of its own."""
    import torch
    from safetensors.torch import load_file, save_file

    from assay.methods.safety import _camel_controls as controls

    kept = place()
    if kept.exists():
        net = controls.ControlFinder()
        net.load_state_dict(load_file(kept))
        return net.eval().requires_grad_(False)
    threads = torch.get_num_threads()
    page = browser.new_page()
    sheets = controls.render_sheets(page)
    page.close()
    torch.set_num_threads(1)  # more threads change the sums, and with them the weights
    try:
        net = controls.train_controls(sheets)
    finally:
        torch.set_num_threads(threads)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_name(f".{kept.name}.{os.getpid()}-{threading.get_ident()}.part")
    save_file(net.state_dict(), part)
    part.replace(kept)
    return net


def place() -> Path:
    """Where the network is kept: a name that depends on all that made it."""
    import torch

    from assay.methods.safety import _camel_controls as controls

    source = Path(controls.__file__).read_bytes() + torch.__version__.encode()
    return cache_root() / "controls" / f"{hashlib.sha256(source).hexdigest()[:32]}.safetensors"
