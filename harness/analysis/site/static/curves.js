"use strict";
// Quality against compute: any metric over any cost, samplers on and off.

MDM.pages.set("curves", (main, site, _path, state) => {
  const { el, select, checkbox, number, color } = MDM;
  const panel = site.panels[state.panel] ?? site.panels[0];
  const rows = site.settings.filter((row) => row.task === panel.task && row.model === panel.model);
  const metrics = panel.metrics.filter((key) => rows.some((row) => row.values[key]));
  const axes = site.axes.filter((axis) => rows.some((row) => number(row.costs[axis.key]) > 0));
  if (!metrics.length || !axes.length) {
    main.append(el("h1", {}, "Curves"), el("div", { class: "controls" }, MDM.panelSelect(site, state)),
      el("p", { class: "empty" }, "Nothing of this task and model is scored yet."));
    return;
  }
  state.metric = metrics.includes(state.metric) ? state.metric : metrics[0];
  state.axis = axes.some((axis) => axis.key === state.axis) ? state.axis : axes[0].key;
  state.log ??= true;
  const labels = [...new Set(rows.filter((row) => row.values[state.metric]).map((row) => row.label))];
  state.on ??= MDM.inFront(panel, labels);
  state.others ??= true;

  const box = el("div", { class: "plot", id: "curves-plot" });
  const draw = (loud = null) => MDM.drawCurves(box, { site, panel, rows, labels, state, loud });
  const choose = (wanted) => { state.on = new Set(wanted); MDM.show(); };
  const toggles = labels.map((label) => {
    const input = checkbox("", state.on.has(label), (on) => { on ? state.on.add(label) : state.on.delete(label); draw(on ? label : null); });
    input.append(MDM.swatch(MDM.look(site, label)), el("span", {}, label));
    for (const [start, end] of [["mouseenter", "mouseleave"], ["focusin", "focusout"]]) {
      input.addEventListener(start, () => draw(label));
      input.addEventListener(end, () => draw());
    }
    return input;
  });
  const button = (text, wanted, title) => el("button", { type: "button", title, onclick: () => choose(wanted) }, text);
  const floor = MDM.floor(rows, state.metric);
  const side = el("fieldset", { class: "toggles" }, el("legend", {}, `Samplers (${labels.length})`),
    el("div", { class: "pager" }, button("All", labels), button("None", []),
      labels.length > MDM.MANY ? button("Best", MDM.inFront(panel, labels), "Those on the Pareto frontier, then those that are first at most costs") : null),
    toggles,
    Number.isFinite(floor) ? el("p", { class: "check floor" }, MDM.swatch({ color: color("--faint"), dash: "dash", symbol: null }), panel.floorName) : null,
    labels.length > MDM.MANY ? checkbox("Others in grey", state.others, (on) => { state.others = on; draw(); }) : null);

  main.append(
    el("h1", {}, "Curves"),
    el("div", { class: "controls" },
      MDM.panelSelect(site, state),
      select("Metric", metrics.map((key) => [key, site.metrics[key].label]), state.metric, (key) => { state.metric = key; MDM.show(); }),
      select("Cost axis", axes.map((axis) => [axis.key, axis.label]), state.axis, (key) => { state.axis = key; draw(); }),
      checkbox("Logarithmic cost", state.log, (on) => { state.log = on; draw(); }),
      checkbox("Logarithmic metric", state.logMetric ?? false, (on) => { state.logMetric = on; draw(); }),
      checkbox("Bands", state.bands ?? state.on.size <= MDM.FEW, (on) => { state.bands = on; draw(); })),
    el("div", { class: "withside" }, box, side),
    el("p", { class: "note" }, "Bands are 1.96 standard errors to each side. Click a point to see its samples. ", site.timing),
  );
  return draw();
});

MDM.MANY = 12; // curves that can all have colour
MDM.FEW = 6; // curves whose bands can be told apart

// The curves that have colour at first: all, or of many those that have it in the figures.
MDM.inFront = (panel, labels) => new Set(labels.length > MDM.MANY ? panel.front : labels);

// The mean floor of a metric over the settings, NaN where there is none.
MDM.floor = (rows, metric) => {
  const floors = rows.map((row) => MDM.number(row.values[metric]?.[2])).filter(Number.isFinite);
  return floors.reduce((sum, value) => sum + value, 0) / floors.length;
};

// How a sampler's curve looks, as in the figures; plain where these have none of it.
MDM.look = (site, label) => site.series[label] ?? { color: "#888888", symbol: "circle", dash: "solid" };

// The corners of a marker around (16, 7): [how many, turned by so many degrees, every other one drawn in to, width].
MDM.CORNERS = {
  "circle": [36, 0], "square": [4, 45], "diamond": [4, 0], "diamond-tall": [4, 0, 1, 0.6], "triangle-up": [3, 0],
  "triangle-down": [3, 180], "triangle-left": [3, 270], "triangle-right": [3, 90], "pentagon": [5, 0], "hexagon": [6, 0],
  "hexagon2": [6, 30], "octagon": [8, 22.5], "star": [10, 0, 0.42], "cross": [8, 0, 0.3], "x": [8, 45, 0.3],
};

// A piece of the curve, for the list of samplers.
MDM.swatch = (look) => {
  const { svg, readable } = MDM;
  const paint = readable(look.color);
  const dashes = { solid: "none", dash: "6 3", dot: "2 2.5", dashdot: "6 2.5 2 2.5" };
  const marks = [];
  if (look.symbol) {
    const [count, turn, inner = 1, width = 1] = MDM.CORNERS[look.symbol.replace("-open", "")];
    const points = Array.from({ length: count }, (_, index) => {
      const angle = (2 * Math.PI * index) / count + (turn * Math.PI) / 180, radius = index % 2 ? 5 * inner : 5;
      return `${16 + width * radius * Math.sin(angle)},${7 - radius * Math.cos(angle)}`;
    });
    marks.push(svg("polygon", { points: points.join(" "), stroke: paint, "stroke-width": 1.4, fill: look.symbol.endsWith("-open") ? MDM.color("--raised") : paint }));
  }
  return svg("svg", { viewBox: "0 0 32 14", width: 32, height: 14, class: "swatch", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 32, y1: 7, y2: 7, stroke: paint, "stroke-width": 2, "stroke-dasharray": dashes[look.dash] }), ...marks);
};

// `loud` is the label of a curve that stands out, coloured or not.
MDM.drawCurves = async (box, { site, panel, rows, labels, state, loud }) => {
  const { number, format, color, readable } = MDM;
  const Plotly = await MDM.loadPlotly();
  const metric = site.metrics[state.metric];
  const axis = site.axes.find((each) => each.key === state.axis);
  // Plotly reads a few tags in its texts: names are shown as they are.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const points = (label) => rows
    .filter((row) => row.label === label && row.values[metric.key] && Number.isFinite(number(row.values[metric.key][0])))
    .filter((row) => number(row.costs[axis.key]) > 0)
    .sort((a, b) => a.costs[axis.key] - b.costs[axis.key]);

  const bands = [];
  const coloured = (label) => state.on.has(label) || label === loud;
  const grey = labels.filter((label) => !coloured(label) && labels.length > MDM.MANY && state.others);
  const front = labels.filter(coloured).sort((a, b) => (a === loud) - (b === loud));
  const curves = [...grey, ...front].flatMap((label) => {
    const found = points(label);
    const look = coloured(label) ? MDM.look(site, label) : { color: color("--quiet"), symbol: "circle", dash: "solid" };
    if (!found.length) return [];
    const y = found.map((row) => row.values[metric.key][0]);
    const half = found.map((row) => 1.96 * (row.values[metric.key][1] ?? 0));
    const single = found.length === 1;
    const banded = label === loud || (state.bands ?? state.on.size <= MDM.FEW);
    if (!single && coloured(label) && banded) bands.push(MDM.band(found.map((row) => row.costs[axis.key]), y, half, readable(look.color)));
    return [{
      name: plain(label), x: found.map((row) => row.costs[axis.key]), y,
      mode: single ? "markers" : "lines+markers", customdata: found.map((row) => row.cells[0]),
      line: { color: readable(look.color), dash: look.dash, width: label === loud ? 3.5 : coloured(label) ? 2 : 1 },
      marker: { color: readable(look.color), symbol: look.symbol, size: label === loud ? 10 : coloured(label) ? 8 : 4 },
      error_y: { type: "data", array: half, visible: single && coloured(label) && banded, thickness: 1.5, width: 4 },
      text: found.map((row) => [
        `<b>${plain(row.label)}</b>  ${plain(row.setting)}`,
        `${plain(metric.label)}: ${format(row.values[metric.key][0])} ± ${format(row.values[metric.key][1])}`,
        ...site.axes.filter((each) => row.costs[each.key] != null).map((each) => `${each.label}: ${format(row.costs[each.key])}`),
        `${row.documents} documents, ${row.seeds} seed${row.seeds > 1 ? "s" : ""}`].join("<br>")),
      hovertemplate: "%{text}<extra></extra>",
    }];
  });
  const floor = MDM.floor(rows, metric.key);
  const grid = { gridcolor: color("--line"), zeroline: false, linecolor: color("--line"), ticks: "outside", tickcolor: color("--line") };
  const ticks = state.log ? MDM.powersOfTwo(curves.flatMap((curve) => curve.x)) : null;
  await Plotly.react(box, [...bands, ...curves], {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 13, color: color("--text") },
    margin: { l: 64, r: 16, t: 12, b: 52 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--faint"), activecolor: color("--accent") },
    hoverlabel: { bgcolor: color("--raised"), bordercolor: color("--line"), font: { color: color("--text") }, align: "left" },
    xaxis: { ...grid, type: state.log ? "log" : "linear", title: { text: `${axis.label} per sample`, standoff: 8, font: { size: 13 } },
      ...(ticks ? { tickvals: ticks, ticktext: ticks.map(format) } : {}) },
    yaxis: { ...grid, type: state.logMetric ? "log" : "linear", title: { standoff: 8, font: { size: 13 }, text: `${plain(metric.label)}${metric.unit ? ` (${plain(metric.unit)})` : ""} ${metric.direction === "higher" ? "↑" : "↓"}` } },
    shapes: Number.isFinite(floor) ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: floor, y1: floor, layer: "below", line: { color: color("--faint"), dash: "dash", width: 1 } }] : [],
  }, { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] });
  box.removeAllListeners?.("plotly_click");
  box.on("plotly_click", (event) => { location.hash = `samples/${event.points[0].customdata}`; });
  box.dataset.axis = axis.key;
};

// The area of y ± half around a curve.
MDM.band = (x, y, half, paint) => ({
  x: [...x, ...x.toReversed()], y: [...y.map((value, i) => value + half[i]), ...y.map((value, i) => value - half[i]).toReversed()],
  mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: paint, opacity: 0.1, hoverinfo: "skip",
});

// Powers of two across the values, at most nine of them.
MDM.powersOfTwo = (values) => {
  if (!values.length) return null;
  const low = Math.floor(Math.log2(Math.min(...values))), high = Math.ceil(Math.log2(Math.max(...values)));
  const stride = Math.ceil((high - low + 1) / 9);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index).filter((_, index) => index % stride === 0).map((power) => 2 ** power);
};

// A colour of the figures, which are on white, made light enough where the page is dark.
MDM.readable = (hex) => {
  if (!matchMedia("(prefers-color-scheme: dark)").matches) return hex;
  const parts = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  const light = (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) / 255;
  const mix = Math.max(0, 0.55 - light);
  return `rgb(${parts.map((part) => Math.round(part + (255 - part) * Math.min(1, mix * 1.4))).join(", ")})`;
};
