"use strict";
// The points of the sweep, column by column, and how their values are written.
const DATA = JSON.parse(document.getElementById("data").textContent);
const AXES = DATA.axes, OUTPUTS = DATA.outputs, COUNT = DATA.states.length;
const STATES = {d: "done", s: "stale", f: "failed", m: "missing", p: "pruned"};
const ABSENT = "–", APART = "(does not apply)"; // where a point has no such axis: in a cell, and as a level
const BINS = 8; // of a number that takes many values
const PREFIXES = {"-18": "a", "-15": "f", "-12": "p", "-9": "n", "-6": "µ", "-3": "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"};

const axisOf = (path) => AXES.find((axis) => axis.path === path);
const outputOf = (name) => OUTPUTS.find((output) => output.name === name);
const usable = (i) => DATA.states[i] === "d" || DATA.states[i] === "s";
const finite = (value) => value !== null && Number.isFinite(value);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
// Of a sample, over n - 1, as the spread over chips in the points themselves is; a single value has none.
const deviation = (values) => { const middle = mean(values); return values.length > 1 ? Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)) : 0; };
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

// The number at point i on a numeric axis; null where the axis does not exist or holds words.
function numberAt(axis, i) {
  if (!axis.numeric) { return null; }
  if (axis.many) { return axis.values[i]; }
  return axis.values[i] < 0 ? null : axis.numbers[axis.values[i]];
}

function textAt(axis, i) {
  if (axis.many) { return axis.values[i] === null ? ABSENT : plain(axis.values[i], 6); }
  return axis.values[i] < 0 ? ABSENT : axis.levels[axis.values[i]];
}

// Levels of an axis with a code for each point; many numbers become equally filled bins, absence a level of its own.
const CODED = new Map();
function coded(axis) {
  if (CODED.has(axis.path)) { return CODED.get(axis.path); }
  let codes, levels, numbers = axis.numbers ? axis.numbers.slice() : null;
  if (axis.many) {
    const sorted = axis.values.filter(finite).sort((a, b) => a - b);
    const size = scaleOf(sorted, axis);
    const edges = [...Array(BINS + 1).keys()].map((k) => sorted[Math.round(k / BINS * (sorted.length - 1))]);
    const inner = edges.slice(1, -1);
    codes = axis.values.map((value) => value === null ? -1 : inner.filter((edge) => value > edge).length);
    levels = apart((digits) => inner.concat(0).map((_, k) => plain(edges[k] * size.factor, digits) + " to " + plain(edges[k + 1] * size.factor, digits)));
    numbers = levels.map((_, k) => { const inside = axis.values.filter((value, i) => codes[i] === k); return inside.length ? mean(inside) : edges[k]; });
  } else {
    codes = axis.values;
    levels = axis.levels.slice();
    if (axis.numeric && axis.prefixed) {
      const size = scaleOf(axis.numbers, axis);
      levels = apart((digits) => axis.numbers.map((value) => plain(value * size.factor, digits)));
    }
  }
  if (codes.some((code) => code < 0)) {
    codes = codes.map((code) => code < 0 ? levels.length : code);
    levels = levels.concat(APART);
    if (numbers) { numbers = numbers.concat(null); }
  }
  const found = {codes, levels, numbers};
  CODED.set(axis.path, found);
  return found;
}

// Texts with as few digits as keep them different.
function apart(write) {
  for (const digits of [4, 6, 9]) { const texts = write(digits); if (new Set(texts).size === texts.length) { return texts; } }
  return write(12).map((text, k, all) => all.indexOf(text) < k ? text + " (" + (k + 1) + ")" : text);
}

function gather(groups, key, value) {
  if (groups.has(key)) { groups.get(key).push(value); } else { groups.set(key, [value]); }
}

// The factor and unit in which all of these values are shown.
function scaleOf(values, about) {
  const sizes = values.filter((value) => finite(value) && value !== 0).map(Math.abs);
  if (!about.prefixed || !sizes.length) { return {factor: 1, unit: about.unit === "m2" ? "m²" : about.unit}; }
  sizes.sort((a, b) => a - b);
  const size = sizes[Math.floor(sizes.length / 2)];
  if (about.unit === "m2") { return size >= 0.9995e-9 ? {factor: 1e6, unit: "mm²"} : {factor: 1e12, unit: "µm²"}; }
  const exponent = Math.min(12, Math.max(-18, 3 * Math.floor(Math.log10(size * 1.0005) / 3)));
  return {factor: 10 ** -exponent, unit: PREFIXES[exponent] + about.unit};
}

// A number as people read it.
function plain(value, digits = 3) {
  if (!finite(value)) { return "not available"; }
  if (value === 0) { return "0"; }
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e9) { return value.toExponential(digits - 1); }
  return Number(value.toPrecision(digits)).toLocaleString("en-US", {maximumFractionDigits: 12, useGrouping: size >= 1e4}).replace("-", "−");
}

const headed = (label, unit) => unit ? label + " [" + unit + "]" : label;
// Texts of users go into plots too, where some tags would be read as such.
const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const timed = (axis) => axis.label.startsWith("time "); // its levels are durations in words
const named = (axis) => timed(axis) ? axis.label : headed(axis.label, scaleOf(axis.numbers || axis.values, axis).unit);

// Points that the filter at the top of the page lets through.
function chosen() {
  const wanted = AXES.filter((axis) => !axis.many && state["only." + axis.path] && state["only." + axis.path] !== "all")
    .map((axis) => [axis, coded(axis).levels.indexOf(state["only." + axis.path])]);
  const found = [];
  for (let i = 0; i < COUNT; i += 1) {
    if (wanted.every(([axis, level]) => coded(axis).codes[i] === level)) { found.push(i); }
  }
  return found;
}

// Axes other than these along which the points still differ: what a mean is taken over.
function others(points, used) {
  const dimensions = new Set(used.filter(Boolean).map((axis) => axis.of));
  return AXES.filter((axis) => axis.leads && !dimensions.has(axis.of) && points.some((i) => axis.values[i] !== axis.values[points[0]]));
}
