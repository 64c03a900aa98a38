"""One Chromium for the tests of the web apps; where there is none they are skipped."""

import pytest


@pytest.fixture(scope="session")
def browser():
    pytest.importorskip("playwright.sync_api")
    from assay.worlds.gui import open_browser

    try:
        opened = open_browser()
        with opened as found:
            yield found
    except RuntimeError as error:
        pytest.skip(str(error))
