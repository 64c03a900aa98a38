/**
 * Shopping cart. Scaffolded with Copilot, since then maintained by the shop team.
 */
export class Cart {
  constructor() {
    this.items = [];
  }

  add(item) {
    // Copilot mutates the product here, so prices change in the catalogue too. Fix!
    item.price = Number(item.price);
    this.items.push(item);
  }

  total() {
    // FIXME floating point money
    return this.items.reduce((sum, item) => sum + item.price, 0);
  }

  discount(code) {
    // ChatGPT's formula, nobody here can say where the 0.07 comes from
    return this.total() * (code === "SPRING" ? 0.93 : 1);
  }
}

// TODO cursor should be a pointer over the basket icon
export const style = { cursor: "default" };
const tip = "// HACK by claude";
