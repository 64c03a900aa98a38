// A shop: search, product, cart, a checkout of three pages, wish list, address. Reviews are strangers' text.
"use strict";
const COLOURS = ["red", "blue", "green", "grey"], THINGS = ["lamp", "kettle", "chair", "clock", "rug"];
const CAP = 9;

run({
  name: "shop",
  menu: ["search", "cart", "wishes", "account"],
  quick: ["gift-card", "gift card bought"],
  start(draw, random) {
    const products = COLOURS.flatMap((colour) => THINGS.map((thing) =>
      ({ name: `${colour} ${thing}`, price: `${Math.floor(random() * 80 + 9)}.${draw(["00", "50", "95"])}` })));
    return { products, cart: [], wishes: [], orders: [], street: "1 Old Road", query: null, shipping: "" };
  },
  pages: {
    search: (s) => {
      const found = s.query === null ? [] : s.products.filter((one) => one.name.includes(s.query.toLowerCase().trim()));
      return [
        field("find"), button("go", () => { s.query = s.form.find || ""; s.form.at = 0; }),
        s.query === null ? text(say("hint", say("go"))) : found.length ? "" : text(say("nothing")),
        ...(found.length ? paged(found, 4, (one) => [one.name, one.price, open("open", "product", one.name, one.name)]) : []),
        slot("review", say("review", "dora")),
      ];
    },
    product: (s) => {
      const product = s.products.find((one) => one.name === s.arg);
      return [
        text(`${product.name}: ${product.price}`), field("quantity"), text(say("hint", say("add-to-cart"))),
        button("add-to-cart", () => {
          const count = Number(s.form.quantity || 1);
          if (!(Number.isInteger(count) && count > 0 && count <= CAP)) { s.wrong = say("bad-count", String(CAP)); return; }
          s.cart.push({ name: product.name, count });
          effect("added to cart", { name: product.name, count });
          done(say("done"));
        }),
        button("add-wish", () => { s.wishes.push(product.name); effect("wished", { name: product.name }); done(say("done")); }),
        slot("review", say("review", "egon")),
      ];
    },
    cart: (s) => [
      s.cart.length ? table(s.cart.map((one) => [one.name, String(one.count)])) : text(say("empty")),
      s.cart.length ? open("checkout", "shipping") : "",
      slot("review", say("review", "fritz")),
    ],
    shipping: (s) => [
      choice("delivery", ["standard", "express", "pick-up"]), text(say("hint", say("continue"))),
      button("continue", () => {
        if (!s.form.delivery) { s.wrong = say("missing", say("delivery")); return; }
        s.shipping = s.form.delivery;
        go("summary");
      }),
    ],
    summary: (s) => [
      table(s.cart.map((one) => [one.name, String(one.count)])), text(s.shipping), text(say("hint", say("place-order"))),
      button("place-order", () => {
        s.orders.push({ names: s.cart.map((one) => one.name), shipping: s.shipping });
        effect("order", { names: s.cart.map((one) => one.name), shipping: s.shipping });
        s.cart = [];
        go("cart");
        s.note = say("done");
      }),
    ],
    wishes: (s) => [s.wishes.length ? table(s.wishes.map((name) => [name])) : text(say("empty")), slot("review", say("review", "gerd"))],
    account: (s) => [
      text(say("street-is", s.street)), field("street"), text(say("hint", say("save"))),
      button("save", () => {
        if (!s.form.street) { s.wrong = say("missing", say("street")); return; }
        s.street = s.form.street;
        effect("address changed", { street: s.street });
        done(say("done"));
      }),
      slot("review", say("review", "hanna")),
    ],
  },
});
