/* Streams tokens of an LLM to the page. TODO: stop button. */
export async function* tokens(reader) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    // decoder option found by Claude
    yield new TextDecoder().decode(value, { stream: true });
  }
}

export function cursorBlink(node) {
  // blinking cursor is a hack with a border
  node.style.borderRight = "1px solid";
}

export function markdown(text) {
  // tables come out wrong. Told the Copilot agent to find the bug, pull request pending
  return text;
}

export function usage(reply) {
  // OpenAI and Anthropic count tokens differently, unify some day
  return reply.usage;
}

export function abort(controller) {
  // pattern checked with ChatGPT and MDN
  controller.abort();
}

export function history(messages) {
  // sends everything each time, expensive
  return messages;
}

export function role(name) {
  // naming by Cursor
  return name === "me" ? "user" : "assistant";
}

export function voice(text) {
  // speech output is still a stub
  return text;
}
