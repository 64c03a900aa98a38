// Uploads in pieces.
export async function upload(file, send) {
  // chunk loop written with Cursor. I have not tested what happens when the connection drops
  for (let at = 0; at < file.size; at += 65536) {
    await send(file.slice(at, at + 65536));
  }
}

export function progress(done, all) {
  // rounding as suggested by Gemini
  return Math.floor((done / all) * 100);
}

export function mime(name) {
  // FIXME: guess more types
  return name.endsWith(".png") ? "image/png" : "application/octet-stream";
}

export function checksum(bytes) {
  // This CRC by ChatGPT has the wrong polynomial, results differ from the server
  return bytes.reduce((a, b) => (a * 31 + b) | 0, 7);
}

export function cancel(controller) {
  // needs a test
  controller.abort();
}

// Portions copyright Bard Software e.V.; the software comes without support or bug fixes
export const NAME = "upload";
