"""The pages in a real browser, against a real server: what people see, and what they would lose."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")

VIEWPORT = {"width": 1280, "height": 800}
SLIDE = "plain.svs"
TIMEOUT_MS = 20_000
TRIES = 4  # of a tile: one, and three more

REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy forbids ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
# Where WebGL runs on the processor, as in this browser, the viewer takes the plain canvas.
PRETEND_GRAPHICS_CARD = """
for (const { prototype } of [WebGLRenderingContext, WebGL2RenderingContext]) {
  const { getParameter } = prototype;
  prototype.getParameter = function (name) {
    return name === 37446 || name === 7937 ? "A graphics card" : getParameter.call(this, name);
  };
}
"""
VIEWER = "OpenSeadragon.getViewer(document.getElementById('slide'))"
# Waits until everything is drawn or has failed, and for five frames nothing more is going on.
REST = f"""async () => {{
  const isAtRest = () => {{
    const viewer = window.OpenSeadragon && {VIEWER};
    const image = viewer?.world.getItemAt(0);
    if (!image || viewer.isAnimating() || viewer.imageLoader.jobsInProgress) return false;
    // With tiles missing, OpenSeadragon never has enough of drawing.
    if (!document.getElementById("failures").hidden) return true;
    return image.getFullyLoaded() && !viewer.world.needsDraw();
  }};
  let calm = 0;
  for (let frame = 0; frame < 2000 && calm < 5; frame += 1) {{
    await new Promise(requestAnimationFrame);
    calm = isAtRest() ? calm + 1 : 0;
  }}
  return calm === 5;
}}"""
OVERLAYS = ("navigator", "controls", "notices")

Color = tuple[int, ...]


@dataclass
class Visit:
    """A tab of the browser, what it has asked for, and what the browser complains of."""

    page: Any
    urls: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def pixel_urls(self) -> list[str]:
        """The URLs of tiles and thumbnails that were asked for, in order."""
        return [url for url in self.urls if re.search(r"/tiles/|/thumbnail$", urlsplit(url).path)]

    def view(self, url: str) -> None:
        """Open a viewer and wait until the slide is drawn."""
        self.page.goto(url)
        self.rest()

    def rest(self) -> None:
        """Wait until the viewer stands still and has drawn all that it wants to."""
        assert self.page.evaluate(REST), "the viewer does not come to rest"

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """Where in the window the viewer has a point of level 0."""
        left, top = self.page.evaluate(
            f"""([x, y]) => {{
              const point = new OpenSeadragon.Point(x, y);
              const place = {VIEWER}.world.getItemAt(0).imageToWindowCoordinates(point);
              return [place.x, place.y];
            }}""",
            [x, y],
        )
        return left, top

    def zoom(self) -> float:
        """The zoom that the viewer is at or moving to."""
        return float(self.page.evaluate(f"{VIEWER}.viewport.getZoom(false)"))

    def token(self) -> dict[str, Any]:
        """The token with which the page was opened."""
        return self.page.evaluate("JSON.parse(document.getElementById('page').textContent).token")

    def screen(self) -> Image.Image:
        """What the window shows, without what lies over the slide."""
        for name in OVERLAYS:
            self.page.locator(f"#{name}").evaluate("(it) => it.style.setProperty('opacity', '0')")
        return Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")


@pytest.fixture
def visit(browser) -> Iterator[Visit]:
    context = browser.new_context(viewport=VIEWPORT, reduced_motion="reduce")
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.add_init_script(REPORT_VIOLATIONS)
    visit = Visit(page)
    page.on("request", lambda request: visit.urls.append(request.url))
    page.on("console", lambda note: note.type == "error" and visit.complaints.append(note.text))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    yield visit
    context.close()


def expect(it):
    sync_api.expect.set_options(timeout=TIMEOUT_MS)
    return sync_api.expect(it)


def view_path(slide_id: str) -> str:
    return f"/view/{quote(slide_id)}"


def is_close(one: Color, other: Color, tolerance: int = 8) -> bool:
    return all(abs(int(a) - int(b)) <= tolerance for a, b in zip(one, other, strict=True))


def is_renewal(request) -> bool:
    """Whether a page asks its own address for a new token."""
    return request.headers.get("accept") == "application/json"


def error_body(status: int, message: str = "told so by the test") -> dict[str, Any]:
    return {"error": "some_code", "message": message, "status": status}


def misplaced(visit: Visit, painted) -> list[tuple[int, int]]:
    """The points of level 0, of some all over the slide, that are not shown in their place."""
    screen = visit.screen()
    width, height = painted.size
    wrong = []
    for x in range(20, width - 20, 70):
        for y in range(20, height - 20, 70):
            left, top = visit.on_screen(x + 0.5, y + 0.5)
            if not is_close(screen.getpixel((int(left), int(top))), painted.levels[0][y, x]):
                wrong.append((x, y))
    return wrong


def show_all(visit: Visit, url: str):
    """Open a gallery and return the cards of all its slides."""
    visit.page.goto(url)
    more = visit.page.get_by_role("button", name="Load more")
    cards = visit.page.locator(".slide")
    expect(cards.first).to_be_visible()
    while more.is_visible():
        count = cards.count()
        visit.page.locator("footer").scroll_into_view_if_needed()
        expect(cards.nth(count)).to_be_attached()
        expect(visit.page.get_by_role("status")).to_contain_text("slides")
    return cards


# --- The gallery


def test_gallery_shows_slides_with_thumbnails_that_lead_to_the_viewer(visit, live_server, bucket):
    cards = show_all(visit, f"{live_server.url}/")
    titles = cards.evaluate_all("(all) => all.map((it) => it.title)")
    assert sorted(titles, key=str.encode) == list(bucket.ids)

    visit.page.get_by_label("Search slides by name").fill(SLIDE)
    card = visit.page.get_by_title(SLIDE, exact=True)
    expect(card).to_have_class(re.compile(r"\bloaded\b"))
    width, height = card.locator("img").evaluate("(it) => [it.naturalWidth, it.naturalHeight]")
    assert width / height == pytest.approx(1500 / 1100, rel=0.01)
    card.click()
    visit.rest()
    assert urlsplit(visit.page.url).path == view_path(SLIDE)


def test_gallery_says_of_which_slides_there_is_no_preview(visit, live_server):
    visit.page.goto(f"{live_server.url}/#search=broken/text")
    card = visit.page.get_by_title("broken/text.svs")
    expect(card).to_have_class(re.compile(r"\bfailed\b"))
    assert "No preview" in card.evaluate(
        "(it) => getComputedStyle(it.querySelector('.preview'), '::after').content"
    )


def test_gallery_finds_slides_by_name_and_says_when_there_are_none(visit, live_server):
    visit.page.goto(f"{live_server.url}/")
    search = visit.page.get_by_label("Search slides by name")
    search.fill("PLAIN.SVS")
    expect(visit.page.locator(".slide")).to_have_count(1)
    assert visit.page.url.endswith("#search=PLAIN.SVS")

    search.fill("no slide is called this")
    expect(visit.page.get_by_role("heading", name="No slide matches")).to_be_visible()
    visit.page.reload()
    expect(search).to_have_value("no slide is called this")
    expect(visit.page.get_by_role("heading", name="No slide matches")).to_be_visible()


def test_gallery_loads_further_slides_as_one_scrolls(visit, live_server, bucket):
    visit.page.goto(f"{live_server.url}/")
    cards = visit.page.locator(".slide")
    expect(cards.first).to_be_visible()
    assert 0 < cards.count() < len(bucket.ids)
    visit.page.locator("footer").scroll_into_view_if_needed()
    expect(cards).to_have_count(len(bucket.ids))
    expect(visit.page.get_by_role("status")).to_have_text(f"{len(bucket.ids)} slides")
    expect(visit.page.get_by_role("button", name="Load more")).to_be_hidden()


def test_gallery_goes_on_past_a_page_without_matches(visit, live_server):
    # A search through a large bucket may end a page early: nothing yet, but more to look at.
    pages = [
        {"slides": [], "next_cursor": "a"},
        {"slides": [], "next_cursor": "b"},
        {"slides": ["found.svs"], "next_cursor": None},
    ]
    visit.page.route("**/slides?**", lambda route: route.fulfill(json=pages.pop(0)))
    visit.page.goto(f"{live_server.url}/")
    expect(visit.page.get_by_title("found.svs")).to_be_visible()


def test_gallery_says_what_went_wrong_and_recovers(visit, live_server):
    body = error_body(500, "The bucket is asleep")
    visit.page.route("**/slides?**", lambda route: route.fulfill(status=500, json=body))
    visit.page.goto(f"{live_server.url}/#search={SLIDE}")
    expect(visit.page.get_by_role("alert")).to_contain_text("The bucket is asleep")
    visit.page.unroute("**/slides?**")
    visit.page.get_by_role("button", name="Retry").click()
    expect(visit.page.get_by_title(SLIDE, exact=True)).to_be_visible()
    expect(visit.page.get_by_role("button", name="Retry")).to_be_hidden()


# --- The viewer


def test_viewer_paints_the_slide_from_its_own_tiles(visit, live_server, bucket):
    painted = bucket.painted[SLIDE]
    visit.view(live_server.url + view_path(SLIDE))
    assert misplaced(visit, painted) == []
    columns, rows = painted.grid(0)
    tiles = {f"/tiles/{SLIDE}/0/{col}/{row}.jpg" for col in range(columns) for row in range(rows)}
    assert tiles <= {urlsplit(url).path for url in visit.pixel_urls()}


def test_viewer_tells_what_is_known_of_the_slide(visit, live_server):
    visit.view(live_server.url + view_path(SLIDE))
    details = visit.page.get_by_label("Details of the slide")
    for fact in ("1,500 × 1,100 px", "0.749 × 0.549 mm", "0.499 µm/px", "20×", "Aperio SVS"):
        expect(details).to_contain_text(fact)
    visit.page.get_by_text("Properties").click()
    expect(details.get_by_text("aperio.Filename")).to_be_visible()
    visit.page.get_by_role("button", name="Details", exact=True).click()
    expect(details).to_be_hidden()

    visit.view(live_server.url + view_path("flat.tif"))
    expect(details.locator("dt:text-is('Physical size') + dd")).to_have_text("unknown")


def test_keyboard_zooms_resets_and_fills_the_screen(visit, live_server):
    visit.view(live_server.url + view_path(SLIDE))
    home = visit.zoom()
    visit.page.keyboard.press("+")
    visit.page.keyboard.press("+")
    assert visit.zoom() == pytest.approx(home * 1.5**2)
    visit.page.keyboard.press("-")
    assert visit.zoom() == pytest.approx(home * 1.5)
    visit.page.keyboard.press("Home")
    assert visit.zoom() == pytest.approx(home)
    # The same with the slide in focus, where OpenSeadragon has keys of its own.
    visit.page.locator(".openseadragon-canvas").first.focus()
    visit.page.keyboard.press("+")
    assert visit.zoom() == pytest.approx(home * 1.5)
    visit.page.keyboard.press("f")
    visit.page.wait_for_function("document.fullscreenElement")
    assert visit.page.evaluate(f"{VIEWER}.viewport.getFlip()") is False
    visit.page.keyboard.press("f")
    visit.page.wait_for_function("!document.fullscreenElement")


def test_pages_ask_no_other_host_and_keep_to_their_policy(visit, live_server):
    visit.page.goto(f"{live_server.url}/#search={SLIDE}")
    card = visit.page.get_by_title(SLIDE, exact=True)
    expect(card).to_have_class(re.compile(r"\bloaded\b"))
    card.click()
    visit.rest()
    visit.page.keyboard.press("+")
    visit.rest()
    visit.page.get_by_role("button", name="Close the details").click()
    visit.page.get_by_role("link", name="Slides").click()
    expect(card).to_be_visible()
    assert visit.page.url.endswith(f"/#search={SLIDE}")
    assert {url for url in visit.urls if not url.startswith((live_server.url, "blob:"))} == set()
    assert visit.complaints == []


def test_slides_with_odd_names_open_from_the_gallery(visit, live_server, bucket):
    cards = show_all(visit, f"{live_server.url}/")
    links = cards.evaluate_all("(all) => all.map((it) => [it.title, it.href])")
    wrong = []
    # The others need no care in an address.
    odd = {name: color for name, color in bucket.odd_colors.items() if quote(name, "/:=@") != name}
    for slide_id, color in odd.items():
        visit.view(dict(links)[slide_id])
        expect(visit.page.locator("#title")).to_have_text(slide_id, use_inner_text=False)
        x, y = visit.on_screen(48, 32)
        if not is_close(visit.screen().getpixel((int(x), int(y))), color):
            wrong.append(slide_id)
    assert wrong == []


# Width, height, tile width and tile height of the levels of slides that nobody has seen yet.
ODD_PYRAMIDS = {
    "trimmed": [(1001, 777, 240, 192), (250, 194, 256, 256)],
    "uneven": [(1003, 611, 256, 128), (397, 255, 100, 300), (397, 255, 64, 64), (61, 37, 16, 48)],
}


def make_metadata(levels: list[tuple[int, int, int, int]]) -> dict[str, Any]:
    """Return what the server would answer for a slide with these levels."""
    width, height = levels[0][:2]
    documents = [
        {
            "level": index,
            "width": size[0],
            "height": size[1],
            "tile_width": size[2],
            "tile_height": size[3],
            "tiles_x": -(-size[0] // size[2]),
            "tiles_y": -(-size[1] // size[3]),
            "downsample": width / size[0],
        }
        for index, size in enumerate(levels)
    ]
    head = {"slide_id": SLIDE, "format": "Painted", "width": width, "height": height}
    return {**head, "level_count": len(levels), "levels": documents}


def paint_of(column: int, row: int) -> Color:
    """Return a colour that differs from those of all tiles around."""
    return (40 + column * 53 % 200, 40 + row * 71 % 200, (column * 3 + row * 5) % 8 * 30)


def cropped(level: tuple[int, int, int, int], column: int, row: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a tile in pixels of its level."""
    width, height, tile_width, tile_height = level
    x, y = column * tile_width, row * tile_height
    return x, y, min(x + tile_width, width), min(y + tile_height, height)


# WebGL on a processor is slow: once is enough.
@pytest.mark.parametrize(
    ("drawer", "pyramid"), [("canvas", "trimmed"), ("canvas", "uneven"), ("webgl", "trimmed")]
)
def test_tiles_of_odd_levels_are_drawn_in_their_place(visit, live_server, drawer, pyramid):
    levels = ODD_PYRAMIDS[pyramid]
    shown = [0]

    def answer_tile(route) -> None:
        level, column, row = map(int, re.findall(r"\d+", urlsplit(route.request.url).path)[-3:])
        if level != shown[0]:  # only one at a time, so that no other can cover for it
            return route.fulfill(status=404, json=error_body(404))
        left, top, right, bottom = cropped(levels[level], column, row)
        image = io.BytesIO()
        Image.new("RGB", (right - left, bottom - top), paint_of(column, row)).save(image, "PNG")
        return route.fulfill(body=image.getvalue(), content_type="image/png")

    if drawer == "webgl":
        visit.page.add_init_script(PRETEND_GRAPHICS_CARD)
    visit.page.route(f"**/slides/{SLIDE}", lambda it: it.fulfill(json=make_metadata(levels)))
    visit.page.route("**/tiles/**", answer_tile)
    for shown[0], level in enumerate(levels):
        visit.view(live_server.url + view_path(SLIDE))
        assert visit.page.evaluate(f"{VIEWER}.drawer.getType()") == drawer
        assert misplaced_tiles(visit, levels[0], level) == []


def misplaced_tiles(visit: Visit, whole: tuple[int, ...], level: tuple[int, ...]) -> list[Any]:
    """Return the corners of tiles that do not show their tile two pixels of the screen inside."""
    left, top = visit.on_screen(0, 0)
    right, bottom = visit.on_screen(whole[0], whole[1])
    scale_x, scale_y = (right - left) / level[0], (bottom - top) / level[1]
    screen = visit.screen()
    wrong = []
    for column in range(-(-level[0] // level[2])):
        for row in range(-(-level[1] // level[3])):
            x0, y0, x1, y1 = cropped(level, column, row)
            for x in (left + x0 * scale_x + 2.5, left + x1 * scale_x - 2.5):
                for y in (top + y0 * scale_y + 2.5, top + y1 * scale_y - 2.5):
                    color = screen.getpixel((int(x), int(y)))
                    if not is_close(color, paint_of(column, row)):
                        wrong.append((column, row, int(x), int(y), color))
    return wrong


def test_first_view_of_a_huge_slide_takes_a_few_thumbnails_instead_of_hundreds_of_tiles(
    visit, live_server, bucket
):
    levels = [(96_000, 64_000, 240, 240), (24_000, 16_000, 240, 240)]
    picture = bucket.painted["flat.tif"].levels[0]

    def answer_thumbnail(route) -> None:
        (size,) = parse_qs(urlsplit(route.request.url).query)["max_size"]
        image = io.BytesIO()
        Image.fromarray(picture).resize((int(size), int(size) * 2 // 3)).save(image, "PNG")
        route.fulfill(body=image.getvalue(), content_type="image/png")

    visit.page.route(f"**/slides/{SLIDE}", lambda it: it.fulfill(json=make_metadata(levels)))
    visit.page.route("**/thumbnail?**", answer_thumbnail)
    visit.view(live_server.url + view_path(SLIDE))
    assert not [url for url in visit.pixel_urls() if "/tiles/" in url]
    x, y = visit.on_screen(48_000, 32_000)
    height, width = picture.shape[:2]
    shown = visit.screen().getpixel((int(x), int(y)))
    assert is_close(shown, picture[height // 2, width // 2], 16)


# --- When something fails


def test_missing_slide_is_explained_in_words(visit, live_server):
    answer = visit.page.goto(f"{live_server.url}/view/no/such%20slide.svs")
    assert answer.status == 404
    card = visit.page.get_by_role("alert")
    expect(card).to_contain_text("This slide was not found")
    expect(card).to_contain_text("no/such slide.svs")
    expect(card.get_by_role("button", name="Retry")).to_be_visible()


def test_slide_that_cannot_be_opened_is_explained_and_retried(visit, live_server):
    address = f"**/slides/{SLIDE}"
    visit.page.route(
        address, lambda it: it.fulfill(status=500, json=error_body(500, "The disk is on fire"))
    )
    visit.page.goto(live_server.url + view_path(SLIDE))
    card = visit.page.get_by_role("alert")
    expect(card).to_contain_text("The disk is on fire")

    visit.page.unroute(address)
    visit.page.route(address, lambda it: it.abort())
    card.get_by_role("button", name="Retry").click()
    expect(card).to_contain_text("No connection to the server")

    visit.page.unroute(address)
    card.get_by_role("button", name="Retry").click()
    visit.rest()
    expect(card).to_be_hidden()


def test_failing_tiles_are_counted_and_recover_on_retry(visit, live_server, bucket):
    first_column = re.compile(rf"/tiles/{SLIDE}/0/0/")
    visit.page.route(first_column, lambda it: it.fulfill(status=503, json=error_body(503)))
    visit.page.goto(live_server.url + view_path(SLIDE))
    badge = visit.page.locator("#failures")
    rows = bucket.painted[SLIDE].grid(0)[1]
    expect(badge).to_contain_text(f"{rows} tiles failed")
    visit.rest()
    asked = [url for url in visit.pixel_urls() if first_column.search(url)]
    assert len(asked) == TRIES * rows

    visit.page.unroute(first_column)
    badge.get_by_role("button", name="Retry").click()
    expect(badge).to_be_hidden()
    visit.rest()
    asked = [url for url in visit.pixel_urls() if first_column.search(url)]
    assert len(asked) == TRIES * rows + rows
    assert misplaced(visit, bucket.painted[SLIDE]) == []


def test_tiles_that_do_not_exist_are_not_asked_for_again(visit, live_server):
    visit.page.route("**/tiles/**", lambda it: it.fulfill(status=404, json=error_body(404)))
    visit.page.goto(live_server.url + view_path(SLIDE))
    expect(visit.page.locator("#failures")).to_be_visible()
    visit.rest()
    paths = Counter(urlsplit(url).path for url in visit.pixel_urls())
    assert max(paths.values()) <= 2  # once for the slide, once for the navigator


# --- With authentication on


def test_signed_links_open_the_gallery_and_slides_with_authentication_on(visit, closed_server):
    for path in ("/", view_path(SLIDE)):
        answer = visit.page.goto(closed_server.url + path)
        assert answer.status == 401
        expect(visit.page.get_by_role("alert")).to_contain_text("not valid, or has expired")

    visit.page.goto(f"{closed_server.sign('/')}#search={SLIDE}")
    card = visit.page.get_by_title(SLIDE, exact=True)
    expect(card).to_have_class(re.compile(r"\bloaded\b"))
    card.click()
    visit.rest()
    visit.page.get_by_role("link", name="Slides").click()
    expect(card).to_have_class(re.compile(r"\bloaded\b"))


def test_viewer_opens_for_all_where_the_operator_left_it_public(visit, signed_server, bucket):
    visit.view(signed_server.url + view_path(SLIDE))
    assert misplaced(visit, bucket.painted[SLIDE]) == []


def test_viewer_works_from_a_signed_link(visit, closed_server, bucket):
    visit.view(closed_server.sign(view_path(SLIDE)))
    assert misplaced(visit, bucket.painted[SLIDE]) == []
    assert visit.page.get_by_role("link", name="Slides").is_hidden()
    assert visit.complaints == []


def test_token_is_renewed_before_it_ends_and_no_tile_is_fetched_again(visit, closed_server, bucket):
    visit.page.clock.install()
    missing = f"**/tiles/{SLIDE}/0/1/1.jpg?**"
    visit.page.route(missing, lambda it: it.fulfill(status=404, json=error_body(404)))
    url = closed_server.sign(view_path(SLIDE))
    visit.view(url)
    before = visit.pixel_urls()
    life = visit.token()["exp"] - visit.page.evaluate("Date.now() / 1000")
    visit.page.clock.fast_forward(int(life * 0.78) * 1000)
    assert visit.urls.count(url) == 1
    with visit.page.expect_response(lambda it: is_renewal(it.request)) as renewal:
        visit.page.clock.fast_forward(int(life * 0.04) * 1000)
    assert renewal.value.url == url
    visit.page.unroute(missing)
    visit.page.get_by_role("button", name="Retry").click()
    visit.rest()

    assert misplaced(visit, bucket.painted[SLIDE]) == []
    (later,) = visit.pixel_urls()[len(before) :]
    token = renewal.value.json()["token"]
    assert urlsplit(later).path == f"/tiles/{SLIDE}/0/1/1.jpg"
    assert parse_qs(urlsplit(later).query) == {"vt": [token["vt"]], "exp": [str(token["exp"])]}


def test_tile_that_was_refused_is_fetched_with_a_new_token(visit, closed_server, bucket):
    refused = []

    def refuse_the_first(route) -> None:
        if refused:
            return route.fallback()
        refused.append(route.request.url)
        return route.fulfill(status=401, json=error_body(401))

    visit.page.route("**/tiles/**", refuse_the_first)
    with visit.page.expect_response(lambda it: is_renewal(it.request)) as renewal:
        visit.view(closed_server.sign(view_path(SLIDE)))
    assert renewal.value.status == 200
    assert misplaced(visit, bucket.painted[SLIDE]) == []
    expect(visit.page.locator("#failures")).to_be_hidden()


def test_end_of_a_link_is_announced_and_stops_all_requests(visit, closed_server):
    url = closed_server.sign(view_path(SLIDE))
    visit.page.route("**/tiles/**", lambda it: it.fulfill(status=401, json=error_body(401)))
    visit.page.route(
        "**/view/**",
        lambda it: (
            it.fulfill(status=401, json=error_body(401))
            if is_renewal(it.request)
            else it.fallback()
        ),
    )
    visit.page.goto(url)
    expect(visit.page.get_by_text("This link has expired")).to_be_visible()
    visit.rest()
    asked = len(visit.urls)
    visit.page.keyboard.press("+")
    visit.page.keyboard.press("+")
    visit.rest()
    assert visit.urls[asked:] == []


@pytest.mark.parametrize("form", ["/dzi", ".dzi"])
def test_openseadragon_shows_a_slide_given_only_its_deepzoom_url(visit, live_server, form):
    visit.view(live_server.url + view_path(SLIDE))
    shown = visit.page.evaluate(
        """url => new Promise((done) => {
            const element = document.createElement("div");
            element.style.width = element.style.height = "600px";
            document.body.append(element);
            let loaded = 0, failed = 0;
            const viewer = OpenSeadragon({
                element, tileSources: url, drawer: "canvas", showNavigationControl: false,
            });
            viewer.addHandler("tile-loaded", () => { loaded += 1; });
            viewer.addHandler("tile-load-failed", () => { failed += 1; });
            viewer.addHandler("open", () => {
                const image = viewer.world.getItemAt(0);
                const finish = () => done({ loaded, failed, width: image.getContentSize().x });
                image.addOnceHandler("fully-loaded-change", finish);
            });
            viewer.addHandler("open-failed", (event) => done({ message: event.message }));
        })""",
        f"{live_server.url}/slides/{SLIDE}{form}",
    )
    width = live_server.ask(f"/slides/{SLIDE}").json()["width"]
    assert shown["width"] == width
    assert shown["loaded"] > 0
    assert shown["failed"] == 0
