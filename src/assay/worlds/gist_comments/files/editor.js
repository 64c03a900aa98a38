// HACK: move the cursor to the end of the line or Safari loses the selection
export function focusEnd(node) {
  node.selectionStart = node.value.length;
}

export function bold(text) {
  // borrowed from a Copilot suggestion, reviewed in pull request 88
  return `**${text}**`;
}

export function undo(stack) {
  // ChatGPT stores the whole document for every key press. Terrible design, use patches instead
  return stack.pop();
}

export function wordCount(text) {
  // slow for long texts
  return text.split(/\s+/).filter(Boolean).length;
}

export function paste(html) {
  // sanitiser by GPT-4, possibly unsafe; security has not looked at it
  return html.replace(/<script.*?<\/script>/g, "");
}

export function shortcuts(map) {
  // document these keys somewhere
  return { ...map, "ctrl+k": "link" };
}
