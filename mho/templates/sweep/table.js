// All points in a table that sorts, filters and turns pages, and can be taken away as CSV.
function tableColumns() {
  const texts = [{key: "state", label: "state", text: (i) => STATES[DATA.states[i]]}];
  if (DATA.best) { texts.push({key: "front", label: "front", text: (i) => DATA.best[i] ? "on the front" : DATA.feasible && !DATA.feasible[i] ? "not feasible" : ""}); }
  const axes = AXES.map((axis) => {
    const size = scaleOf(axis.numbers || axis.values, axis), times = timed(axis);
    if (!axis.numeric) { return {key: axis.path, label: axis.label, text: (i) => textAt(axis, i)}; }
    return {key: axis.path, label: axis.label, unit: times ? "" : size.unit, base: axis.unit, factor: times ? 1 : size.factor, value: (i) => numberAt(axis, i),
      text: (i) => numberAt(axis, i) === null ? ABSENT : times ? textAt(axis, i) : plain(numberAt(axis, i) * size.factor, 5)};
  });
  const wanted = state["table.all"] === "yes" || !DATA.wanted.length ? OUTPUTS : DATA.wanted.map(outputOf);
  const outputs = wanted.map((output) => {
    const size = scaleOf(output.values.filter(finite), output);
    return {key: output.name, label: output.label, unit: size.unit, base: output.unit, factor: size.factor, value: (i) => output.values[i],
      text: (i) => finite(output.values[i]) ? plain(output.values[i] * size.factor, 4) : ""};
  });
  const errors = DATA.errors.some(Boolean) ? [{key: "error", label: "error", wide: true, text: (i) => DATA.errors[DATA.error[i]]}] : [];
  return texts.concat(axes, outputs, errors);
}

// A filter as a test: words are looked for; >, <, =, != and a..b compare, in the heading's unit or with a unit of theirs.
const AMOUNT = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(\S*)$/i;
function amount(text, column) {
  const found = AMOUNT.exec(text.trim().replace("−", "-"));
  if (!found) { return NaN; }
  const suffix = found[2].replace("u", "µ").replace("mm²", "mm2").replace("µm²", "µm2");
  if (!suffix) { return Number(found[1]) / column.factor; }
  if (column.base === "m2") { return Number(found[1]) * ({mm2: 1e-6, "µm2": 1e-12, m2: 1}[suffix] ?? NaN); }
  const power = Object.entries(PREFIXES).find(([, prefix]) => suffix === prefix + column.base || (prefix && suffix === prefix));
  return power ? Number(found[1]) * 10 ** Number(power[0]) : NaN;
}

function tester(text, column) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) { return () => true; }
  if (column.value) {
    const close = (a, b) => Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b));
    const range = wanted.split("..");
    if (range.length === 2) {
      const low = amount(range[0], column), high = amount(range[1], column);
      if (!Number.isNaN(low) && !Number.isNaN(high)) { return (i) => finite(column.value(i)) && column.value(i) >= low && column.value(i) <= high; }
    }
    const found = /^(>=|<=|!=|>|<|=)\s*(.+)$/.exec(text.trim()), limit = found ? amount(found[2], column) : NaN;
    if (found && Number.isNaN(limit)) { return null; }
    if (found) {
      const compare = {">": (v) => v > limit, "<": (v) => v < limit, ">=": (v) => v >= limit || close(v, limit), "<=": (v) => v <= limit || close(v, limit), "=": (v) => close(v, limit), "!=": (v) => !close(v, limit)}[found[1]];
      return (i) => finite(column.value(i)) && compare(column.value(i));
    }
  }
  if (wanted.startsWith("!=")) { return (i) => column.text(i).toLowerCase() !== wanted.slice(2).trim(); }
  if (wanted.startsWith("=")) { return (i) => column.text(i).toLowerCase() === wanted.slice(1).trim(); }
  if (wanted.startsWith("!")) { return (i) => !column.text(i).toLowerCase().includes(wanted.slice(1).trim()); }
  return (i) => column.text(i).toLowerCase().includes(wanted);
}

function tableRows(shown) {
  const tests = shown.map((column) => tester(state["filter." + column.key] || "", column)).filter(Boolean);
  const active = Object.keys(brushes).length > 0;
  const rows = chosen().filter((i) => tests.every((test) => test(i)) && (!active || (usable(i) && brushed(i))));
  const by = shown.find((column) => column.key === state["table.sort"]), sign = state["table.way"] === "down" ? -1 : 1;
  if (!by) { return rows; }
  // What is not available stands last, whichever way.
  const compare = by.value
    ? (i, j) => (finite(by.value(j)) - finite(by.value(i))) || (finite(by.value(i)) ? sign * (by.value(i) - by.value(j)) : 0)
    : (i, j) => sign * by.text(i).localeCompare(by.text(j), "en", {numeric: true});
  return rows.sort((i, j) => compare(i, j) || i - j);
}

let tableHead = "";
DRAWN.table = function () {
  const shown = tableColumns(), table = document.getElementById("points");
  if (tableHead !== shown.map((column) => column.key).join("\n")) { heads(table, shown); tableHead = shown.map((column) => column.key).join("\n"); }
  for (const head of table.querySelectorAll("th[data-key]")) {
    const mine = head.dataset.key === state["table.sort"];
    head.setAttribute("aria-sort", mine ? (state["table.way"] === "down" ? "descending" : "ascending") : "none");
  }
  for (const input of table.querySelectorAll("input")) {
    const text = state["filter." + input.dataset.key] || "";
    if (input.value !== text) { input.value = text; }
    input.setAttribute("aria-invalid", tester(text, shown.find((column) => column.key === input.dataset.key)) === null);
  }
  const rows = tableRows(shown), size = Number(state["table.size"]), pages = Math.max(1, Math.ceil(rows.length / size));
  const page = Math.min(pages, Math.max(1, Number(state["table.page"]) || 1)), body = table.tBodies[0];
  body.replaceChildren(...rows.slice((page - 1) * size, page * size).map((i) => {
    const row = document.createElement("tr");
    row.dataset.point = i;
    row.className = STATES[DATA.states[i]];
    for (const column of shown) {
      const cell = row.insertCell();
      cell.textContent = column.text(i);
      cell.className = column.value ? "num" : column.wide ? "source" : "";
    }
    return row;
  }));
  document.getElementById("table-page").textContent = rows.length ? `Page ${page} of ${pages}` : "";
  document.getElementById("table-back").disabled = page <= 1;
  document.getElementById("table-on").disabled = page >= pages;
  const ranges = Object.keys(brushes).length ? " inside the ranges of the parallel coordinates" : "";
  say("table", rows.length + " of " + COUNT + (DATA.trials ? " trials" : " points") + ranges + ".");
};

function heads(table, shown) {
  const row = document.createElement("tr"), filters = document.createElement("tr");
  for (const column of shown) {
    const head = document.createElement("th"), button = document.createElement("button");
    head.dataset.key = column.key;
    head.scope = "col";
    head.className = column.value ? "num" : "";
    button.type = "button";
    button.textContent = column.unit ? column.label + " [" + column.unit + "]" : column.label;
    button.title = column.key;
    button.addEventListener("click", () => {
      const again = state["table.sort"] === column.key;
      state["table.way"] = again && state["table.way"] === "up" ? "down" : "up";
      state["table.page"] = "1";
      choose("table.sort", column.key, "table");
    });
    head.append(button);
    row.append(head);
    const cell = document.createElement("td"), input = document.createElement("input");
    input.type = "search";
    input.dataset.key = column.key;
    input.placeholder = column.value ? "> 0" : "text";
    input.setAttribute("aria-label", "Filter " + column.label);
    input.addEventListener("input", () => { state["table.page"] = "1"; choose("filter." + column.key, input.value, "table"); });
    cell.append(input);
    filters.append(cell);
  }
  filters.className = "filters";
  table.tHead.replaceChildren(row, filters);
}

// The rows as filtered and sorted, plain SI figures, under the names that results.csv has.
function csvText() {
  const shown = tableColumns();
  // A text that a spreadsheet would take for a formula is kept a text.
  const cell = (value) => { let text = String(value); if (/^[=+@\t\r]/.test(text) || /^-[^\d.]/.test(text)) { text = "'" + text; } return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; };
  const raw = (column, i) => column.value ? (finite(column.value(i)) ? column.value(i) : "") : column.text(i) === ABSENT ? "" : column.text(i);
  return [shown.map((column) => cell(column.key)).join(",")].concat(tableRows(shown).map((i) => shown.map((column) => cell(raw(column, i))).join(","))).join("\n") + "\n";
}

function takeAway() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText()], {type: "text/csv"}));
  link.download = DATA.title + ".csv";
  link.click();
  URL.revokeObjectURL(link.href);
}
