/**
 * The page /: lists the slides with thumbnails, page by page as one scrolls, and searches them.
 * The search is kept in the fragment (#search=…), as the query may be signed.
 */

import { Api, ApiError, readPage } from "./api.js";
import { byId, element } from "./element.js";
import { errorCard } from "./error_card.js";
import { rememberGallery } from "./gallery_address.js";
import { ThumbnailCard } from "./thumbnail_card.js";
import { TokenKeeper } from "./token.js";

const PAGE_SIZE = 60;
const TYPING_MS = 250;

const page = readPage();
const keeper = new TokenKeeper(page.token);
const api = new Api(page.root, keeper);
const search = /** @type {HTMLInputElement} */ (byId("search"));
const grid = byId("slides");
const status = byId("status");
const message = byId("message");
const more = byId("more");

/** What the list is of; the field may say something else while one types. */
let wanted = "";
/** @type {ThumbnailCard[]} */
let cards = [];
/** @type {string | null | undefined} */
let cursor;
/** A number for each search: answers to an earlier one are dropped. */
let current = 0;
let loading = false;

keeper.addEventListener("renewed", () => cards.forEach((card) => card.sign()));
keeper.addEventListener("expired", () => {
  byId("expired").hidden = false;
});
byId("reload").addEventListener("click", () => location.reload());
byId("version").textContent = page.version;
more.addEventListener("click", load);
// Starts early enough that one rarely sees the end of the list.
const scrolling = new IntersectionObserver(([entry]) => entry.isIntersecting && load(), {
  rootMargin: "600px",
});
if (page.error) {
  message.replaceChildren(errorCard(ApiError.of(page.error), () => location.reload()));
} else {
  listenToSearch();
  start();
}

/** List the slides from the first, as the search field says. */
function start() {
  rememberGallery(page.root);
  wanted = search.value.trim();
  current += 1;
  cards = [];
  cursor = null;
  loading = false;
  grid.replaceChildren();
  load();
}

async function load() {
  if (loading) return;
  const mine = current;
  loading = true;
  more.hidden = true;
  status.textContent = "Loading…";
  const first = cards.length === 0;
  message.replaceChildren(
    ...(first ? [element("p", { class: "loading" }, "Loading slides…")] : []),
  );
  try {
    const answer = await api.listSlides({ limit: PAGE_SIZE, cursor, search: wanted });
    if (mine === current) show(answer);
  } catch (error) {
    if (mine === current) fail(error);
  }
}

/** @param {import("./api.js").SlideList} answer */
function show({ slides, next_cursor }) {
  const made = slides.map((id) => new ThumbnailCard(id, api, keeper));
  cards.push(...made);
  grid.append(...made.map((card) => card.node));
  cursor = next_cursor;
  settle();
  more.hidden = !cursor;
  if (cursor) {
    // Observing anew asks whether the end is in view already, as after a page without matches.
    scrolling.unobserve(more);
    scrolling.observe(more);
    return;
  }
  if (!cards.length) message.replaceChildren(emptyCard());
}

/** @param {unknown} error */
function fail(error) {
  settle();
  scrolling.unobserve(more);
  message.replaceChildren(errorCard(error, load));
}

function settle() {
  loading = false;
  message.replaceChildren();
  const count = `${cards.length}${cursor ? "+" : ""}`;
  status.textContent = `${count} ${cards.length === 1 && !cursor ? "slide" : "slides"}`;
}

function emptyCard() {
  return element(
    "section",
    { class: "card" },
    element("h2", {}, wanted ? "No slide matches" : "No slides yet"),
    element(
      "p",
      {},
      wanted
        ? `Nothing in the name of any slide looks like “${wanted}”.`
        : "Slides that are put into the storage of this server appear here.",
    ),
  );
}

function listenToSearch() {
  const fromAddress = () => new URLSearchParams(location.hash.slice(1)).get("search") ?? "";
  search.value = fromAddress();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const text = search.value.trim();
      const hash = text ? `#${new URLSearchParams({ search: text })}` : "";
      history.replaceState(null, "", location.href.split("#")[0] + hash);
      start();
    }, TYPING_MS);
  });
  addEventListener("hashchange", () => {
    if (fromAddress() === search.value.trim()) return;
    search.value = fromAddress();
    start();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target === search) return;
    event.preventDefault();
    search.focus();
  });
}
