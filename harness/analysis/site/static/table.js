"use strict";
// A table that sorts by its headings, a page of rows at a time.
//
// columns: [{label, title, value(row), cell(row)}], `value` to sort by, `cell` to show (text or nodes); `text: true`
// aligns left; `shade(row)`, from 0 to 1, colours. A `compact` table is no wider than it must. onpick(row) makes the first cell of a row a button.

MDM.table = ({ caption, columns, rows, size = 50, sort = null, onpick = null, picked = () => false, compact = false }) => {
  const { el } = MDM;
  let shown = rows;
  let page = 0;
  let order = sort ?? { column: null, down: false };

  const body = el("tbody");
  const headings = columns.map((column, index) => el("th", { scope: "col", class: column.text ? "words" : "" },
    el("button", { type: "button", title: column.title ?? column.label, onclick: () => turn(index) }, column.label)));
  const pager = el("div", { class: "pager" });
  const root = el("div", { class: compact ? "tablebox compact" : "tablebox" },
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      el("table", {}, el("caption", { class: "hidden" }, caption), el("thead", {}, el("tr", {}, headings)), body)), pager);

  // Unknown values stay last in both directions.
  function compare(a, b, down) {
    const missing = (x) => x == null || Number.isNaN(x);
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    const sign = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return down ? -sign : sign;
  }

  function turn(index) {
    order = { column: index, down: order.column === index && !order.down };
    page = 0;
    draw();
  }

  function sorted() {
    if (order.column == null) return shown;
    const value = columns[order.column].value;
    return shown.map((row) => [value(row), row]).sort((a, b) => compare(a[0], b[0], order.down)).map((pair) => pair[1]);
  }

  function line(row) {
    const cells = columns.map((column, index) => {
      const content = column.cell(row);
      const inside = index === 0 && onpick
        ? el("button", { type: "button", class: "link", onclick: () => onpick(row) }, content) : content;
      const cell = el(index === 0 ? "th" : "td", { scope: index === 0 ? "row" : null, class: column.text ? "words" : "" }, inside);
      if (column.shade) cell.style.setProperty("--shade", `${Math.round(34 * column.shade(row))}%`);
      return cell;
    });
    return el("tr", { "aria-current": picked(row) ? "true" : null }, cells);
  }

  function draw() {
    headings.forEach((heading, index) => {
      if (index === order.column) heading.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
    const all = sorted();
    const last = Math.max(0, Math.ceil(all.length / size) - 1);
    page = Math.min(page, last);
    body.replaceChildren(...all.slice(page * size, (page + 1) * size).map(line));
    const go = (label, target, off) =>
      el("button", { type: "button", disabled: off, onclick: () => { page = target; draw(); } }, label);
    const count = all.length === rows.length ? `${rows.length}` : `${all.length} of ${rows.length}`;
    const range = last > 0 ? `${page * size + 1}–${Math.min(all.length, (page + 1) * size)} of ${count}` : `${count} rows`;
    pager.replaceChildren(el("span", { role: "status" }, range),
      ...(last > 0 ? [go("Previous", page - 1, page === 0), go("Next", page + 1, page === last)] : []));
  }

  draw();
  return {
    root,
    draw,
    filter(keep) { shown = rows.filter(keep); page = 0; draw(); },
    // Show the page that has the row.
    reveal(row) { page = Math.max(0, Math.floor(sorted().indexOf(row) / size)); draw(); },
    sorted,
  };
};
