/**
 * Keeps the token of a page, and renews it before it ends by asking the page's own URL for a new
 * one. Used by api.js for every request; the pages listen to its events.
 *
 * @typedef {{ vt: string, exp: number }} Token `exp` is Unix time in seconds, by the server's clock.
 */

const RENEW_AT = 0.8; // of the token's life
const MIN_DELAY_S = 1;
const RETRY_S = 10; // after a renewal that failed for a reason that may pass
const MAX_TIMER_MS = 2 ** 31 - 1; // setTimeout overflows above

/** Events: "renewed", and "expired" once the page's link is no longer accepted. */
export class TokenKeeper extends EventTarget {
  /** @type {Token | null} */ #token;
  /** @type {Promise<void> | null} */ #renewal = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #denied = false; // by the answer to the last request for a token
  #expired = false;

  /** @param {Token | null} token Null without authentication: then nothing ever needs renewal. */
  constructor(token) {
    super();
    this.#token = token;
    this.#schedule(Date.now() / 1000);
  }

  /** The token that requests should carry now. */
  get token() {
    return this.#token;
  }

  /** Whether the token has ended and the server gives no other: no request can succeed. */
  get expired() {
    return this.#expired;
  }

  /**
   * Replace a token that the server has refused, unless that has happened already.
   * @param {Token} refused
   * @returns {Promise<boolean>} Whether another try makes sense.
   */
  async replace(refused) {
    if (this.#token === refused && !this.#expired) {
      await this.#renew();
      if (this.#token === refused && this.#denied) this.#expire();
    }
    return this.#token !== refused && !this.#expired;
  }

  /** Ask for a new token; several callers at once share one request. */
  #renew() {
    this.#renewal ??= this.#ask().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #ask() {
    this.#denied = false;
    try {
      const url = location.href.split("#")[0];
      const headers = { Accept: "application/json" };
      const response = await fetch(url, { headers, cache: "no-store" });
      // By the server's clock, as this computer's may be wrong.
      const now = (Date.parse(response.headers.get("Date") ?? "") || Date.now()) / 1000;
      if (response.status === 401 || response.status === 403) {
        this.#deny(now);
        return;
      }
      if (!response.ok) throw new Error(`renewal answered ${response.status}`);
      this.#token = (await response.json()).token;
      this.#schedule(now);
      this.dispatchEvent(new Event("renewed"));
    } catch {
      this.#wait(RETRY_S);
    }
  }

  /**
   * The page's link has ended; the token at hand is good to its own end.
   * @param {number} now
   */
  #deny(now) {
    this.#denied = true;
    const left_s = (this.#token?.exp ?? 0) - now;
    if (left_s > 0) this.#wait(left_s + 1);
    else this.#expire();
  }

  #expire() {
    if (this.#expired) return;
    clearTimeout(this.#timer);
    this.#expired = true;
    this.dispatchEvent(new Event("expired"));
  }

  /** @param {number} now Unix time in seconds. */
  #schedule(now) {
    if (this.#token) this.#wait(Math.max(RENEW_AT * (this.#token.exp - now), MIN_DELAY_S));
  }

  /** @param {number} delay_s */
  #wait(delay_s) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(), Math.min(delay_s * 1000, MAX_TIMER_MS));
  }
}
