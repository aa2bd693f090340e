/**
 * Gives OpenSeadragon the slide's own levels and tiles, whatever their sizes and ratios.
 *
 * OpenSeadragon counts levels from the smallest (0) up, and works in a plane where the slide is 1
 * wide. Each level is stretched over the whole slide, in x and y apart: scanners trim levels to
 * whole pixels, so the ratio of two widths is rarely that of the heights, nor an integer.
 *
 * @typedef {import("./api.js").Api} Api
 * @typedef {import("./api.js").ApiError} ApiError
 * @typedef {import("./api.js").Slide} Slide
 *
 * @typedef {object} TileLevel
 * @property {number} width
 * @property {number} height
 * @property {number} tile_width
 * @property {number} tile_height
 * @property {number} tiles_x
 * @property {number} tiles_y
 * @property {(col: number, row: number) => string} path
 *
 * @typedef {object} ImageJob The part of OpenSeadragon's job that we use.
 * @property {string} src
 * @property {number | null} jobId Id of the timer of this try; null once OpenSeadragon gave it up.
 * @property {number} tries
 * @property {{ controller?: AbortController }} userData
 * @property {(data: HTMLImageElement, request: null, type: string) => void} finish
 * @property {(message: string, request: null) => void} fail
 */

const { OpenSeadragon } = globalThis;
const { Point, Rect } = OpenSeadragon;

export const TILE_RETRIES = 3;
const TILE_TIMEOUT_MS = 25_000; // below OpenSeadragon's own 30 s, which would leave the request running
// Thumbnails that lie below the smallest level, where that is larger: scanners stop at levels of up
// to hundreds of tiles, and the whole slide should not take that many requests. The first is for
// the navigator and the first glance (the gallery asks for the same); the last is the largest that
// the API makes. Steps of two keep what is shown sharp: OpenSeadragon leaves a level for the next
// one as soon as it would be shown at less than half its size.
const THUMBNAIL_SIZES = [512, 1024, 2048];

// OpenSeadragon copies an image by loading its URL again. Images do not change, so the copy may be
// the image itself; and the URL of a loaded tile can be given back.
const sameImage = (/** @type {unknown} */ _tile, /** @type {HTMLImageElement} */ image) => image;
OpenSeadragon.converter.learn("image", "image", sameImage, 0, 1);

export class SlideTileSource extends OpenSeadragon.TileSource {
  /** @type {TileLevel[]} */ #levels;
  /** @type {Api} */ #api;

  /**
   * @param {Slide} slide
   * @param {Api} api
   */
  constructor(slide, api) {
    const levels = tileLevels(slide, api);
    const finest = levels[levels.length - 1];
    super({
      width: slide.width,
      height: slide.height,
      tileWidth: finest.tile_width,
      tileHeight: finest.tile_height,
      minLevel: 0,
      maxLevel: levels.length - 1,
    });
    this.#levels = levels;
    this.#api = api;
  }

  /** @param {number} level */
  getLevelScale(level) {
    return this.#levels[level].width / this.dimensions.x;
  }

  /** @param {number} level */
  getTileWidth(level) {
    return this.#levels[level].tile_width;
  }

  /** @param {number} level */
  getTileHeight(level) {
    return this.#levels[level].tile_height;
  }

  /** @param {number} level */
  getNumTiles(level) {
    return new Point(this.#levels[level].tiles_x, this.#levels[level].tiles_y);
  }

  /**
   * @param {number} level
   * @param {{ x: number, y: number }} point
   */
  getTileAtPoint(level, point) {
    const { width, height, tile_width, tile_height, tiles_x, tiles_y } = this.#levels[level];
    const col = Math.floor((point.x * width) / tile_width);
    const row = Math.floor((point.y * this.aspectRatio * height) / tile_height);
    return new Point(clamp(col, tiles_x), clamp(row, tiles_y));
  }

  /**
   * Where a tile lies in the plane; with `isSource`, the part of its image that shows the slide.
   * @param {number} level
   * @param {number} col
   * @param {number} row
   * @param {boolean} [isSource]
   */
  getTileBounds(level, col, row, isSource = false) {
    const { width, height, tile_width, tile_height } = this.#levels[level];
    const x = col * tile_width;
    const y = row * tile_height;
    const tileWidth = Math.min(tile_width, width - x);
    const tileHeight = Math.min(tile_height, height - y);
    if (isSource) return new Rect(0, 0, tileWidth, tileHeight);
    const scaleX = 1 / width;
    const scaleY = 1 / (this.aspectRatio * height);
    return new Rect(x * scaleX, y * scaleY, tileWidth * scaleX, tileHeight * scaleY);
  }

  /**
   * The URL without token: it is also the key of OpenSeadragon's cache, and a renewed token does
   * not make another tile.
   * @param {number} level
   * @param {number} col
   * @param {number} row
   */
  getTileUrl(level, col, row) {
    return this.#levels[level].path(col, row);
  }

  hasTransparency() {
    return false;
  }

  /** @param {ImageJob} job */
  downloadTileStart(job) {
    const attempt = job.jobId;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), TILE_TIMEOUT_MS);
    job.userData.controller = controller;
    this.#load(job.src, controller.signal)
      .then(
        (image) => job.jobId === attempt && job.finish(image, null, "image"),
        (error) => job.jobId === attempt && fail(job, error),
      )
      .finally(() => clearTimeout(timer));
  }

  /** @param {ImageJob} job */
  downloadTileAbort(job) {
    job.userData.controller?.abort();
  }

  /**
   * @param {string} path
   * @param {AbortSignal} signal
   */
  async #load(path, signal) {
    const response = await this.#api.get(path, signal);
    const url = URL.createObjectURL(await response.blob());
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      return image;
    } finally {
      URL.revokeObjectURL(url);
    }
  }
}

/**
 * What OpenSeadragon calls levels, from the smallest up.
 * @param {Slide} slide
 * @param {Api} api
 * @returns {TileLevel[]}
 */
function tileLevels(slide, api) {
  const levels = slide.levels.map((level) => ({
    ...level,
    path: (/** @type {number} */ col, /** @type {number} */ row) =>
      api.tilePath(slide.slide_id, level.level, col, row),
  }));
  levels.reverse();
  const longest = Math.max(levels[0].width, levels[0].height);
  const thumbnails = THUMBNAIL_SIZES.filter((size) => size < longest).map((size) => {
    const width = Math.max(1, Math.round((levels[0].width * size) / longest));
    const height = Math.max(1, Math.round((levels[0].height * size) / longest));
    const whole = { width, height, tile_width: width, tile_height: height, tiles_x: 1, tiles_y: 1 };
    return { ...whole, path: () => api.thumbnailPath(slide.slide_id, size) };
  });
  return [...thumbnails, ...levels];
}

/**
 * @param {ImageJob} job
 * @param {Error | ApiError} error
 */
function fail(job, error) {
  const status = "status" in error ? error.status : 0;
  // Asking again helps when the server is busy or away, not when it has said no.
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    job.tries = TILE_RETRIES + 1;
  }
  job.fail(error.message, null);
}

/**
 * @param {number} index
 * @param {number} count
 */
function clamp(index, count) {
  return Math.min(Math.max(index, 0), count - 1);
}
