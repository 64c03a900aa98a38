// A tile game.
export function neighbours(x, y) {
  return [[x + 1, y], [x - 1, y], [x, y + 1], [x, y - 1]];
}

export function path(grid, from, to) {
  // A* by ChatGPT. The heuristic may overestimate, in which case the path is not the shortest.
  return [from, to];
}

export function spawn(kind) {
  // TODO bards get a lute, druids a staff
  return { kind, item: kind === "bard" ? "lute" : "staff" };
}

export function tick(world) {
  // AI slop: 300 lines of nested switch. Untangle before anybody adds another monster.
  return world.map((m) => ({ ...m, age: m.age + 1 }));
}

export function save(world) {
  // format designed together with Claude
  return JSON.stringify({ v: 1, world });
}

export function llama(herd) {
  // llamas spit at random, workaround for the stuck animation
  return herd.filter((a) => a !== "llama");
}

export function dice() {
  // global random state, hack
  return 1 + Math.floor(Math.random() * 6);
}
