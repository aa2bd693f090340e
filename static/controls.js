/** The viewer's keys and buttons: zoom, reset, full screen. Used by viewer.js. */

import { byId } from "./element.js";

const ZOOM_STEP = 1.5;

/** @type {Record<string, string>} Key to the name of what it does. */
const KEYS = {
  "+": "in",
  "=": "in", // the same key without Shift on most keyboards
  "-": "out",
  _: "out",
  Home: "home",
  0: "home",
  f: "fullscreen",
  F: "fullscreen",
};

// Keys that OpenSeadragon gives another meaning: flip, rotate, previous and next image.
const UNWANTED = new Set(["f", "F", "r", "R", "j", "J", "k", "K"]);

/**
 * Bind the buttons of the page and the keyboard to an OpenSeadragon viewer.
 * @param {any} viewer
 */
export function bindControls(viewer) {
  const zoom = (/** @type {number} */ factor) => {
    viewer.viewport.zoomBy(factor);
    viewer.viewport.applyConstraints();
  };
  /** @type {Record<string, () => void>} */
  const actions = {
    in: () => zoom(ZOOM_STEP),
    out: () => zoom(1 / ZOOM_STEP),
    home: () => viewer.viewport.goHome(),
    fullscreen: toggleFullscreen,
  };
  for (const [name, act] of Object.entries(actions)) {
    byId(`zoom-${name}`).addEventListener("click", act);
  }
  byId("zoom-fullscreen").hidden = !document.fullscreenEnabled;

  document.addEventListener("keydown", (event) => {
    const action = actions[KEYS[event.key] ?? ""];
    if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target instanceof HTMLElement && event.target.closest("input, textarea")) return;
    event.preventDefault();
    action();
  });
  // The arrows stay OpenSeadragon's; what the handler above does, it must not do again.
  viewer.addHandler("canvas-key", (/** @type {any} */ event) => {
    const { key } = event.originalEvent;
    if (key in KEYS || UNWANTED.has(key)) event.preventDefaultAction = true;
  });
}

/**
 * Keep `output` telling the magnification: "12×" where the objective is known, else "30 %".
 * @param {any} viewer
 * @param {HTMLElement} output
 * @param {number | null | undefined} objectivePower
 */
export function showMagnification(viewer, output, objectivePower) {
  const update = () => {
    const image = viewer.world.getItemAt(0);
    if (!image) return;
    const zoom = image.viewportToImageZoom(viewer.viewport.getZoom(true)); // screen per slide pixel
    const value = objectivePower ? zoom * objectivePower : zoom * 100;
    const rounded = value.toLocaleString("en", { maximumSignificantDigits: value < 100 ? 2 : 3 });
    output.textContent = objectivePower ? `${rounded}×` : `${rounded} %`;
  };
  viewer.addHandler("animation", update);
  viewer.addHandler("open", update);
  viewer.addHandler("resize", update);
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
}
