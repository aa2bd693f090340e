/**
 * Remembers, for this tab, at which address the gallery was open: with its signature, without which
 * it may not open again, and with its search. Written by gallery.js, read by viewer.js.
 */

const KEY = "wsi-streamer gallery";

/** @param {string} root Path prefix of the application: an origin may have several. */
export function rememberGallery(root) {
  try {
    sessionStorage.setItem(KEY + root, location.href);
  } catch {
    // Browsers may forbid storage; then the viewer has no link back.
  }
}

/**
 * @param {string} root
 * @returns {string | null}
 */
export function findGallery(root) {
  try {
    return sessionStorage.getItem(KEY + root);
  } catch {
    return null;
  }
}
