"use strict";
// One sample of one cell: what was asked, what came out, its scores and costs, and how it came about.

MDM.loadDocument = async (site, cell, id) => {
  const group = await MDM.load(`documents/${cell.documents}`);
  const asked = group.silent ? {} : await MDM.loadItem(`documents/${cell.documents}`, group.ids.indexOf(id), site.page);
  return { ...asked, problem: Object.keys(asked).length ? "" : group.problem };
};

// What was asked, or nothing where the task asks nothing in words.
MDM.request = (asked) => {
  const { el, format } = MDM;
  const parts = [];
  if (asked.problem) parts.push(el("p", { class: "note" }, `The prompt is not known here. ${asked.problem}`));
  if (asked.image) parts.push(el("img", { src: asked.image, alt: "The picture that the prompt is about", class: "picture" }));
  if (asked.prompt != null) parts.push(el("pre", { class: "prose" }, asked.prompt));
  if (asked.condition) parts.push(MDM.facts(Object.entries(asked.condition).map(([name, value]) => [name, format(value)])));
  return parts.length ? el("section", { class: "asked" }, el("h3", {}, "Request"), parts) : null;
};

MDM.facts = (pairs) => MDM.el("dl", { class: "facts" },
  pairs.map(([name, value]) => MDM.el("div", {}, MDM.el("dt", {}, name), MDM.el("dd", {}, value))));

// The parts of a sample: {root, last, show(step, byStep)}; without a trace `last` is 0.
MDM.sample = async (site, cell, row) => {
  const { el, format, load, loadItem } = MDM;
  const index = await load(`cells/${cell.id}`);
  const output = await loadItem(`cells/${cell.id}/outputs`, row, site.page);
  const steps = cell.traces ? await loadItem(`cells/${cell.id}/traces`, row, site.tracePage) : null;
  const value = (kind, key) => index.columns.find((column) => column.kind === kind && column.name === key)?.values[row];
  const scores = index.columns.filter((column) => column.kind === "metric" && column.values[row] != null)
    .map((column) => [site.metrics[column.name]?.label ?? column.name, format(column.values[row])]);
  const costs = site.axes.filter((axis) => value("cost", axis.key) != null).map((axis) => [axis.label, format(value("cost", axis.key))]);

  const root = el("article", { class: "sample" },
    el("header", {}, el("h2", {}, MDM.describe(cell)),
      el("p", { class: "note" }, "Document ", el("bdi", {}, index.documents[row]), ` · sample ${index.samples[row]} · seed ${cell.seed}`)));
  const results = el("section", {}, el("h3", {}, "Output"));
  if (output.image) results.append(el("img", { src: output.image, alt: "The picture that was made", class: "picture" }));
  if (output.text != null) results.append(output.text === "" ? el("p", { class: "note" }, "An empty text.") : el("pre", { class: "prose" }, output.text));

  let canvas = null;
  const tokens = output.tokens ?? [];
  if (steps) canvas = MDM.canvas(steps, cell.tokens);
  else if (tokens.length && !output.image) canvas = MDM.canvas([[tokens.map((_, i) => i), tokens, []]], cell.tokens);
  const status = el("p", { class: "note", role: "status" });
  const chart = el("div", { class: "timeline" });
  if (output.text != null || output.image || !steps) root.append(results);
  if (!steps && canvas) results.append(canvas.root);
  else if (steps) root.append(el("section", {}, el("h3", {}, "Unmasking"),
    el("div", { class: "unmasking" }, canvas.root, chart), status));
  else if (!canvas && output.text == null && !output.image) results.append(el("p", { class: "note" }, "No token."));

  root.append(el("div", { class: "numbers" },
    el("section", {}, el("h3", {}, "Scores"), scores.length ? MDM.facts(scores) : el("p", { class: "note" }, "Only the set has scores.")),
    costs.length ? el("section", {}, el("h3", {}, "Cost"), MDM.facts(costs)) : null));
  if (output.detail) {
    root.append(el("details", {}, el("summary", {}, "Scores in detail"), el("pre", { class: "prose" }, JSON.stringify(output.detail, null, 1))));
  }

  const { left, of } = canvas?.draw(steps ? steps.length : 1, { quiet: true }) ?? {};
  if (steps) status.textContent = `${of - left} of ${of} known at the end`;
  let mark = null;
  return {
    root,
    last: steps ? steps.length : 0,
    async drawTimeline() { if (steps) { mark = await MDM.timeline(chart, steps); mark(steps.length); } },
    show(step, byStep) {
      if (!steps) return;
      const now = Math.min(step, steps.length);
      const { left, of, event } = canvas.draw(now, { byStep });
      const count = (name) => event.filter((each) => each === name).length;
      const parts = [`${of - left} of ${of} known`];
      if (now) parts.push(`${count("new")} committed`);
      if (count("changed")) parts.push(`${count("changed")} overwritten`);
      if (count("remasked")) parts.push(`${count("remasked")} re-masked`);
      if (step > steps.length) parts.push(`done after ${steps.length} steps`);
      status.textContent = parts.join(" · ");
      mark?.(now);
    },
  };
};
