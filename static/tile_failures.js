/** Counts the tiles that could not be loaded, says so in a badge, and loads them again on demand. */

import { TILE_RETRIES } from "./tile_source.js";

/**
 * @typedef {object} FailureEvent OpenSeadragon's "tile-load-failed".
 * @property {any} tile
 * @property {any} tiledImage
 * @property {number} tries
 */

export class TileFailures {
  /** @type {Map<string, FailureEvent[]>} By URL: the navigator asks for tiles of its own. */
  #failed = new Map();
  /** @type {HTMLElement} */ #badge;
  /** @type {HTMLElement} */ #count;

  /**
   * @param {HTMLElement} badge
   * @param {HTMLElement} count The part of the badge that names the number.
   * @param {HTMLElement} retry
   */
  constructor(badge, count, retry) {
    this.#badge = badge;
    this.#count = count;
    retry.addEventListener("click", () => this.retry());
    addEventListener("online", () => this.retry());
  }

  /** @param {any} viewer An OpenSeadragon viewer. */
  watch(viewer) {
    viewer.addHandler("tile-load-failed", (/** @type {FailureEvent} */ event) => {
      if (event.tries > TILE_RETRIES) this.#add(event);
    });
  }

  retry() {
    const events = [...this.#failed.values()].flat();
    this.#failed.clear();
    this.#show();
    for (const { tile, tiledImage } of events) {
      tile.exists = true; // OpenSeadragon sets false for good once a tile has failed
      // Nothing else that is public makes it look for tiles while the view stays as it is.
      tiledImage.setClip(tiledImage.getClip());
    }
  }

  /** @param {FailureEvent} event */
  #add(event) {
    const url = event.tile.getUrl();
    this.#failed.set(url, [...(this.#failed.get(url) ?? []), event]);
    this.#show();
  }

  #show() {
    const count = this.#failed.size;
    this.#badge.hidden = count === 0;
    this.#count.textContent = `${count} ${count === 1 ? "tile" : "tiles"} failed`;
  }
}
