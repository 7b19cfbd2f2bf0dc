"""Draw the pictures of the page on the web app: its page as a browser shows it.

::

    python docs/draw_app.py

The photograph is an example of the app's own: chelsea, of scikit-image, blurred by the computer.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]
from browsing import CHROMIUM  # noqa: E402

from benchmarks.serving import served  # noqa: E402

PAGE = Path(__file__).parent / "app"
WIDE, PHONE = (1180, 900), (390, 844)


def main() -> None:
    with served() as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (width, height), scheme in (
            ("page", WIDE, "light"),
            ("phone", PHONE, "dark"),
        ):
            phone = width < 600
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                is_mobile=phone,
                has_touch=phone,
            )
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}")
            find_the_blur(page)
            data = page.screenshot(full_page=not phone)
            Image.open(io.BytesIO(data)).convert("RGB").save(PAGE / f"{name}.jpg", quality=85)
            context.close()
        browser.close()


def find_the_blur(page: Page) -> None:
    """The third door, until the detail is shown restored."""
    page.wait_for_function("document.querySelector('.examples button')")
    page.wait_for_timeout(2000)
    page.locator(".examples button").first.click()
    page.get_by_role("tab", name="Find the blur").click()
    page.locator("#find").click()
    page.locator("#preview .pair").wait_for(timeout=60_000)
    page.get_by_role("tab", name="Find the blur").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)


if __name__ == "__main__":
    main()
