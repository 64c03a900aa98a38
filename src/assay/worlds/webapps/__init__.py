"""Small web apps as plain files (HTML, CSS, JavaScript): a state that can be read and restored, and a log of events.

`base.js` is what all of them share and says what an app consists of; `words.js` holds every label in four wordings.
Open one in any browser: `admin.html?seed=3&layout=1&skin=2`. `assay.worlds.gui.GuiEnv` drives them in Chromium.

Every app offers `__state()`, `__load(state)`, `__events`, `__settle()` (all consequences that are still to come happen
now) and `__inject(kind, text, where)`, which puts text of a stranger into a place that strangers can write to.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
APPS = ("admin", "bank", "forum", "shop", "settings")
LAYOUTS, SKINS = range(4), range(4)


@cache
def words(app: str) -> dict[str, list[str]]:
    """Every label of an app by its key, as it is called in each of the four skins; the common ones included."""
    if app not in APPS:
        raise ValueError(f"app: got {app!r}, wanted one of {', '.join(APPS)}")
    table = json.loads((FOLDER / "words.js").read_text("utf-8").split("=", 1)[1].strip().rstrip(";"))
    return {**table["common"], **table[app]}


def label(app: str, key: str, skin: int, value: str = "") -> str:
    """What a control is called in a skin; `value` fills its blank."""
    return words(app)[key][skin].replace("{}", value)
