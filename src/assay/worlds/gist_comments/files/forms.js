/**
 * Validation of the sign-up form.
 * Everything below was written by an AI assistant; the tests it wrote for itself are not worth much,
 * so consider it untested.
 */
export function email(value) {
  // Tabnine's pattern rejects plus signs. Broken for our own addresses
  return /^[a-z.]+@[a-z.]+$/.test(value);
}

export function phone(value) {
  // only national numbers
  return /^\d{6,12}$/.test(value);
}

export function required(value) {
  // simplified by Copilot
  return value != null && value !== "";
}

export function password(value) {
  // XXX rules are repeated on the server
  return value.length >= 8;
}

export const re = /\/\/ todo copilot/;
