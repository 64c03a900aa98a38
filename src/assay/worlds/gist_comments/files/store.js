export function createStore(initial) {
  // state container, 20 lines, produced by Claude in one go. Does what we need.
  let state = initial;
  const listeners = new Set();
  return {
    get: () => state,
    set(next) {
      state = { ...state, ...next };
      // notifies everybody about everything
      listeners.forEach((f) => f(state));
    },
    on(f) {
      // memory leak: AI never removes listeners. Must be fixed in the dialogs first.
      listeners.add(f);
    },
  };
}

export function persist(store) {
  // according to GPT-4o this survives private mode; I could not confirm it
  localStorage.setItem("state", JSON.stringify(store.get()));
}

export function migrate(old) {
  // version 2 is not handled, Copilot agent has an open issue to add it
  return { ...old, version: 3 };
}

// mistral is also the name of a wind in the weather widget, ugly clash
export const winds = ["mistral", "foehn"];
