"""The page in a real Chromium: what it shows of a running line, for eyes, screen readers and keyboards."""

import shlex
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.conftest import AGREES, LACKS, LATER, REJECTED
from tests.web.stack import PATIENT, Stack, printed

pytestmark = pytest.mark.slow

AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
PAGES = [
    "/",
    "/partitions/0",
    "/letters",
    "/letters?since=lately",
    "/letters?code=nothing",
    "/letters/{letter}",
    "/study",
]
PAGES += [f"/study?uid={uid}" for uid in (AGREES, LACKS, REJECTED, "9.9", "no%20uid")]


def letter_of(line: Stack) -> str:
    """Where the one dead letter is."""
    (found,) = line.line.read(line.line.letters_topic)
    return f"{found.partition()}:{found.offset()}"


def opened(page: Page, line: Stack, path: str) -> Page:
    """At that path."""
    page.goto(line.url + path.format(letter=letter_of(line)))
    return page


@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_read_by_everybody_and_names_no_patient(page: Page, line: Stack, path: str) -> None:
    """In light and dark, by a screen reader, in a narrow window without scrolling to the side (WCAG 1.4.10)."""
    opened(page, line, path)
    for details in page.locator("details").all():
        details.locator("summary").click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate(AUDIT) == [], scheme
    content = page.content()
    assert PATIENT.partition("^")[0] not in content
    assert "1CT1" not in content, "the PatientID of the file"
    assert "Traceback" not in content
    page.set_viewport_size({"width": 340, "height": 700})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 340


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ("document.querySelector('h1').remove()", "heading"),
        ("document.querySelector('h2').outerHTML = '<h4>x</h4>'", "heading"),
        ("document.querySelector('label').remove()", "label"),
        ("document.querySelector('caption').remove()", "table"),
        ("document.querySelector('.state svg').remove()", "state"),
        ("document.querySelector('svg.chart').removeAttribute('role')", "alternative"),
        ("document.querySelector('footer').classList.add('notice', 'warn')", "state"),
        ("document.documentElement.style.setProperty('--quiet', '#b0b0b0')", "contrast"),
    ],
)
def test_the_audit_sees_what_is_wrong(page: Page, line: Stack, wrong: str, rule: str) -> None:
    opened(page, line, "/")
    page.evaluate(wrong)
    assert rule in {fault.split(":")[0].split()[0] for fault in page.evaluate(AUDIT)}


def test_the_overview_shows_the_line_as_it_is(page: Page, line: Stack) -> None:
    opened(page, line, "/")
    tiles = page.locator("dl.tiles")
    expect(tiles).to_contain_text("nothing waits")
    expect(tiles).to_contain_text("closed")
    expect(page.locator(".notice").first).to_contain_text("1 event was rejected and waits for you")
    members = page.get_by_role("region", name="Members")
    expect(members.get_by_role("row")).to_have_count(2)
    expect(members).to_contain_text("ready")
    partitions = page.get_by_role("region", name="Partitions")
    expect(partitions.get_by_role("row")).to_have_count(1 + line.line.partitions)
    committed = line.line.committed()
    for number in range(line.line.partitions):
        row = partitions.get_by_role("row").nth(1 + number)
        expect(row).to_contain_text("consumer-1")
        expect(row.get_by_role("cell").nth(1)).to_have_text(str(committed[number]) if committed[number] >= 0 else "—")
    expect(page.get_by_role("img", name="Lag over the last hour")).to_be_visible()


def test_what_is_live_stays_fresh_and_can_be_paused(page: Page, line: Stack) -> None:
    opened(page, line, "/")
    ends = page.locator("[data-live=partitions] td:nth-child(4)")
    before = ends.all_inner_texts()
    line.store(line.file(LATER))
    line.applied(6)
    page.wait_for_function(
        """before => [...document.querySelectorAll("[data-live=partitions] td:nth-child(4)")]
            .map(cell => cell.innerText).join() !== before""",
        arg=",".join(before),
    )
    pause = page.get_by_role("button", name="Pause")
    pause.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")


def test_the_keyboard_is_enough(page: Page, line: Stack) -> None:
    """From the skip link to a letter's command, seeing at each step where one is."""
    opened(page, line, "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    walk_to(page, "1 pending")
    page.keyboard.press("Enter")
    page.wait_for_url("**/letters")
    walk_to(page, letter_of(line))
    page.keyboard.press("Enter")
    page.wait_for_url("**/letters/*")
    walk_to(page, f"dicomcast-consumer dlq replay {letter_of(line)}")


def walk_to(page: Page, text: str) -> None:
    """Tabs on until the focus is on what says `text`; each step can be seen, and none is met twice."""
    met: list[str] = []
    while True:
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => { const at = document.activeElement, style = getComputedStyle(at);
            return {text: at.innerText || at.value || "", html: at.outerHTML.slice(0, 200), tag: at.tagName,
                    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2}; }"""
        )
        assert at["tag"] != "BODY", f"{text!r} cannot be reached by the keyboard: {met}"
        assert at["ring"], f"the focus cannot be seen: {at['html']}"
        if at["text"].strip() == text:
            return
        met.append(at["html"])
        assert len(met) < 100, met


def test_the_filter_finds_letters_and_says_when_there_are_none(page: Page, line: Stack) -> None:
    opened(page, line, "/letters")
    page.get_by_role("textbox", name="Code").fill("fhir")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".empty")).to_contain_text("No letter that is pending matches this filter")
    page.get_by_role("textbox", name="Code").fill("map")
    page.get_by_label("Study Instance UID").last.fill(REJECTED)
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("group", name="Dead letters").get_by_role("row")).to_have_count(2)
    expect(page.locator("#replay-all")).to_have_text(f"dicomcast-consumer dlq replay --code map --study {REJECTED}")
    page.get_by_label("Failed since").fill("lately")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".notice")).to_contain_text("This filter cannot be read")


def test_a_study_that_agrees_and_one_that_does_not(page: Page, line: Stack) -> None:
    opened(page, line, "/")
    page.get_by_role("search").get_by_label("Study Instance UID").fill(f" urn:oid:{AGREES} ")
    page.get_by_role("button", name="Find the study").click()
    expect(page.locator(".notice")).to_contain_text("DICOM and FHIR agree")
    expect(page.get_by_role("region", name="Its last events").get_by_role("row")).to_have_count(3)
    page.goto(f"{line.url}/study?uid={LACKS}")
    expect(page.locator(".notice")).to_contain_text("DICOM and FHIR differ")
    expect(page.locator(".findings")).to_contain_text("missing")
    expect(page.locator("#repair-one")).to_have_text(f"dicomcast-consumer verify --study {LACKS} --repair")
    page.goto(f"{line.url}/study?uid={REJECTED}")
    expect(page.locator(".notice")).to_contain_text("One of its events was rejected")
    page.goto(f"{line.url}/study?uid=9.9")
    expect(page.locator(".notice")).to_contain_text("Neither server has this study")


def test_without_javascript_everything_is_there(browser: Browser, line: Stack) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(line.url)
    expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("group", name="Lag and throughput as a table")).to_be_visible()
    context.close()


def test_the_commands_on_the_page_do_what_it_says(page: Page, line: Stack) -> None:
    """Copied from the page and run: the letter is applied, the study is repaired, and the page shows both."""
    opened(page, line, "/letters/{letter}")
    expect(page.locator("main")).to_contain_text("It would be rejected again")
    run(line, page.locator("#replay-one").inner_text(), DICOMCAST_MAPPING__MISSING_PATIENT_ID="placeholder")
    page.reload()
    expect(page.locator("main")).to_contain_text("applied at")
    page.goto(f"{line.url}/study?uid={LACKS}")
    run(line, page.locator("#repair-one").inner_text())
    page.reload()
    expect(page.locator(".notice")).to_contain_text("DICOM and FHIR agree")


def run(line: Stack, command: str, **env: str) -> None:
    """The words of a command line, with the line's settings."""
    program, *words = shlex.split(command)
    assert program == "dicomcast-consumer"
    with line.line.started("dicomcast_consumer", *words, env=env) as running:
        assert running.process.wait(90) == 0, running.text


def test_an_outage_of_fhir_is_seen_and_its_end_too(page: Page, line: Stack) -> None:
    opened(page, line, "/")
    line.fhir.faults.answer(503, times=None)
    try:
        line.store(*(line.file(f"{LATER}.{n}") for n in range(4)))
        expect(page.locator("[data-live=notices]")).to_contain_text("The breaker is open: FHIR is not written to")
        other = page.context.new_page()
        other.goto(f"{line.url}/study?uid={AGREES}")
        expect(other.locator(".notice").first).to_contain_text("It could not be compared")
        expect(other.locator("main")).to_contain_text("Its last events")
        assert other.evaluate(AUDIT) == []
        other.close()
    finally:
        line.fhir.faults.clear()
    expect(page.locator("dl.tiles")).to_contain_text("closed")


def test_kafka_away_is_a_sentence(page: Page, line: Stack) -> None:
    away = {"DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    with line.line.started("dicomcast_consumer", "web", env=away) as running:
        page.goto(printed(running))
        expect(page.locator("[data-live=notices]")).to_contain_text("Kafka cannot be asked")
        expect(page.locator("[data-live=notices]")).to_contain_text("is it up and reachable?")
        assert page.evaluate(AUDIT) == []


def test_sigterm_ends_it_with_0(line: Stack) -> None:
    with line.line.started("dicomcast_consumer", "web") as running:
        assert httpx.get(printed(running)).status_code == 200
        assert running.stop() == 0
        assert "Traceback" not in running.text


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("GET", {"Host": "evil.example"}, 421), ("POST", {}, 405), ("GET", {"Sec-Fetch-Site": "cross-site"}, 403)],
)
def test_what_the_process_refuses(line: Stack, method: str, headers: dict[str, str], status: int) -> None:
    assert httpx.request(method, line.url, headers=headers).status_code == status
