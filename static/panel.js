/** The panel that says what is known of a slide. Used by viewer.js. */

import { element } from "./element.js";

/** @typedef {import("./api.js").Slide} Slide */

const UNKNOWN = "unknown";

/**
 * Fill `panel` with the facts of `slide`.
 * @param {HTMLElement} panel
 * @param {Slide} slide
 */
export function showSlide(panel, slide) {
  panel.replaceChildren(
    list([
      ["Format", slide.format],
      ["Vendor", slide.vendor || UNKNOWN],
      ["Size", `${size(slide.width, slide.height)} px`],
      ["Physical size", physicalSize(slide)],
      ["Resolution", resolution(slide)],
      ["Objective power", slide.objective_power ? `${number(slide.objective_power)}×` : UNKNOWN],
      ["Tile size", tileSize(slide)],
      ["Levels", String(slide.level_count)],
    ]),
    levelTable(slide),
    ...details(
      "Associated images",
      (slide.associated_images ?? []).map((name) => [name, ""]),
    ),
    ...details("Properties", properties(slide)),
  );
}

/** @param {Slide} slide */
function physicalSize({ width, height, mpp_x, mpp_y }) {
  if (!mpp_x || !mpp_y) return UNKNOWN;
  return `${millimetres(width * mpp_x)} × ${millimetres(height * mpp_y)} mm`;
}

/** @param {Slide} slide */
function resolution({ mpp_x, mpp_y }) {
  if (!mpp_x || !mpp_y) return UNKNOWN;
  const both = mpp_x === mpp_y ? number(mpp_x) : `${number(mpp_x)} × ${number(mpp_y)}`;
  return `${both} µm/px`;
}

/** @param {Slide} slide */
function tileSize({ levels }) {
  const sizes = new Set(levels.map((level) => size(level.tile_width, level.tile_height)));
  return `${[...sizes].join(", ")} px`;
}

/** @param {Slide} slide */
function levelTable({ levels }) {
  const head = element(
    "tr",
    {},
    ...["Level", "Pixels", "Downsample"].map((name) => element("th", { scope: "col" }, name)),
  );
  const rows = levels.map((level) =>
    element(
      "tr",
      {},
      element("td", {}, String(level.level)),
      element("td", {}, size(level.width, level.height)),
      element("td", {}, `${number(level.downsample)}×`),
    ),
  );
  return element(
    "table",
    { class: "levels" },
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

/**
 * @param {Slide} slide
 * @returns {[string, string][]}
 */
function properties(slide) {
  return Object.entries(slide.properties ?? {})
    .map(([key, value]) => /** @type {[string, string]} */ ([key, text(value)]))
    .sort(([a], [b]) => a.localeCompare(b));
}

/**
 * A closed section, or nothing where there is nothing to show.
 * @param {string} title
 * @param {[string, string][]} entries
 */
function details(title, entries) {
  if (!entries.length) return [];
  const summary = element(
    "summary",
    {},
    title,
    " ",
    element("span", { class: "count" }, String(entries.length)),
  );
  return [element("details", {}, summary, list(entries))];
}

/** @param {[string, string][]} entries An empty value leaves the name alone. */
function list(entries) {
  const rows = entries.map(([name, value]) =>
    element(
      "div",
      {},
      element("dt", {}, name),
      ...(value ? [element("dd", value === UNKNOWN ? { class: "unknown" } : {}, value)] : []),
    ),
  );
  return element("dl", {}, ...rows);
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {number} width
 * @param {number} height
 */
function size(width, height) {
  return `${number(width)} × ${number(height)}`;
}

/** @param {number} micrometres */
function millimetres(micrometres) {
  return (micrometres / 1000).toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** @param {number} value */
function number(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 4 });
}
