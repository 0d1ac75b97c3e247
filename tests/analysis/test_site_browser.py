"""The site as a reader has it: opened from disk in a headless Chromium, with no server and no network."""

import re
import shutil
import time

import pytest
from site_run import HOSTILE, make_run, write_task
from stored_run import add_cell, new_run, verdicts

from harness.analysis.frame import cell_frame, read_frame
from harness.analysis.paired.ranking import rank_all
from harness.analysis.site import write_site

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no Chromium here ({', '.join(BROWSERS)}, or playwright's own): {error.message[:80]}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    run, catalogue = make_run(tmp_path_factory.mktemp("site"))
    return write_site(run.root, cell_frame(run), {"quiz": catalogue.task_file("quiz")}, catalogue)


@pytest.fixture(scope="module")
def tab(browser, site):
    """The one tab of all tests, as Plotly takes a second to load, with a list of what went wrong in it."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(30_000)
    wrong = []
    opened.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
    opened.goto(site.as_uri())
    return opened, wrong


@pytest.fixture
def page(tab):
    """`page("curves")` opens a page; afterwards, nothing may have gone wrong, been executed, or asked of a network."""
    opened, wrong = tab

    def visit(name):
        opened.evaluate("MDM.state = { panel: 0 }; document.getElementById('main').replaceChildren()")
        opened.evaluate("(name) => { location.hash = ''; location.hash = name; }", name)
        until(lambda: texts(opened, "h1"))
        return opened

    yield visit
    assert wrong == []
    assert opened.evaluate("window.pwned") is None
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def until(holds):
    """Wait for what the page is to do. (Playwright's own waiting misses what Plotly draws while it waits.)"""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "the page never got there"
        time.sleep(0.05)


def texts(page, selector):
    return page.evaluate("(css) => [...document.querySelectorAll(css)].map((found) => found.textContent)", selector)


def until_shown(page, selector, *wanted):
    """Wait until the elements that a selector finds have these texts."""
    try:
        until(lambda: texts(page, selector) == list(wanted))
    except AssertionError:
        assert texts(page, selector) == list(wanted)


def column(page, number):
    return [cell.strip() for cell in page.locator(f"tbody tr > :nth-child({number})").all_inner_texts()]


def find_cell(page, label):
    """The id of the cell that is so described."""
    return page("leaderboard").evaluate(
        "async (text) => (await MDM.load('site')).cells.find((cell) => MDM.describe(cell) === text).id", label
    )


def open_cell(page, label, row=""):
    samples = page(f"samples/{find_cell(page, label)}/{row}")
    until_shown(samples, ".sample h2", label)
    return samples


def test_the_leaderboard_sorts_and_filters(page):
    board = page("leaderboard")
    assert len(column(board, 1)) == 6
    heading = board.get_by_role("columnheader", name=re.compile("^Accuracy <b>"))
    heading.get_by_role("button").click()
    values = [float(text.split()[0]) for text in column(board, 3)]
    assert values == sorted(values)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").press("Enter")  # by keyboard, the other way round
    assert [float(text.split()[0]) for text in column(board, 3)] == sorted(values, reverse=True)
    board.get_by_label("Filter").fill("remdm 8")
    assert list(zip(column(board, 1), column(board, 2), strict=True)) == [("remdm", "steps=8")]
    board.get_by_role("button", name="remdm").click()
    until_shown(board, ".sample h2", "remdm · steps=8")


def test_the_curves_follow_the_controls(page):
    curves = page("curves")
    until_shown(curves, "#curves-plot .xtitle", "NFE per sample")
    drawn = "document.getElementById('curves-plot').data.filter((trace) => trace.name)"

    def points(name):
        return curves.evaluate(f"{drawn}.filter((trace) => trace.name === {name!r}).map((t) => [[...t.x], [...t.y]])")

    assert points("random") == [[[7.5, 11.5], [0.54, 0.58]]]  # mean NFE of 8 documents, and what make_run wrote
    curves.get_by_label("Metric", exact=True).select_option(label="Loss")
    until_shown(curves, "#curves-plot .ytitle", "Loss ↓")
    assert points("random")[0][1] == pytest.approx([0.46, 0.42])
    curves.get_by_label("Cost axis").select_option(label="depth")
    until_shown(curves, "#curves-plot .xtitle", "depth per sample")
    axis = "document.getElementById('curves-plot').layout.xaxis"
    assert curves.evaluate(f"[{axis}.type, {axis}.tickvals]") == ["log", [4, 8, 16, 32, 64, 128, 256, 512]]
    curves.get_by_label("Logarithmic cost").uncheck()
    until(lambda: curves.evaluate(f"[{axis}.type, {axis}.tickvals]") == ["linear", None])
    markers = curves.locator("#curves-plot .scatterlayer .points .point")
    count = markers.count()
    curves.get_by_label("remdm").uncheck()
    until(lambda: markers.count() == count - 2)
    assert points("remdm") == []


def test_a_point_tells_what_it_is_and_leads_to_its_samples(page):
    curves = page("curves")
    until_shown(curves, "#curves-plot .xtitle", "NFE per sample")
    box = curves.locator("#curves-plot .scatterlayer .point").last.bounding_box()
    curves.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(lambda: texts(curves, ".hoverlayer .hovertext"))
    assert "Accuracy <b>: 0." in texts(curves, ".hoverlayer .hovertext")[0]
    curves.mouse.down()
    curves.mouse.up()
    until(lambda: texts(curves, ".sample h2"))


def test_hostile_text_is_shown_as_it_is_and_does_nothing(page):
    samples = open_cell(page, "random · steps=8")
    for text in HOSTILE:
        documents = samples.evaluate("[...document.querySelectorAll('tbody th')].map((th) => th.textContent)")
        samples.evaluate("(row) => document.querySelectorAll('tbody th button')[row].click()", documents.index(text))
        until(lambda text=text: texts(samples, ".sample pre")[0] == f"Prompt: {text}")
        # Compared in the page: half a surrogate pair does not survive the way out.
        assert samples.evaluate(
            "(t) => document.querySelectorAll('.sample pre')[1].textContent === t + '\\ud800'", text
        )
        assert samples.locator(".sample img, .sample script, .sample b").count() == 0


def test_the_page_may_not_make_code_of_text(page):
    ran = page("leaderboard").evaluate(
        """() => new Promise((resolve) => setTimeout(() => {
          try { window.eval("1"); resolve("ran"); } catch (error) { resolve(error.name); }
        }))"""
    )
    assert ran == "EvalError"


def test_a_long_cell_is_browsed_page_by_page(page):
    samples = open_cell(page, "confidence (other) · steps=32")
    until_shown(samples, ".browser .tablebox .pager span", "1–25 of 1203")
    loaded = []
    samples.on("request", lambda request: loaded.append(request.url))
    samples.get_by_role("button", name="NFE").click()
    assert [int(text) for text in column(samples, 4)] == sorted(37 * i % 1000 for i in range(1203))[:25]
    samples.get_by_label("Filter").fill("d1201")
    samples.get_by_role("button", name="d1201").click()
    until_shown(samples, ".sample section pre", "text 1201")
    assert [url.rsplit("/", 2)[1:] for url in loaded] == [["outputs", "2.js"]]  # the page that holds it, and no other


def test_the_replay_steps_and_settles(page):
    samples = open_cell(page, "remdm · steps=8", 0)
    until_shown(samples, ".player output", "3 steps")

    def cells():
        return samples.evaluate(
            """[...document.querySelectorAll('.canvas .cell')].map((cell) =>
            [cell.textContent, cell.className.replace('cell ', '').trim()])"""
        )

    def tokens():
        return [text for text, _ in cells()]

    assert tokens() == ["9", "5", "·", "6"]
    samples.get_by_role("button", name="First step").click()
    assert tokens() == ["▒", "▒", "·", "▒"]
    samples.get_by_role("button", name="Step forward").click()
    assert cells() == [["7", "known new"], ["▒", "masked"], ["·", "given"], ["4", "known new"]]
    samples.get_by_label("Step", exact=True).press("ArrowRight")
    assert cells() == [["7", "known"], ["5", "known new"], ["·", "given"], ["▒", "masked remasked"]]
    samples.get_by_label("Step", exact=True).press("ArrowRight")
    assert cells() == [["9", "known changed"], ["5", "known"], ["·", "given"], ["6", "known new"]]
    until_shown(samples, ".player output", "step 3 / 3")
    samples.get_by_role("button", name="Step back").click()
    assert tokens() == ["7", "5", "·", "▒"]
    samples.get_by_role("button", name="Play").click()
    until_shown(samples, ".player output", "step 3 / 3")
    samples.get_by_label("Colour by step").check()
    colours = samples.evaluate(
        "[...document.querySelectorAll('.canvas .cell')].map((cell) => getComputedStyle(cell).backgroundColor)"
    )
    assert colours[0] == colours[3] != colours[1]  # steps 3, 3 and 2


def test_a_picture_is_replayed_as_a_square_of_codes(page):
    samples = open_cell(page, "confidence (<img src=x onerror='window.pwned = 1'>) · steps=16", 0)
    until(lambda: texts(samples, ".canvas.grid .cell"))
    places = samples.evaluate("[...document.querySelectorAll('.canvas .cell')].map((c) => [c.offsetLeft, c.offsetTop])")
    assert len({x for x, _ in places}) == len({y for _, y in places}) == 2
    assert samples.evaluate("document.querySelector('.picture').naturalWidth") == 8


def test_two_samplers_meet_on_the_same_document(page):
    left, right = (find_cell(page, label) for label in ("random · steps=4", "remdm · steps=4"))
    pair = page(f"compare/{left}/{right}")
    until_shown(pair, ".pair h2", "random · steps=4", "remdm · steps=4")
    pair.get_by_label("Right").select_option(label="remdm · steps=8")
    until_shown(pair, ".pair h2", "random · steps=4", "remdm · steps=8")
    before = texts(pair, ".pair header .note")
    pair.get_by_role("button", name="Document after").click()
    until(lambda: texts(pair, ".pair header .note") not in (before, []) and texts(pair, ".player"))
    assert len(set(texts(pair, ".pair header .note"))) == 1
    pair.get_by_role("button", name="First step").click()
    pair.get_by_role("button", name="Step forward").click()
    shown = pair.evaluate("[...document.querySelectorAll('.canvas')].map((c) => c.getAttribute('aria-label'))")
    assert shown == ["Canvas after step 1: 1 of 3 positions masked"] * 2


@pytest.fixture(scope="module")
def crowded(browser, tmp_path_factory):
    """A page of two tasks with twenty samplers each, of which cells are damaged."""
    root = tmp_path_factory.mktemp("crowd")
    run, catalogue = new_run(root / "run"), write_task(root / "quiz")
    for i in range(20):
        for steps in (2, 8):
            cell = run.cell(add_cell(run, verdicts(0.2 + i / 40 + steps / 40, 40, seed=i), f"s{i:02}", steps))
            cell.write_scores("again", "other", cell.read_scores("s"), cell.read_summary("s").metrics)
    frame = read_frame([run], catalogue)
    rankings = rank_all(frame.table, frame.tasks, resamples=200)
    site = write_site(run.root, *frame[:2], catalogue, rankings=rankings, problems=["a cell <b>is</b> damaged"])
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    opened.goto(site.as_uri())
    yield opened
    opened.close()


def test_the_ranks_on_all_tasks_come_first_then_one_task_in_words_and_numbers(crowded):
    until(lambda: texts(crowded, "h1"))
    assert texts(crowded, ".problem li") == ["a cell <b>is</b> damaged"]
    assert texts(crowded, "thead th") == ["Sampler", "Mean rank", "Tasks", "quiz", "quiz@other"]
    assert len(texts(crowded, "tbody tr")) == 20
    crowded.get_by_role("button", name="quiz@other · toy").click()
    until(lambda: len(texts(crowded, "table")) == 2)
    (words,) = texts(crowded, ".verdict")
    assert " is first" in words
    ranked, settings = (crowded.locator("table").nth(i) for i in (0, 1))
    assert ranked.locator("tbody tr").count() == 20
    assert settings.locator("tbody tr").count() == 40
    crowded.get_by_label("Filter").fill("s03")
    until(lambda: ranked.locator("tbody tr").count() == 1)
    assert settings.locator("tbody tr").count() == 2


def test_of_many_curves_some_have_colour_and_the_list_decides_which(crowded):
    crowded.evaluate("location.hash = 'curves'")
    until_shown(crowded, "#curves-plot .xtitle", "NFE per sample")

    def coloured():
        grey = "getComputedStyle(document.documentElement).getPropertyValue('--quiet').trim()"
        drawn = "document.getElementById('curves-plot').data.filter((trace) => trace.name)"
        return set(
            crowded.evaluate(f"{drawn}.filter((trace) => trace.line.color !== {grey}).map((trace) => trace.name)")
        )

    until(lambda: len(coloured()) == 8)
    ticked = "[...document.querySelectorAll('.toggles .check')].filter((box) => box.control.checked)"
    assert coloured() == set(crowded.evaluate(f"{ticked}.map((box) => box.textContent)")) - {"Others in grey"}
    crowded.get_by_role("button", name="None", exact=True).click()
    until(lambda: coloured() == set())
    crowded.get_by_label("s00", exact=True).check()
    until(lambda: coloured() == {"s00"})
    crowded.get_by_label("Others in grey").uncheck()
    until(lambda: crowded.evaluate("document.getElementById('curves-plot').data.filter((t) => t.name).length") == 1)


@pytest.mark.parametrize("name", ["leaderboard", "curves", "samples", "compare"])
def test_every_control_has_a_name(page, name):
    unnamed = page(name).evaluate(
        """[...document.querySelectorAll('button, input, select, a')].filter((element) => !element.textContent.trim()
        && !element.getAttribute('aria-label') && !element.labels?.length).map((element) => element.outerHTML)"""
    )
    assert [html for html in unnamed if "modebar" not in html] == []
