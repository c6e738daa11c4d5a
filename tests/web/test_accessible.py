# SPDX-License-Identifier: GPL-3.0-or-later
"""What axe-core finds against WCAG 2 A and AA on each page: nothing, light and dark, desktop and phone."""

import pytest

from support.browser import DESKTOP, PHONE
from support.farm_of_jobs import FarmOfJobs

PAGES = {
    "overview": ("", "tr[data-job]"),
    "job": ("jobs/1", "[data-frame]"),
    "times": ("jobs/1/times", ".plot"),
    "settings": ("jobs/1/settings", ".facts"),
    "frame": ("jobs/1/frames/2", ".canvas"),
    "slave": ("slaves/1", ".form"),
    "farm": ("farm", ".form"),
    "nowhere": ("zebras", ".lost"),
}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_keeps_anybody_out(farm, browser, dark, size):
    jobs = FarmOfJobs(farm, slaves=1)
    jobs.api.wait(jobs.submit("Barn", "1-6", category="Film"))
    jobs.api.post(f"api/v1/jobs/{jobs.submit('Meadow', '1-3', seconds=60)}/pause", None)
    jobs.submit("Long", "1-3", seconds=60)
    browser.screen(size, dark)
    found = {}
    for name, (route, sign) in PAGES.items():
        browser.open(f"{jobs.url}/#/{route}")
        browser.find(sign)
        if bad := browser.violations():
            found[name] = bad
    # A film decoded
    browser.open(f"{jobs.url}/#/jobs/1/frames/2")
    browser.click("[data-mode='film']")
    browser.find(".canvas img[data-shown]")
    if bad := browser.violations():
        found["film"] = bad
    # The map of frames, and the question before something is gone
    browser.open(f"{jobs.url}/#/jobs/1")
    browser.click("[data-view='map']")
    browser.find(".map canvas")
    browser.click("[data-action='delete']")
    browser.find("dialog[open]")
    if bad := browser.violations():
        found["question"] = bad
    assert not found, found
