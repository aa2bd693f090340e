/** One slide of the gallery: its thumbnail and name, as a link to the viewer. */

import { element } from "./element.js";

/**
 * @typedef {import("./api.js").Api} Api
 * @typedef {import("./token.js").TokenKeeper} TokenKeeper
 */

const THUMBNAIL_SIZE = 512;

export class ThumbnailCard {
  /** @type {string} */ #id;
  /** @type {Api} */ #api;
  /** @type {TokenKeeper} */ #keeper;
  /** @type {HTMLAnchorElement} */ #link;
  /** @type {HTMLImageElement} */ #image;

  /**
   * @param {string} id
   * @param {Api} api
   * @param {TokenKeeper} keeper
   */
  constructor(id, api, keeper) {
    this.#id = id;
    this.#api = api;
    this.#keeper = keeper;
    const slash = id.lastIndexOf("/") + 1;
    // The name beside it says the same: an alternative text would be read twice.
    this.#image = element("img", { alt: "", loading: "lazy", decoding: "async" });
    this.#link = element(
      "a",
      { class: "slide", title: id },
      element("span", { class: "preview" }, this.#image),
      element(
        "span",
        { class: "caption" },
        element("span", { class: "name" }, id.slice(slash) || id),
        element("span", { class: "folder" }, id.slice(0, slash)),
      ),
    );
    /** The element to put into the page. */
    this.node = element("li", {}, this.#link);
    this.sign();
    this.#loadImage();
  }

  /** Let the link carry the current token. */
  sign() {
    this.#link.href = this.#api.signed(this.#api.viewerPath(this.#id));
  }

  /** @param {boolean} [again] Whether a failure has been answered with a new token already. */
  #loadImage(again = false) {
    const { token } = this.#keeper;
    const path = this.#api.thumbnailPath(this.#id, THUMBNAIL_SIZE);
    this.#image.onload = () => this.#link.classList.add("loaded");
    this.#image.onerror = async () => {
      // The browser does not say why. Where the token may have ended, another is worth a try.
      const ended = token !== null && token.exp * 1000 <= Date.now();
      if (!again && ended && (await this.#keeper.replace(token))) this.#loadImage(true);
      else this.#link.classList.add("failed");
    };
    this.#image.src = this.#api.signed(path, token);
  }
}
