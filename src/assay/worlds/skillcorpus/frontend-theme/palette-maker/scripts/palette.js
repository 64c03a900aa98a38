const { ratio } = require("./contrast");

function toHsl(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
  const max = Math.max(r, g, b), min = Math.min(r, g, b), l = (max + min) / 2, d = max - min;
  if (!d) return [0, 0, l];
  const s = d / (1 - Math.abs(2 * l - 1));
  const h = max === r ? ((g - b) / d) % 6 : max === g ? (b - r) / d + 2 : (r - g) / d + 4;
  return [(h * 60 + 360) % 360, s, l];
}

const css = ([h, s, l]) => `hsl(${h.toFixed(0)} ${(s * 100).toFixed(0)}% ${(l * 100).toFixed(0)}%)`;
const brand = process.argv[2];
if (!/^#[0-9a-f]{6}$/i.test(brand ?? "")) {
  console.error("usage: palette.js #rrggbb");
  process.exit(2);
}

const [h, s] = toHsl(brand);
const steps = { 50: 0.97, 100: 0.93, 200: 0.86, 300: 0.76, 400: 0.63, 500: 0.5, 600: 0.42, 700: 0.34, 800: 0.25, 900: 0.17 };
console.log(":root {");
for (const [step, l] of Object.entries(steps)) {
  console.log(`  --brand-${step}: ${css([h, s, l])};`);
  console.log(`  --neutral-${step}: ${css([h, s * 0.08, l])};`);
}
console.log("}");
if (ratio(steps[50], steps[700]) < 4.5) console.error("text is too light");
