/**
 * The page /view/{slide_id}: loads the slide's metadata, shows it, and opens OpenSeadragon on it.
 *
 * @typedef {import("./api.js").Slide} Slide
 */

import { Api, ApiError, readPage } from "./api.js";
import { bindControls, showMagnification } from "./controls.js";
import { drawers } from "./drawer.js";
import { byId, element } from "./element.js";
import { errorCard } from "./error_card.js";
import { findGallery } from "./gallery_address.js";
import { showSlide } from "./panel.js";
import { TileFailures } from "./tile_failures.js";
import { SlideTileSource, TILE_RETRIES } from "./tile_source.js";
import { TokenKeeper } from "./token.js";

const { OpenSeadragon } = globalThis;
const RETRY_DELAY_MS = 1000;
const TILES_AT_ONCE = 8;
const TILE_MEMORY = 160 * 1024 * 1024; // bytes of decoded tiles that OpenSeadragon keeps
const NAVIGATOR_SIDE = { large: 200, small: 120 }; // CSS pixels of the longer side

const page = readPage();
const slideId = page.slide_id ?? "";
const keeper = new TokenKeeper(page.token);
const api = new Api(page.root, keeper);
const message = byId("message");

showTitle();
linkToGallery();
const openPanel = bindPanel();
keeper.addEventListener("expired", () => {
  byId("expired").hidden = false;
});
byId("reload").addEventListener("click", () => location.reload());
if (page.error)
  message.replaceChildren(errorCard(ApiError.of(page.error), () => location.reload()));
else openSlide();

async function openSlide() {
  message.replaceChildren(element("p", { class: "loading", role: "status" }, "Opening the slide…"));
  try {
    const slide = await api.slide(slideId);
    showSlide(byId("facts"), slide);
    openPanel();
    makeViewer(slide);
    message.replaceChildren();
  } catch (error) {
    message.replaceChildren(errorCard(error, openSlide));
  }
}

/** @param {Slide} slide */
function makeViewer(slide) {
  const navigator = byId("navigator");
  const side = matchMedia("(max-width: 48rem)").matches ? "small" : "large";
  const scale = NAVIGATOR_SIDE[side] / Math.max(slide.width, slide.height);
  navigator.style.width = `${slide.width * scale}px`;
  navigator.style.height = `${slide.height * scale}px`;
  navigator.hidden = false;

  keepStyleOut();
  const { tile_width, tile_height } = slide.levels[0];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const viewer = OpenSeadragon({
    element: byId("slide"),
    tileSources: [new SlideTileSource(slide, api)],
    drawer: drawers(),
    showNavigationControl: false,
    showNavigator: true,
    navigatorElement: navigator,
    navigatorOpacity: 1,
    navigatorDisplayRegionColor: "#5ec8d8",
    tileRetryMax: TILE_RETRIES,
    tileRetryDelay: RETRY_DELAY_MS,
    imageLoaderLimit: TILES_AT_ONCE,
    maxTilesPerFrame: TILES_AT_ONCE / 2,
    maxImageCacheCount: Math.max(64, Math.round(TILE_MEMORY / (tile_width * tile_height * 4))),
    maxZoomPixelRatio: 4,
    minZoomImageRatio: 0.8,
    zoomPerScroll: 1.3,
    animationTime: still ? 0.01 : 0.6,
    springStiffness: 8,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    gestureSettingsTouch: { flickEnabled: !still },
  });
  // The navigator is a viewer of its own, to which OpenSeadragon passes on few options.
  const { tileRetryMax, tileRetryDelay } = viewer;
  Object.assign(viewer.navigator.imageLoader, { tileRetryMax, tileRetryDelay });
  const failures = new TileFailures(byId("failures"), byId("failure-count"), byId("retry-tiles"));
  failures.watch(viewer);
  failures.watch(viewer.navigator);
  bindControls(viewer);
  showMagnification(viewer, byId("magnification"), slide.objective_power);
  byId("controls").hidden = false;
  viewer.canvas.setAttribute("role", "img");
  viewer.canvas.setAttribute(
    "aria-label",
    `Slide ${slideId}. Arrow keys move, plus and minus zoom.`,
  );
}

/**
 * OpenSeadragon adds a style element, which our Content-Security-Policy forbids, unless it finds
 * one marked like this. In no namespace it is only a name; viewer.css holds the rule.
 */
function keepStyleOut() {
  const marker = document.createElementNS(null, "style");
  marker.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(marker);
}

function showTitle() {
  const slash = slideId.lastIndexOf("/") + 1;
  byId("folder").textContent = slideId.slice(0, slash);
  byId("name").textContent = slideId.slice(slash);
  byId("title").title = slideId;
}

/** Only who may see the gallery gets a link to it: everybody, or who came from there. */
function linkToGallery() {
  const address = findGallery(page.root);
  const link = /** @type {HTMLAnchorElement} */ (byId("gallery"));
  link.hidden = page.signed && !address;
  if (address) link.href = address;
}

/** @returns {() => void} Opens the panel where the screen has room for it. */
function bindPanel() {
  const panel = byId("panel");
  const toggle = byId("panel-toggle");
  const show = (/** @type {boolean} */ shown) => {
    panel.hidden = !shown;
    toggle.setAttribute("aria-expanded", String(shown));
  };
  toggle.addEventListener("click", () => show(panel.hidden));
  byId("panel-close").addEventListener("click", () => {
    show(false);
    toggle.focus();
  });
  return () => {
    toggle.hidden = false;
    show(matchMedia("(min-width: 60rem)").matches);
  };
}
