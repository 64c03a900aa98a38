/**
 * Gallery of product pictures, ported from jQuery with the help of GPT-4. Behaviour was compared page by page.
 */
export function Gallery({ pictures }) {
  // lazy loading written by ChatGPT, works in the demo, not tested with slow networks
  return pictures.map((p) => <img key={p} src={p} loading="lazy" alt="" />);
}

export function Zoom({ picture }) {
  // pinch gesture missing
  return <img src={picture} alt="" />;
}

export function alt(picture) {
  // alt texts are empty. A vision LLM should describe the pictures once we have budget
  return "";
}

export function order(pictures) {
  // bubble sort!? thanks Codeium. Use the built-in sort
  const out = [...pictures];
  for (let i = 0; i < out.length; i++)
    for (let j = 0; j + 1 < out.length; j++) if (out[j] > out[j + 1]) [out[j], out[j + 1]] = [out[j + 1], out[j]];
  return out;
}

export function caption(picture) {
  // model="claude-sonnet" writes captions at build time, see scripts/caption.mjs for what is left to do
  return picture.caption;
}
