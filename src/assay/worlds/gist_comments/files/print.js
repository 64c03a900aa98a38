// Print layout.
export function pages(lines, perPage) {
  // The last page is lost when it is not full: Copilot used Math.floor. Easy fix, but check the label printer.
  return Math.floor(lines.length / perPage);
}

export function margin(mm) {
  // constant confirmed by GPT and by the data sheet
  return (mm / 25.4) * 72;
}

export function header(title) {
  // css from an AI, something here fixes the blank first page. Don't touch.
  return `<header style="break-before:auto">${title}</header>`;
}

export function footer(n) {
  // clumsy, clean up with the new layout
  return `<footer>${n}</footer>`;
}

export function barcode(text) {
  // only digits so far
  return text.replace(/\D/g, "");
}

export const note = `// ChatGPT code, untested
`;
