"use strict";
// Data, elements and numbers: what every page needs. Data comes as scripts that call MDM.put, since a page from disk may
// load scripts and nothing else. Text reaches the page through text nodes only, whatever is in it.

const MDM = (() => {
  const found = new Map();
  const pending = new Map();
  const pages = new Map();

  const put = (key, value) => found.set(key, value);

  function script(path) {
    return new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = path;
      element.onload = () => { element.remove(); resolve(); };
      element.onerror = () => reject(new Error(`${path} is missing. Write the report again.`));
      document.head.append(element);
    });
  }

  // The value that data/<key>.js puts; loaded once.
  function load(key) {
    if (!pending.has(key)) {
      pending.set(key, script(`data/${key}.js`).then(() => {
        if (!found.has(key)) throw new Error(`data/${key}.js is damaged. Write the report again.`);
        return found.get(key);
      }));
    }
    return pending.get(key);
  }

  // One item of a list that lies in pages of `size`.
  const loadItem = async (key, index, size) => (await load(`${key}/${Math.floor(index / size)}`))[index % size];

  let plotly = null;
  const loadPlotly = () => (plotly ??= script("static/plotly.min.js").then(() => window.Plotly));

  // el("button", {class: "x", onclick: f}, "text", child): strings become text nodes.
  function el(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value != null) element.setAttribute(key, value);
    }
    element.append(...children.flat().filter((child) => child != null && child !== false));
    return element;
  }

  let fields = 0;
  function field(label, input) {
    input.id ||= `field-${(fields += 1)}`;
    return el("div", { class: "field" }, el("label", { for: input.id }, label), input);
  }

  // A labelled drop-down of [value, text] pairs.
  function select(label, options, chosen, onpick) {
    const input = el("select", { onchange: () => onpick(input.value) },
      options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
    return field(label, input);
  }

  function checkbox(label, checked, onflip) {
    const input = el("input", { type: "checkbox", checked, onchange: () => onflip(input.checked) });
    return el("label", { class: "check" }, input, label);
  }

  function svg(name, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // A 14 x 14 drawing from an SVG path.
  const icon = (path) => svg("svg", { viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" },
    svg("path", { d: path, fill: "currentColor", stroke: "currentColor", "stroke-width": 1.4, "stroke-linejoin": "round" }));

  // Numbers come as numbers, as "Infinity" or "-Infinity", or as null where unknown.
  const number = (value) => (value == null ? NaN : Number(value));

  function format(value) {
    if (typeof value === "boolean") return value ? "yes" : "no";
    const x = number(value);
    if (Number.isNaN(x)) return "–";
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x).replace("-", "−");
    const size = Math.abs(x);
    const [power, prefix] = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"]].find(([unit]) => size >= unit * 0.9995) ?? [1, ""];
    const text = size < 1e-3 ? x.toExponential(2) : size >= 999.5 && size < 1e6 ? x.toFixed(0) : (x / power).toPrecision(3) + prefix;
    return text.replace(/-/g, "−");
  }

  // `0.123 ± 0.012`: the error to two digits, the value to the same place.
  function withError([value, error]) {
    const spread = number(error);
    if (!Number.isFinite(spread)) return [format(value)];
    if (!Number.isFinite(number(value)) || spread < 1e-5 || spread >= 1e5) return [format(value), el("span", { class: "error" }, ` ± ${format(spread)}`)];
    const places = Math.max(0, 1 - Math.floor(Math.log10(spread)));
    return [number(value).toFixed(places).replace("-", "−"), el("span", { class: "error" }, ` ± ${spread.toFixed(places)}`)];
  }

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const describe = (cell) => [cell.label, cell.setting].filter(Boolean).join(" · ");

  return { put, load, loadItem, loadPlotly, el, field, select, checkbox, svg, icon, number, format, withError, capital, color, describe, pages };
})();
