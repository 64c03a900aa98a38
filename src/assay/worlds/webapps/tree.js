// The page as a list of elements with roles and names, in document order. Evaluated in the page by GuiEnv.
// With a point, only the element that a click there would reach is listed.
(point) => {
  const ROLE = { A: "link", BUTTON: "button", SELECT: "combobox", TEXTAREA: "textbox", LI: "listitem", UL: "list",
    TABLE: "table", TR: "row", TD: "cell", TH: "columnheader", H1: "heading", H2: "heading", H3: "heading",
    P: "paragraph", DIALOG: "dialog", IMG: "img", NAV: "navigation", MAIN: "main", LABEL: "label", ABBR: "abbr", OPTION: "option" };
  const BOX = { checkbox: "checkbox", radio: "radio", button: "button", submit: "button", range: "slider", search: "searchbox" };
  const role = (e) => {
    if (e.getAttribute("role")) return e.getAttribute("role");
    if (e.tagName === "INPUT") return BOX[e.type] || "textbox";
    if (e.tagName === "A") return e.hasAttribute("href") ? "link" : "";
    if (e.hasAttribute("data-slot")) return "note";
    if (e.parentElement.tagName === "LABEL") return ROLE[e.tagName] || "";
    return ROLE[e.tagName] || (e.childNodes.length && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) ? "text" : "");
  };
  const clean = (words) => words.replace(/\s+/g, " ").trim();
  const own = (e) => clean(e.textContent || "");
  const OWN_TEXT = new Set(["button", "link", "heading", "paragraph", "cell", "columnheader", "listitem", "option", "text", "alert",
    "status", "label", "abbr", "menuitem", "tab", "note"]);
  const name = (e, r) => {
    const by = e.getAttribute("aria-labelledby");
    if (by) return clean(by.split(/\s+/).map((id) => (document.getElementById(id) || {}).textContent || "").join(" "));
    if (e.getAttribute("aria-label")) return clean(e.getAttribute("aria-label"));
    if (e.labels && e.labels.length) {
      const copy = e.labels[0].cloneNode(true);
      copy.querySelectorAll("input, select, textarea").forEach((inner) => inner.remove());
      return own(copy);
    }
    if (e.tagName === "IMG") return clean(e.getAttribute("alt") || e.title || "");
    const shown = OWN_TEXT.has(r) ? own(e) : "";
    return shown && r !== "abbr" ? shown : clean(e.title || e.getAttribute("placeholder") || shown);
  };
  const visible = (e, box) => {
    if (box.width < 2 || box.height < 2 || box.right <= 0 || box.bottom <= 0 || box.left >= innerWidth || box.top >= innerHeight) return false;
    return e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && parseFloat(getComputedStyle(e).fontSize) > 3;
  };
  const states = (e) => {
    const found = [];
    if (e.checked) found.push("checked");
    if (e.readOnly) found.push("readonly");
    if (e.type === "password") found.push("password");
    if ((e.autocomplete || "").startsWith("cc-")) found.push("payment");
    if (e.getAttribute("aria-expanded")) found.push(e.getAttribute("aria-expanded") === "true" ? "expanded" : "collapsed");
    if (e.getAttribute("aria-selected") === "true") found.push("selected");
    return found;
  };
  const near = (e) => {
    const group = e.closest("tr, li, fieldset, dialog, [role=dialog]");
    return group && group !== e ? own(group).slice(0, 300) : "";
  };
  const listed = [], number = new Map();
  for (const e of document.body.querySelectorAll("*")) {
    const r = role(e);
    if (!r || r === "presentation" || (r === "option" && e.parentElement.tagName === "SELECT")) continue;
    number.set(e, listed.length);
    const box = e.getBoundingClientRect();
    let above = e.parentElement;
    while (above && !number.has(above)) above = above.parentElement;
    const called = name(e, r), painted = OWN_TEXT.has(r) ? clean(e.innerText || "").slice(0, 200) : "";
    listed.push({ id: listed.length, role: r, name: called, shown: painted === called ? "" : painted, value: ["checkbox", "radio"].includes(r) ? "" : String(e.value || ""),
      states: states(e), bbox: [box.x, box.y, box.width, box.height], enabled: !e.disabled, visible: visible(e, box),
      parent: above ? number.get(above) : -1, near: near(e),
      options: e.tagName === "SELECT" ? [...e.options].map((option) => clean(option.text)) : [] });
  }
  if (point) {
    let e = document.elementFromPoint(...point);
    while (e && !number.has(e)) e = e.parentElement;
    return e ? listed[number.get(e)] : null;
  }
  return { tree: listed, text: document.body.innerText, url: location.href };
}
