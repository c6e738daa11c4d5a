# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium for tests, driven by Debian's chromedriver: opens pages, waits for what a person would see,
clicks."""

import base64
import contextlib
import json
import shutil
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from support.farm import wait_until
from support.paths import TESTS

PROGRAM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
AXE = TESTS / "web" / "axe" / "axe.min.js"
PATIENCE_S = 20
DESKTOP = (1440, 900)
PHONE = (390, 844)

__all__ = ["Browser", "Keys"]


class Browser:
    """One browser with one page in sight. Texts are found as people see them, things by their `data-` names."""

    def __init__(self):
        self._profile = tempfile.TemporaryDirectory(prefix="netrender-web-")
        options = webdriver.ChromeOptions()
        options.binary_location = PROGRAM or ""
        for word in (
            "--headless=new",
            "--no-sandbox",  # tests may run as root
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--lang=en-US",
            f"--user-data-dir={self._profile.name}",
        ):
            options.add_argument(word)
        downloads = Path(self._profile.name) / "downloads"
        downloads.mkdir()
        self.downloads = downloads
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.screen()

    def close(self):
        self.driver.quit()
        self._profile.cleanup()

    def fresh(self):
        """Forgets what the last test left."""
        self.javascript(True)
        self.screen()
        self.driver.get("about:blank")
        self.complaints()
        for file in self.downloads.iterdir():
            file.unlink()

    # ------------------------------------------------------------------------------------------------- settings

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def screen(self, size=DESKTOP, dark=False, still=True):
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=1, mobile=size == PHONE,
        )  # fmt: skip
        self.cdp(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
            ],
        )

    def javascript(self, allowed):
        self.cdp("Emulation.setScriptExecutionDisabled", value=not allowed)

    # -------------------------------------------------------------------------------------------------- looking

    def open(self, url):
        # A fragment alone would not load the page anew.
        self.driver.get("about:blank")
        self.driver.get(url)

    def go(self, route):
        """To another page of the same document, as its own links do."""
        self.run("location.hash = arguments[0]", route)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def find(self, css, timeout_s=PATIENCE_S):
        """The first such thing that is in sight."""

        def look():
            with contextlib.suppress(StaleElementReferenceException):
                return next((one for one in self.all(css) if one.is_displayed()), None)

        return wait_until(look, timeout_s, f"{css} is in sight")

    def gone(self, css, timeout_s=PATIENCE_S):
        wait_until(lambda: not self.all(css), timeout_s, f"{css} is gone")

    def text(self, css="body", timeout_s=PATIENCE_S):
        for _ in range(20):
            with contextlib.suppress(StaleElementReferenceException):
                return self.find(css, timeout_s).text
        raise AssertionError(f"{css} never stands still")

    def reads(self, text, css="body", timeout_s=PATIENCE_S):
        """Waits until the text can be read there."""
        wait_until(lambda: text in self.text(css, timeout_s), timeout_s, f"{css} reads {text!r}")

    def attribute(self, css, name):
        return self.run("return document.querySelector(arguments[0])?.getAttribute(arguments[1])", css, name)

    def painted(self):
        """Waits until what the page has drawn is on the screen, and what it does thereafter is done."""
        self.driver.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))"
        )

    # --------------------------------------------------------------------------------------------------- acting

    def click(self, css):
        """Once more if something else was hit, because the page made room just then."""
        listen = (
            "window.heard = false;"
            "arguments[0].addEventListener('click', () => { window.heard = true }, { once: true, capture: true })"
        )

        def attempt():
            with contextlib.suppress(WebDriverException):
                thing = self.find(css)
                self.run(listen, thing)
                thing.click()
                # In another document nothing is known of it: the click has led there
                return self.run("return window.heard !== false")

        wait_until(attempt, PATIENCE_S, f"{css} can be clicked")

    def act(self, name, sure=None):
        """Presses the button of this action, and answers the question it asks."""
        # One that is busy with the last press hears nothing.
        self.click(f"[data-action='{name}']:not(:disabled)")
        if sure is not None:
            self.click(f"dialog [data-action='{'yes' if sure else 'no'}']")
            self.gone("dialog[open]")

    def fill(self, css, text):
        field = self.find(css)
        field.click()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)
        return field

    def choose(self, css, value):
        """In a list of choices."""
        options = Select(self.find(css)).options
        # The attribute may be missing where it would be the text.
        next(one for one in options if one.get_property("value") == value).click()

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def drag(self, source, target, above=True):
        there = self.find(target)
        offset = -(there.size["height"] // 2) + 4 if above else there.size["height"] // 2 - 4
        actions = ActionChains(self.driver, duration=50)
        actions.click_and_hold(self.find(source)).move_by_offset(0, 5)
        actions.move_to_element_with_offset(there, 0, offset).move_by_offset(0, 1).release().perform()

    def downloaded(self, name):
        """The bytes of a file that the browser saved."""
        path = self.downloads / name
        wait_until(
            lambda: path.exists() and not list(self.downloads.glob("*.crdownload")),
            PATIENCE_S,
            f"{name} is saved",
        )
        return path.read_bytes()

    # ------------------------------------------------------------------------------------------------ judgement

    def picture(self, path):
        shot = self.cdp("Page.captureScreenshot", format="png")
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def in_sight(self, picture):
        """What can be read on the page, and what stands in its fields; saved as a picture, too."""
        self.picture(picture)
        fields = "return [...document.querySelectorAll('input')].map((one) => `#${one.id}: ${one.value}`)"
        focused = "return document.activeElement?.outerHTML.slice(0, 200)"
        return "\n".join([self.text(), *self.run(fields), f"focus: {self.run(focused)}"])

    def complaints(self):
        """What the browser's console holds against the page, since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def violations(self):
        """What axe-core finds against WCAG A and AA on the page as it is."""
        # A strict Content-Security-Policy lets no script in but by the debugger.
        self.cdp("Runtime.evaluate", expression=AXE.read_text())
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        asked = f"axe.run(document, {json.dumps(options)}).then((found) => found.violations)"
        answer = self.cdp("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return [
            f"{found['id']}: {found['help']}: {node['html'][:200]}"
            for found in answer["result"]["value"]
            for node in found["nodes"]
        ]
