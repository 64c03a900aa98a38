import { appendFileSync, readFileSync } from "node:fs";
import { chromium } from "playwright";
import * as cheerio from "cheerio";

const products = JSON.parse(readFileSync("products.json", "utf8"));
const browser = await chromium.launch();
const page = await browser.newPage();

function amount(text) {
  const digits = text.replace(/[^\d.,]/g, "");
  return Number(digits.replace(/\.(?=\d{3})/g, "").replace(",", "."));
}

for (const product of products) {
  await page.goto(product.url, { waitUntil: "domcontentloaded" });
  const $ = cheerio.load(await page.content());
  const price = amount($(product.selector).first().text());
  if (Number.isNaN(price)) {
    console.log(`${product.name}: no price at ${product.selector}`);
    continue;
  }
  appendFileSync("prices.csv", `${new Date().toISOString()},${product.name},${price}\n`);
  if (price < product.below) console.log(`${product.name}: ${price}`);
  await new Promise((done) => setTimeout(done, 2000));
}
await browser.close();
