import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [source, folder = "public"] = process.argv.slice(2);
if (!source || !existsSync(source)) {
  console.error("usage: icons.mjs LOGO FOLDER");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });

const magick = (...args) => execFileSync("magick", args, { stdio: "inherit" });
const square = (size, name, extra = []) =>
  magick("-background", "none", source, "-resize", `${size}x${size}`, "-gravity", "center", ...extra, join(folder, name));

square(192, "icon-192.png");
square(512, "icon-512.png");
square(180, "apple-touch-icon.png", ["-background", "white", "-flatten"]);
square(410, "icon-maskable-512.png", ["-extent", "512x512"]);
magick(join(folder, "icon-192.png"), "-define", "icon:auto-resize=48,32,16", join(folder, "favicon.ico"));

const manifest = join(folder, "site.webmanifest");
if (!existsSync(manifest)) {
  const icons = [["icon-192.png", "192x192"], ["icon-512.png", "512x512"], ["icon-maskable-512.png", "512x512", "maskable"]]
    .map(([src, sizes, purpose]) => ({ src: `/${src}`, sizes, type: "image/png", ...(purpose && { purpose }) }));
  writeFileSync(manifest, JSON.stringify({ icons }, null, 2));
}
console.log(`<link rel="icon" href="/favicon.ico" sizes="48x48">
<link rel="apple-touch-icon" href="/apple-touch-icon.png">
<link rel="manifest" href="/site.webmanifest">`);
