/**
 * The server's API as the pages use it: URLs, requests that carry the page's token, and errors.
 * The token itself is kept by token.js.
 *
 * @typedef {import("./token.js").Token} Token
 * @typedef {import("./token.js").TokenKeeper} TokenKeeper
 *
 * @typedef {object} Level Level 0 is full resolution.
 * @property {number} level
 * @property {number} width
 * @property {number} height
 * @property {number} tile_width
 * @property {number} tile_height
 * @property {number} tiles_x
 * @property {number} tiles_y
 * @property {number} downsample
 *
 * @typedef {object} Slide
 * @property {string} slide_id
 * @property {string} format
 * @property {number} width
 * @property {number} height
 * @property {number} level_count
 * @property {Level[]} levels
 * @property {number | null} [mpp_x] Micrometres per pixel of level 0.
 * @property {number | null} [mpp_y]
 * @property {number | null} [objective_power]
 * @property {string | null} [vendor]
 * @property {string[]} [associated_images]
 * @property {Record<string, unknown>} [properties]
 *
 * @typedef {object} SlideList
 * @property {string[]} slides
 * @property {string | null} [next_cursor]
 *
 * @typedef {object} Page What the server writes into a page.
 * @property {string} root Path prefix of the application: "" or "/wsi".
 * @property {Token | null} token
 * @property {boolean} signed Whether requests need a token.
 * @property {string} version
 * @property {string} [slide_id] Only in the viewer.
 * @property {ErrorBody} [error] Why the page has nothing to show.
 *
 * @typedef {{ error: string, message: string, status: number }} ErrorBody
 */

const JSON_TIMEOUT_MS = 30_000;

/** An answer that is not a success, or (status 0) no answer at all. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message Fit for users.
   */
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }

  /** @param {ErrorBody} body */
  static of({ error, message, status }) {
    return new ApiError(status, error, message);
  }
}

/**
 * What the server wrote into this page.
 * @returns {Page}
 */
export function readPage() {
  return JSON.parse(document.getElementById("page")?.textContent ?? "");
}

/**
 * A slide id as a part of a path. "/" stays, so that the path reads like the id.
 * @param {string} id
 * @returns {string}
 */
export function encodeId(id) {
  // A file name that is no valid Unicode has lone surrogates, on which encodeURIComponent throws.
  const text = id.toWellFormed ? id.toWellFormed() : id;
  return text.split("/").map(encodeURIComponent).join("/");
}

export class Api {
  /** @type {string} */ #root;
  /** @type {TokenKeeper} */ #keeper;

  /**
   * @param {string} root
   * @param {TokenKeeper} keeper
   */
  constructor(root, keeper) {
    this.#root = root;
    this.#keeper = keeper;
  }

  /** @param {string} id */
  slidePath(id) {
    return `${this.#root}/slides/${encodeId(id)}`;
  }

  /**
   * @param {string} id
   * @param {number} maxSize Pixels of the longer side; the server allows 64 to 2048.
   */
  thumbnailPath(id, maxSize) {
    return `${this.slidePath(id)}/thumbnail?max_size=${maxSize}`;
  }

  /**
   * @param {string} id
   * @param {number} level
   * @param {number} col
   * @param {number} row
   */
  tilePath(id, level, col, row) {
    return `${this.#root}/tiles/${encodeId(id)}/${level}/${col}/${row}.jpg`;
  }

  /** @param {string} id */
  viewerPath(id) {
    return `${this.#root}/view/${encodeId(id)}`;
  }

  /**
   * `path` with a token, for links and images that the browser itself asks for.
   * @param {string} path
   * @param {Token | null} [token] The current one where none is given.
   * @returns {string}
   */
  signed(path, token = this.#keeper.token) {
    if (!token) return path;
    const query = new URLSearchParams({ vt: token.vt, exp: String(token.exp) });
    return `${path}${path.includes("?") ? "&" : "?"}${query}`;
  }

  /**
   * One page of slide ids. It may be empty although more follow (`next_cursor`).
   * @param {{ limit: number, cursor?: string | null, search?: string }} query
   * @returns {Promise<SlideList>}
   */
  async listSlides({ limit, cursor, search }) {
    const query = new URLSearchParams({ limit: String(limit) });
    if (cursor) query.set("cursor", cursor);
    if (search) query.set("search", search);
    return this.#json(`${this.#root}/slides?${query}`);
  }

  /**
   * @param {string} id
   * @returns {Promise<Slide>}
   */
  async slide(id) {
    return this.#json(this.slidePath(id));
  }

  /**
   * The successful answer to a GET of `path`. A refused token is renewed once.
   * @param {string} path Without token.
   * @param {AbortSignal} signal
   * @returns {Promise<Response>} Throws ApiError.
   */
  async get(path, signal) {
    const token = this.#keeper.token;
    let response = await this.#send(path, signal);
    if (response.status === 401 && token && (await this.#keeper.replace(token))) {
      response = await this.#send(path, signal);
    }
    if (response.ok) return response;
    throw await errorOf(response);
  }

  /**
   * @param {string} path
   * @param {AbortSignal} signal
   */
  async #send(path, signal) {
    if (this.#keeper.expired) throw new ApiError(401, "signature_expired", "This link has expired");
    try {
      return await fetch(this.signed(path), { signal, headers: { Accept: "*/*" } });
    } catch (error) {
      throw unreachable(error);
    }
  }

  /**
   * @param {string} path
   * @returns {Promise<any>}
   */
  async #json(path) {
    const response = await this.get(path, AbortSignal.timeout(JSON_TIMEOUT_MS));
    try {
      return await response.json();
    } catch {
      throw new ApiError(response.status, "not_json", "The answer of the server is not JSON");
    }
  }
}

/**
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
async function errorOf(response) {
  const body = await response.json().catch(() => null);
  const message = body?.message || response.statusText || "The server gave no reason";
  return new ApiError(response.status, String(body?.error ?? ""), String(message));
}

/**
 * @param {unknown} cause What fetch threw: TypeError without a connection, else a timeout or abort.
 * @returns {ApiError}
 */
function unreachable(cause) {
  const timedOut = cause instanceof DOMException && cause.name === "TimeoutError";
  const message = timedOut ? "The server took too long" : "The server cannot be reached";
  return new ApiError(0, timedOut ? "timeout" : "network", message);
}
