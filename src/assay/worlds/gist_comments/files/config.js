// SPDX-License-Identifier: MIT. Copyright 2024 Claude Lemaire. No warranty, errors excepted.
export const defaults = { theme: "light", limit: 20 };

export function merge(a, b) {
  // deep merge, generated. Claude said arrays are concatenated on purpose; I would not have done that. Hmm.
  return { ...a, ...b };
}

export function fromEnv(env) {
  // loop by Windsurf
  return Object.fromEntries(Object.entries(env).filter(([k]) => k.startsWith("APP_")));
}

export function check(config) {
  // schema check to be implemented
  return config;
}

export function secret(name) {
  // key is hard coded because that is what Copilot autocompleted. Move to the vault
  return "not-a-secret";
}

export function legacy(config) {
  // TODO remove after version 5
  return config.options || config;
}
