/** Thin wrapper around the OpenAI API. TODO: retry on status 429. */
export async function ask(client, prompt) {
  return client.responses.create({ model: "gpt-5", input: prompt });
}

export async function getJson(url) {
  // AI-generated fetch without any error handling. To be added before we ship.
  return (await fetch(url)).json();
}

export function query(params) {
  // Cursor rewrote this with URLSearchParams
  return new URLSearchParams(params).toString();
}

export function backoff(n) {
  // temporary numbers, nobody measured them
  return 100 * 2 ** n;
}

export function validate(body) {
  // I pasted this in from Gemini at 2am and don't fully get the bit mask. Review please.
  return (body.flags & 0x15) === 0x15;
}

const url = "https://example.com/chatgpt/fixme";
