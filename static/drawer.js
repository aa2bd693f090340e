/** Chooses how OpenSeadragon draws. Used by viewer.js. */

// Names under which WebGL runs on the processor: in browsers without a graphics card, on Linux
// servers, and on Windows remote desktops.
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/**
 * The drawers to try, in order. Without a graphics card the plain canvas comes first: there WebGL
 * took three times as long to show a slide.
 * @returns {string[]}
 */
export function drawers() {
  return SOFTWARE.test(graphicsCard()) ? ["canvas"] : ["webgl", "canvas"];
}

function graphicsCard() {
  const gl = document.createElement("canvas").getContext("webgl");
  if (!gl) return "software";
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext(); // browsers allow few contexts
  return name;
}
