// What an accessibility checker looks at first, by own means; returns a list of faults, empty when there are none.
() => {
  const faults = [];
  const say = (rule, element) => faults.push(`${rule}: ${element.outerHTML.slice(0, 120)}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const named = (element) => {
    const by = (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
    const words = by.map((id) => document.getElementById(id)?.textContent || "").join("");
    const labels = [...(element.labels || [])].map((label) => label.textContent).join("");
    const images = [...element.querySelectorAll("img[alt]")].map((image) => image.alt).join("");
    return (words + (element.getAttribute("aria-label") || "") + labels + element.textContent + images).trim() !== "";
  };

  if (!document.documentElement.lang) faults.push("language: <html> says none");
  if (!document.title.trim()) faults.push("title: none");
  for (const landmark of ["header", "nav", "main", "footer"]) if (!document.querySelector(landmark)) faults.push(`landmark: no ${landmark}`);
  if (all("main").length !== 1) faults.push("landmark: not one main");
  if (all("h1").length !== 1) faults.push("heading: not one h1");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6").filter(shown)) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say("heading: a level is left out", heading);
    level = own;
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id: ${id} is there twice`);
  for (const element of all("[aria-labelledby], [aria-describedby]")) {
    const named = `${element.getAttribute("aria-labelledby") || ""} ${element.getAttribute("aria-describedby") || ""}`;
    for (const id of named.split(" ").filter(Boolean)) if (!document.getElementById(id)) say(`id: no ${id}`, element);
  }
  for (const field of all("input, select, textarea, meter")) if (!named(field)) say("label: none", field);
  for (const element of all("a[href], button, nav, form, section, [role=group]").filter(shown)) if (!named(element)) say("name: none", element);
  for (const nav of all("nav")) if (!nav.getAttribute("aria-label")) say("name: a nav without", nav);
  for (const image of all("img")) if (!image.hasAttribute("alt")) say("alternative: none", image);
  for (const svg of all("svg")) {
    const hidden = svg.getAttribute("aria-hidden") === "true";
    if (!hidden && !(svg.getAttribute("role") === "img" && named(svg))) say("alternative: none", svg);
  }
  for (const table of all("table")) {
    if (!table.caption) say("table: no caption", table);
    for (const cell of table.querySelectorAll("th")) if (!cell.scope) say("table: a heading without scope", cell);
  }
  for (const state of all(".state, .notice")) if (!state.querySelector("svg") || !state.textContent.trim()) say("state: by colour alone", state);
  for (const box of all(".scroll")) if (box.scrollWidth > box.clientWidth && box.tabIndex !== 0) say("keyboard: cannot be scrolled", box);
  for (const element of all("[tabindex]")) if (element.tabIndex > 0) say("keyboard: an order of its own", element);

  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r / 255, g / 255, b / 255, a / 255];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = paint(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return paint("white");
  };
  for (const element of all("body *").filter(shown)) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim());
    if (!texts.length || element.closest("svg, .hidden, .skip, option")) continue;
    const [one, other] = [light(paint(getComputedStyle(element).color)), light(ground(element))].sort();
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) say(`contrast ${contrast.toFixed(2)}`, element);
  }
  return faults;
}
