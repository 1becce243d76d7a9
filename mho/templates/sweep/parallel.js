// Parallel coordinates: one line a point across all axes and outputs. Ranges chosen on an axis choose the points.
const MOST_LINES = 1500;
const SVG = "http://www.w3.org/2000/svg";
const brushes = {}; // by column: [low, high] of its height, from 0 to 1

function columnsOf() {
  const wanted = DATA.wanted.length ? DATA.wanted : OUTPUTS.slice(0, 5).map((output) => output.name);
  const axes = AXES.map((axis) => {
    const {codes, levels} = coded(axis);
    if (axis.many) {
      const present = axis.values.filter(finite), low = least(present), high = most(present), log = fits("auto", present) === "log";
      const to = (value) => log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low || 1);
      const size = scaleOf(present, axis);
      return {key: axis.path, label: named(axis), at: (i) => axis.values[i] === null ? null : to(axis.values[i]), ticks: [[0, plain(low * size.factor)], [1, plain(high * size.factor)]]};
    }
    const last = Math.max(1, levels.length - 1), few = Math.ceil(levels.length / 12);
    return {key: axis.path, label: named(axis), at: (i) => levels.length > 1 ? codes[i] / last : 0.5,
      ticks: levels.map((level, k) => [levels.length > 1 ? k / last : 0.5, level]).filter((_, k) => k % few === 0)};
  });
  const outputs = wanted.slice(0, 7).map(outputOf).map((output) => {
    const present = output.values.filter((value, i) => usable(i) && finite(value)), size = scaleOf(present, output);
    const log = fits("auto", present) === "log", low = present.length ? least(present) : 0, high = present.length ? most(present) : 1;
    const to = (value) => high === low ? 0.5 : log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    const from = (share) => log ? low * (high / low) ** share : low + share * (high - low);
    return {key: output.name, label: headed(output.label, size.unit), output: true, at: (i) => finite(output.values[i]) ? to(output.values[i]) : null,
      ticks: high === low ? [[0.5, plain(low * size.factor)]] : [0, 0.25, 0.5, 0.75, 1].map((share) => [share, plain(from(share) * size.factor)])};
  });
  return axes.concat(outputs);
}

const within = (column, i) => { const range = brushes[column.key], at = column.at(i); return !range || (at !== null && at >= range[0] - 1e-9 && at <= range[1] + 1e-9); };
let COLUMNS = null;
const columns = () => COLUMNS || (COLUMNS = columnsOf());
const brushed = (i) => columns().every((column) => within(column, i));

// From violet over green to yellow, as Viridis; on a dark page its darkest part would vanish.
const VIRIDIS = [[72, 40, 120], [62, 83, 160], [38, 130, 142], [53, 183, 121], [160, 218, 57], [240, 215, 40]];
function shade(share) {
  const at = Math.min(0.999, Math.max(0, share)) * (VIRIDIS.length - 1), k = Math.floor(at), part = at - k;
  return "rgb(" + VIRIDIS[k].map((value, c) => Math.round(value + part * (VIRIDIS[k + 1][c] - value))).join(",") + ")";
}

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) { made.setAttribute(key, value); }
  if (text !== undefined) { made.textContent = text; }
  if (parent) { parent.append(made); }
  return made;
}

const GEOMETRY = {top: 92, height: 300, left: 108, step: 112};

DRAWN.parallel = function () {
  const box = document.getElementById("parallel"), drawn = columns();
  box.replaceChildren();
  if (drawn.length < 2) { return say("parallel", "Parallel coordinates need an axis and an output, or two of either."); }
  const {top, height, left} = GEOMETRY, step = Math.max(GEOMETRY.step, Math.floor((box.clientWidth - 260) / (drawn.length - 1)));
  const width = left + step * (drawn.length - 1) + 168, tint = drawn.find((column) => column.key === state["parallel.colour"]) || drawn[drawn.length - 1];
  const svg = element("svg", {viewBox: `0 0 ${width} ${top + height + 26}`, width, height: top + height + 26, role: "group", "aria-label": "Parallel coordinates"}, box);
  let points = chosen().filter(usable);
  const total = points.length;
  if (total > MOST_LINES) { points = [...Array(MOST_LINES).keys()].map((k) => points[Math.floor(k * total / MOST_LINES)]); }
  const lines = element("g", {fill: "none", class: "threads"}, svg);
  const x = (k) => left + k * step, y = (share) => top + (1 - share) * height;
  points.forEach((i) => {
    let path = "", pen = "M";
    drawn.forEach((column, k) => { const at = column.at(i); if (at === null) { pen = "M"; } else { path += pen + x(k) + " " + y(at).toFixed(1); pen = "L"; } });
    const share = tint.at(i);
    element("path", {d: path, stroke: share === null ? "currentColor" : shade(share), "data-point": i}, lines);
  });
  drawn.forEach((column, k) => upright(svg, column, x(k), y));
  mark();
};

// One upright: ticks, and a range that is drawn with the pointer or moved with the arrow keys.
function upright(svg, column, x, y) {
  const {top, height} = GEOMETRY;
  const group = element("g", {class: "upright", tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": 100, "data-key": column.key}, svg);
  const title = element("text", {class: column.output ? "head output" : "head", transform: `translate(${x - 4} ${top - 12}) rotate(-18)`}, group, column.label);
  element("title", {}, title, column.key);
  element("line", {x1: x, x2: x, y1: top, y2: top + height, class: "rail"}, group);
  for (const [share, text] of column.ticks) { element("text", {x: x - 6, y: y(share) + 4, "text-anchor": "end", class: "tick"}, group, text.length > 15 ? text.slice(0, 14) + "…" : text); }
  const range = element("rect", {x: x - 8, width: 16, class: "range", rx: 3}, group), target = element("rect", {x: x - 14, y: top - 6, width: 28, height: height + 12, class: "target"}, group);
  function place() {
    const span = brushes[column.key];
    range.setAttribute("visibility", span ? "visible" : "hidden");
    group.setAttribute("aria-valuenow", span ? Math.round(50 * (span[0] + span[1])) : 50);
    group.setAttribute("aria-valuetext", span ? `from ${Math.round(100 * span[0])} to ${Math.round(100 * span[1])} % of the axis` : "everything");
    group.setAttribute("aria-label", column.label);
    if (span) { range.setAttribute("y", y(span[1])); range.setAttribute("height", Math.max(3, y(span[0]) - y(span[1]))); }
  }
  function put(low, high) {
    brushes[column.key] = [Math.max(0, Math.min(low, high)), Math.min(1, Math.max(low, high))];
    place();
    mark();
  }
  function clear() { delete brushes[column.key]; place(); mark(); DRAWN.table(); }
  const share = (event) => { const box = target.getBoundingClientRect(); return 1 - ((event.clientY - box.top) / box.height * (height + 12) - 6) / height; };
  let from = null;
  target.addEventListener("pointerdown", (event) => { from = share(event); target.setPointerCapture(event.pointerId); event.preventDefault(); group.focus({preventScroll: true}); });
  target.addEventListener("pointermove", (event) => { if (from !== null && Math.abs(share(event) - from) > 0.01) { put(from, share(event)); } });
  target.addEventListener("pointerup", (event) => { const short = Math.abs(share(event) - from) <= 0.01; from = null; if (short) { clear(); } else { DRAWN.table(); } });
  group.addEventListener("keydown", (event) => {
    const move = {ArrowUp: 0.05, ArrowDown: -0.05}[event.key], span = brushes[column.key] || [0, 1];
    if (event.key === "Escape") { clear(); } else if (move && event.shiftKey) { put(span[0], Math.max(span[0] + 0.02, span[1] + move)); } else if (move && !brushes[column.key]) { put(...(move > 0 ? [0.5, 1] : [0, 0.5])); } else if (move) { put(span[0] + move, span[1] + move); } else { return; }
    event.preventDefault();
    DRAWN.table();
  });
  place();
}

// Lines outside the ranges fade, and the words say how many are left.
function mark() {
  const active = Object.keys(brushes).length > 0;
  let inside = 0, all = 0;
  for (const line of document.querySelectorAll("#parallel .threads path")) {
    const good = brushed(Number(line.dataset.point));
    line.classList.toggle("outside", !good);
    inside += good;
    all += 1;
  }
  document.getElementById("parallel-clear").hidden = !active;
  const total = chosen().filter(usable).length;
  say("parallel", (active ? inside + " of " + all + " lines are inside the ranges; the table below shows their points alone. " : "Draw along an upright to choose a range, click it to let go; with the keyboard: arrow keys move a range, with Shift its upper end, Escape lets go. ")
    + (total > all ? all + " of " + total + " points are drawn. " : "") + "A line breaks where a point has no figure.");
}
