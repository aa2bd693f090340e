/** The card that stands in for content that could not be loaded. Used by both pages. */

import { button, element } from "./element.js";

/** @typedef {import("./api.js").ApiError} ApiError */

/** @type {Record<number, string>} */
const TITLES = {
  0: "No connection to the server",
  401: "This link is not valid, or has expired",
  403: "You may not see this",
  404: "This slide was not found",
  415: "This file cannot be shown",
  429: "The server is busy",
  503: "The server is busy",
};

/**
 * @param {unknown} error
 * @param {() => void} retry
 * @returns {HTMLElement}
 */
export function errorCard(error, retry) {
  const { status, code, message } = describe(error);
  const detail = [status ? `HTTP ${status}` : "", code].filter(Boolean).join(" · ");
  return element(
    "section",
    { class: "card error-card", role: "alert" },
    element("h2", {}, TITLES[status] ?? "The server had a problem"),
    element("p", {}, message),
    element("p", { class: "detail" }, detail),
    element("p", { class: "actions" }, button("Retry", retry)),
  );
}

/**
 * @param {unknown} error
 * @returns {{ status: number, code: string, message: string }}
 */
function describe(error) {
  if (error instanceof Error && "status" in error) return /** @type {ApiError} */ (error);
  return { status: -1, code: "", message: error instanceof Error ? error.message : String(error) };
}
