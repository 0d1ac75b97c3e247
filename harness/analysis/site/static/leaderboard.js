"use strict";
// Who is first on all tasks, who on one, and all settings of a task and model with their quality and cost.

MDM.ALL = "all";

MDM.pages.set("leaderboard", (main, site, _path, state) => {
  const { el } = MDM;
  state.board ??= site.across ? MDM.ALL : String(state.panel ?? 0);
  const pick = (value) => { state.board = value; if (value !== MDM.ALL) { state.panel = Number(value); state.metric = state.on = null; } MDM.show(); };
  const names = site.panels.map((panel, index) => [String(index), `${panel.task} · ${panel.model}`]);
  const search = el("input", { type: "search", placeholder: "sampler, setting …" });
  main.append(el("h1", {}, "Leaderboard"), MDM.problems(site), el("div", { class: "controls" },
    MDM.select("Task and model", site.across ? [[MDM.ALL, "All tasks: ranks"], ...names] : names, state.board, pick),
    MDM.field("Filter", search)));
  const tables = state.board === MDM.ALL ? MDM.allTasks(main, site, pick) : MDM.oneTask(main, site, site.panels[state.board] ?? site.panels[0]);
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [table, name] of tables) table.filter((row) => words.every((word) => name(row).toLowerCase().includes(word)));
  });
});

// What could not be read, folded away behind how much that is.
MDM.problems = (site) => {
  const { el } = MDM;
  if (!site.problems.length) return "";
  return el("details", { class: "problem" }, el("summary", {}, `Not shown: ${site.problems.length} problem${site.problems.length > 1 ? "s" : ""}`),
    el("ul", {}, site.problems.map((problem) => el("li", {}, problem))));
};

// A ranking as it is in leaderboard.md: texts to show, values to sort by.
MDM.ranked = (caption, { headers, alignment, rows, values }, extra = () => ({})) => MDM.table({
  caption, rows: rows.map((texts, index) => ({ texts, values: values[index] })), size: 50, compact: true,
  columns: headers.map((label, index) => ({
    label: MDM.capital(label), text: alignment[index] === "left", value: (row) => MDM.sortable(row.values[index]),
    cell: (row) => row.texts[index], ...extra(label, index),
  })),
});

MDM.sortable = (value) => (typeof value === "string" && !/^-?Infinity$/.test(value) ? value : MDM.number(value));

MDM.allTasks = (main, site, pick) => {
  const { el } = MDM;
  const most = Math.max(...site.across.values.flatMap((row) => row.slice(3)).filter((rank) => rank != null));
  const table = MDM.ranked("Ranks on all tasks", site.across, (label, index) => (index < 3 ? {} : {
    label, shade: (row) => (row.values[index] == null ? 0 : 1 - (row.values[index] - 1) / Math.max(1, most - 1)),
  }));
  main.append(
    table.root,
    el("p", { class: "note" }, "Rank on each task with its 95 % interval, the darker the better; –: not ranked there. Sorted by the number of tasks that rank a sampler, then by its mean rank on them."),
    el("h2", { class: "section" }, "In words"),
    el("div", { class: "verdicts" }, site.rankings.map((ranking) => {
      const index = site.panels.findIndex((panel) => panel.task === ranking.task && panel.model === ranking.model);
      return el("section", {}, el("h3", {}, el("button", { type: "button", class: "link", onclick: () => pick(String(index)) }, `${ranking.task} · ${ranking.model}`)),
        el("p", {}, ranking.words.join(" ")));
    })),
  );
  return [[table, (row) => row.texts[0]]];
};

MDM.oneTask = (main, site, panel) => {
  const { el } = MDM;
  const tables = [];
  const ranking = site.rankings.find((each) => each.task === panel.task && each.model === panel.model);
  if (ranking) {
    const table = MDM.ranked(`Ranking of samplers of ${panel.model} on ${panel.task}`, ranking.table);
    main.append(el("h2", { class: "section" }, "Ranking"), el("p", { class: "verdict" }, ranking.words.join(" ")));
    if (ranking.table.rows.length > 1) {
      main.append(table.root, el("p", { class: "note" }, ranking.legend));
      tables.push([table, (row) => row.texts[2]]);
    }
    main.append(el("h2", { class: "section" }, "All settings"));
  }
  const settings = MDM.allSettings(site, panel);
  tables.push([settings, (row) => `${row.label} ${row.setting}`]);
  main.append(settings.root,
    el("p", { class: "note" }, "Metrics are means over seeds ± one standard error, costs means per sample. ",
      "The best value of each metric is bold; ✓: on the Pareto frontier of NFE and the first metric. A sampler's name leads to its samples. ", site.timing));
  return tables;
};

MDM.allSettings = (site, panel) => {
  const { el, format, number, withError, capital } = MDM;
  const rows = site.settings.filter((row) => row.task === panel.task && row.model === panel.model);
  const metrics = panel.metrics.map((key) => site.metrics[key]).filter((metric) => rows.some((row) => row.values[metric.key]));
  const axes = site.axes.filter((axis) => rows.some((row) => row.costs[axis.key] != null));
  const best = new Map(metrics.map((metric) => [metric.key, MDM.best(rows, metric)]));
  const columns = [
    { label: "Sampler", text: true, value: (row) => row.label, cell: (row) => row.label },
    { label: "Setting", text: true, value: (row) => row.setting, cell: (row) => row.setting || "–" },
    ...metrics.map((metric) => ({
      label: `${metric.label} ${metric.direction === "higher" ? "↑" : "↓"}`,
      title: `${metric.key}${metric.unit ? `, ${metric.unit}` : ""}: ${metric.direction} is better; ± one standard error`,
      value: (row) => number(row.values[metric.key]?.[0]),
      cell: (row) => {
        const value = row.values[metric.key];
        if (!value) return "–";
        return number(value[0]) === best.get(metric.key) ? [el("strong", {}, withError(value))] : withError(value);
      },
    })),
    ...axes.map((axis) => ({
      label: capital(axis.label), title: `${axis.label}, mean per sample`,
      value: (row) => number(row.costs[axis.key]), cell: (row) => format(row.costs[axis.key]),
    })),
    { label: "Pareto", title: "On the Pareto frontier of NFE and the first metric", value: (row) => -row.pareto, cell: (row) => (row.pareto ? "✓" : "") },
    { label: "Docu­ments", title: "Documents, the fewest of any seed", value: (row) => row.documents, cell: (row) => format(row.documents) },
    { label: "Seeds", value: (row) => row.seeds, cell: (row) => format(row.seeds) },
  ];
  return MDM.table({
    caption: `Leaderboard of ${panel.model} on ${panel.task}`, columns, rows, size: 100,
    onpick: (row) => { location.hash = `samples/${row.cells[0]}`; },
  });
};

MDM.best = (rows, metric) => {
  const values = rows.map((row) => MDM.number(row.values[metric.key]?.[0])).filter((value) => !Number.isNaN(value));
  return metric.direction === "higher" ? Math.max(...values) : Math.min(...values);
};

// Which task and model the curves are of.
MDM.panelSelect = (site, state) => MDM.select("Task and model",
  site.panels.map((panel, index) => [String(index), `${panel.task} · ${panel.model}`]), String(state.panel ?? 0),
  (value) => { state.panel = Number(value); state.board = value; state.metric = state.on = state.bands = null; MDM.show(); });
