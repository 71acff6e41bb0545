"""Every screen over the mock of the API, in a real browser: light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.web

_SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844)}
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_SCREENS: Final = {
    "/": "Home",
    "/incidents": "Incidents",
    "/models": "Models",
    "/models/recommendation": "recommendation",
    "/models/panel": "panel",
    "/delivery": "Delivery",
    "/demo": "Demo shop",
    "/settings": "Settings",
    "/login": "Twofold",
}
_INCIDENT: Final = "Payment is slow and fails; checkout and gateway follow"


_EVERYWHERE: Final = pytest.mark.parametrize(
    "page", [(scheme, size) for scheme in _SCHEMES for size in _SIZES], ids="-".join, indirect=True
)


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, mock_ui: str) -> Iterator[Page]:
    """A page, light and wide unless the test asks, that fails the test when its console complains."""
    scheme: Literal["light", "dark"]
    scheme, size = getattr(request, "param", ("light", "wide"))
    width, height = _SIZES[size]
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, base_url=mock_ui, reduced_motion="reduce"
    )
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


def _settle(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    expect(page).to_have_title(re.compile("Twofold$"))
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)
    page.wait_for_load_state("networkidle")


def _overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@_EVERYWHERE
def test_every_screen_is_accessible_and_fits(page: Page, violations: Callable[[Page], list[str]]) -> None:
    """No screen breaks WCAG A or AA, scrolls sideways or complains on the console."""
    for path, title in _SCREENS.items():
        page.goto(path)
        _settle(page, title)
        assert violations(page) == [], path
        assert _overflow(page) <= 0, path


@_EVERYWHERE
def test_the_incident_page_shows_its_evidence(page: Page, violations: Callable[[Page], list[str]]) -> None:
    """From the list to the chart with its band, the trace, the log lines and the map."""
    page.goto("/incidents")
    page.get_by_role("link", name=_INCIDENT).click()
    _settle(page, _INCIDENT)
    expect(page.get_by_role("figure", name="span.duration.p95").locator("canvas")).to_be_visible()
    expect(page.get_by_label("Trace with 11 spans")).to_be_visible()
    expect(page.get_by_text("<b>not markup</b>")).to_be_visible()
    expect(page.get_by_text("Suspect", exact=True).first).to_be_visible()
    assert violations(page) == []
    assert _overflow(page) <= 0


def test_approving_shows_on_the_page(page: Page) -> None:
    """One click on what is shown, and its state changes."""
    page.goto("/incidents")
    page.get_by_role("link", name=_INCIDENT).click()
    page.get_by_role("button", name="Approve and run").click()
    card = page.get_by_role("article", name="Roll back the last deploy of payment")
    expect(card.get_by_text("Approved", exact=True)).to_be_visible()


def test_the_palette_opens_by_keyboard(page: Page) -> None:
    """Ctrl K, a few letters, Enter."""
    page.goto("/")
    _settle(page, "Home")
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Go to an incident").fill("recommendation")
    page.get_by_role("button", name="recommendation v7").or_(
        page.get_by_text("recommendation", exact=True)
    ).first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url("/")


def test_promoting_asks_for_a_reason(page: Page, violations: Callable[[Page], list[str]]) -> None:
    """The form tells of failed gates, and shows the server's refusal."""
    page.goto("/models/recommendation")
    page.get_by_role("button", name="Promote").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text("failed a gate")).to_be_visible()
    form.get_by_label("Reason").fill("try it")
    assert violations(page) == []
    form.get_by_role("button", name="Promote").click()
    expect(form.get_by_role("alert")).to_contain_text("Conflict")
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_be_hidden()


@_EVERYWHERE
def test_a_runbook_is_rehearsed_before_it_is_proposed(page: Page, violations: Callable[[Page], list[str]]) -> None:
    """The form says what would be done; the proposal waits for somebody else."""
    page.goto("/incidents")
    page.get_by_role("link", name=_INCIDENT).click()
    page.get_by_role("button", name="Propose a runbook").click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Dry run").click()
    expect(form.get_by_text("would call restart on service:payment")).to_be_visible()
    assert violations(page) == []
    assert _overflow(page) <= 0
    form.get_by_role("button", name="Propose").click()
    expect(form).to_be_hidden()
    expect(page.get_by_text("another person must approve it")).to_be_visible()


@_EVERYWHERE
def test_a_new_users_secret_is_shown(page: Page, violations: Callable[[Page], list[str]]) -> None:
    """Once, with a button that copies it."""
    page.goto("/settings")
    page.get_by_label("Name of the new user").fill("mia")
    page.get_by_label("Role", exact=True).select_option("Approver")
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_text("Secret of mia")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")  # on a phone the bar at the bottom may cover half a field, wherever one stands
    assert violations(page) == []
    assert _overflow(page) <= 0
