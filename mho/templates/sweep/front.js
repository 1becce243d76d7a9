// Two objectives against each other: the points that none other beats in both are the Pareto front.
const MOST_PALE = 3000;
const up = (way) => way === "maximize";

// Indices on the front, in the order of the first objective; equal points stand together.
function frontOf(points, a, b, wayA, wayB) {
  const cost = (values, way, i) => up(way) ? -values[i] : values[i];
  const order = points.slice().sort((i, j) => cost(a, wayA, i) - cost(a, wayA, j) || cost(b, wayB, i) - cost(b, wayB, j));
  const found = [];
  let best = Infinity, at = null;
  for (const i of order) {
    const ca = cost(a, wayA, i), cb = cost(b, wayB, i);
    if (cb < best) { best = cb; at = ca; found.push(i); } else if (cb === best && ca === at) { found.push(i); }
  }
  return found.sort((i, j) => a[i] - a[j] || b[i] - b[j]);
}

DRAWN.front = function () {
  const x = outputOf(state["front.x"]), y = outputOf(state["front.y"]), colour = axisOf(state["front.colour"]);
  if (!x || !y || x === y) { return absent("front", "A front needs two different outputs."); }
  const wayX = state["front.xway"], wayY = state["front.yway"];
  const points = chosen().filter((i) => usable(i) && finite(x.values[i]) && finite(y.values[i]));
  if (!points.length) { return absent("front", "No finished point with both outputs is among those chosen above."); }
  const feasible = points.filter((i) => !DATA.feasible || DATA.feasible[i]);
  const front = frontOf(feasible, x.values, y.values, wayX, wayY), on = new Set(front);
  const chips = DATA.published.filter((chip) => chip.figures[x.name] && chip.figures[y.name]);
  const sx = scaleOf(points.map((i) => x.values[i]), x), sy = scaleOf(points.map((i) => y.values[i]), y);
  const about = (i) => AXES.filter((axis) => textAt(axis, i) !== ABSENT).map((axis) => safe(axis.label + " " + textAt(axis, i))).concat(
    "<b>" + safe(x.label) + " " + plain(x.values[i] * sx.factor, 4) + " " + sx.unit, safe(y.label) + " " + plain(y.values[i] * sy.factor, 4) + " " + sy.unit + "</b>").join("<br>");
  const part = (points, more) => ({x: points.map((i) => x.values[i] * sx.factor), y: points.map((i) => y.values[i] * sy.factor), text: points.map(about), mode: "markers", hovertemplate: "%{text}<extra></extra>", ...more});
  const look = theme(), traces = [];
  traces.push(part(front, {mode: "lines", name: "front", line: {color: look.ink, width: 1.6, shape: up(wayX) ? "vh" : "hv"}, hoverinfo: "skip", hovertemplate: undefined, text: undefined}));
  let dominated = feasible.filter((i) => !on.has(i));
  const hidden = dominated.length - MOST_PALE;
  if (hidden > 0) { const every = dominated.length / MOST_PALE; dominated = [...Array(MOST_PALE).keys()].map((k) => dominated[Math.floor(k * every)]); }
  const levels = colour ? coded(colour) : {codes: [], levels: [""]};
  levels.levels.forEach((level, k) => {
    const mine = (points) => colour ? points.filter((i) => levels.codes[i] === k) : points;
    const look = {color: nth(PALETTE, k), symbol: nth(SHAPES, k)}, name = safe(colour ? level : "points"), pale = mine(dominated), best = mine(front);
    if (pale.length) { traces.push(part(pale, {name, legendgroup: name, showlegend: !best.length, opacity: 0.55, marker: {...look, size: 7}, meta: "dominated"})); }
    if (best.length) { traces.push(part(best, {name, legendgroup: name, marker: {...look, size: 11, line: {color: theme().ink, width: 1.2}}, meta: "front"})); }
  });
  const infeasible = points.filter((i) => DATA.feasible && !DATA.feasible[i]).slice(0, MOST_PALE);
  if (infeasible.length) { traces.push(part(infeasible, {name: "not feasible", opacity: 0.5, marker: {symbol: "x-thin-open", color: look.soft, size: 7, line: {width: 1.4}}, meta: "infeasible"})); }
  for (const analog of [true, false]) {
    const published = chips.filter((chip) => chip.analog === analog);
    if (!published.length || state["front.chips"] === "no") { continue; }
    const first = published.map((chip, k) => published.findIndex((other) => other.chip === chip.chip) === k);
    traces.push({x: published.map((chip) => chip.figures[x.name].value * sx.factor), y: published.map((chip) => chip.figures[y.name].value * sy.factor), mode: narrow() ? "markers" : "markers+text", cliponaxis: false,
      name: analog ? "published, analog" : "published, digital", // One name a chip; pointing at it shows how it was operated.
      text: published.map((chip, k) => first[k] ? safe(chip.chip) : ""), hovertext: published.map((chip) => safe(chip.label)), textposition: published.map((_, k) => first.slice(0, k).filter(Boolean).length % 2 ? "bottom center" : "top center"), textfont: {size: 10, color: look.soft}, meta: "published",
      marker: {symbol: analog ? "star-diamond-open" : "square-open", color: look.ink, size: 10, line: {width: 1.6}},
      customdata: published.map((chip) => [x, y].map((output) => { const figure = chip.figures[output.name]; return safe(output.label + ": " + figure.value + " (" + figure.status + ": " + figure.source + ")"); }).join("<br>")),
      hovertemplate: "<b>%{hovertext}</b><br>%{customdata}<extra></extra>"});
  }
  const every = (axis) => traces.flatMap((trace) => trace[axis]);
  const arrow = (way) => up(way) ? " → better" : " ← better", tall = (way) => up(way) ? " ↑ better" : " ↓ better";
  show("front", traces, {height: 520,
    xaxis: axisStyle({type: fits(state["front.xscale"], every("x")), decades: decades(every("x")), title: {text: safe(headed(x.label, sx.unit)) + arrow(wayX)}}),
    yaxis: axisStyle({type: fits(state["front.yscale"], every("y")), decades: decades(every("y")), title: {text: safe(headed(y.label, sy.unit)) + tall(wayY)}})});
  say("front", front.length + " of " + feasible.length + " points are beaten by none in both; the others are pale."
    + (hidden > 0 ? " Of the pale ones " + MOST_PALE + " are drawn." : "")
    + (DATA.feasible ? " " + (points.length - feasible.length) + " points break a limit." : "")
    + (chips.length ? " Published chips solve other tasks at other nodes and resolutions: their marks say where the field stands, not which is better."
      : DATA.published.length ? " No published chip has both figures in the same meaning." : ""));
};
