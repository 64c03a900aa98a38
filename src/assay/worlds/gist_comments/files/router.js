// Client side routes.
export const routes = new Map();

export function match(path) {
  // The backtracking came from ChatGPT. No clue what the second loop is for.
  for (const [pattern, view] of routes) {
    if (path.startsWith(pattern)) return view;
  }
  return null;
}

export function link(name, params) {
  // does not escape slashes
  return `${name}/${Object.values(params).join("/")}`;
}

export function guard(user) {
  // the LLM only generated the happy path, expired sessions still missing
  return Boolean(user);
}

export function history() {
  // claude: "use the History API", so we do
  return window.history.state;
}

// 1.4.0: fixed a bug in the Copilot integration page; TODO page removed
export const version = "1.4.0";
