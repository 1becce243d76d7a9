// Lines: an output over an axis, one line for each value of a second and a panel for each of a third.
DRAWN.lines = function () {
  const x = axisOf(state["lines.x"]), y = outputOf(state["lines.y"]);
  if (!x || !y) { return absent("lines", "A sweep without axes or outputs has no lines to draw."); }
  const free = (path, ...used) => { const axis = axisOf(path); return axis && !used.some((other) => other && other.of === axis.of) ? axis : null; };
  const series = free(state["lines.series"], x), panels = free(state["lines.panels"], x, series);
  const points = chosen().filter((i) => usable(i) && finite(y.values[i]) && coded(x).levels[coded(x).codes[i]] !== APART);
  if (!points.length) { return absent("lines", "No finished point with this output is among those chosen above."); }
  const over = others(points, [x, series, panels]);
  const spread = spreadOf(state["lines.spread"], y, over);
  const size = scaleOf(points.map((i) => y.values[i]), y);
  if (DATA.trials) { return cloud(x, y, series, points, size); }
  const place = horizontal(x, points);
  const groups = new Map();
  for (const i of points) {
    const panel = panels ? coded(panels).codes[i] : 0, line = series ? coded(series).codes[i] : 0;
    const key = panel + " " + line;
    if (!groups.has(key)) { groups.set(key, {panel, line, at: new Map()}); }
    const at = groups.get(key).at, code = coded(x).codes[i];
    gather(at, code, i);
  }
  const shown = [...new Set([...groups.values()].map((group) => group.panel))].sort((a, b) => a - b);
  const lines = [...new Set([...groups.values()].map((group) => group.line))].sort((a, b) => a - b);
  const traces = [], legends = new Set();
  for (const group of [...groups.values()].sort((a, b) => a.panel - b.panel || a.line - b.line)) {
    const codes = [...group.at.keys()].sort((a, b) => a - b), rank = lines.indexOf(group.line), nr = shown.indexOf(group.panel) || "";
    const colour = nth(PALETTE, rank), name = series ? coded(series).levels[group.line] : y.label;
    const middles = codes.map((code) => mean(group.at.get(code).map((i) => y.values[i])) * size.factor);
    const ends = codes.map((code, k) => spread.ends(group.at.get(code), middles[k] / size.factor).map((end) => end * size.factor));
    const axes = {xaxis: "x" + (nr ? nr + 1 : ""), yaxis: "y" + (nr ? nr + 1 : "")};
    const wide = ends.some(([low, high]) => high > low);
    const xs = codes.map(place.at);
    if (wide && place.type !== "category" && codes.length > 1) {
      traces.push({x: xs.concat(xs.slice().reverse()), y: ends.map((end) => end[1]).concat(ends.map((end) => end[0]).reverse()),
        fill: "toself", fillcolor: faded(colour, 0.16), line: {width: 0}, mode: "lines", hoverinfo: "skip", showlegend: false, legendgroup: name, ...axes});
    }
    traces.push({
      x: xs, y: middles, name: safe(name), legendgroup: name, showlegend: !legends.has(name) && Boolean(legends.add(name)), mode: "lines+markers",
      line: {color: colour, width: 2, dash: nth(DASHES, rank)}, marker: {color: colour, size: 7, symbol: nth(SHAPES, rank)},
      error_y: wide && (place.type === "category" || codes.length === 1) ? {type: "data", symmetric: false, color: colour, thickness: 1.2, width: 4,
        array: ends.map((end, k) => end[1] - middles[k]), arrayminus: ends.map((end, k) => middles[k] - end[0])} : undefined,
      text: codes.map((code, k) => [x.label + " " + safe(coded(x).levels[code]), series ? safe(series.label + " " + name) : "",
        "<b>" + plain(middles[k], 4) + " " + size.unit + "</b>", wide ? "from " + plain(ends[k][0]) + " to " + plain(ends[k][1]) : "",
        group.at.get(code).length > 1 ? group.at.get(code).length + " points" : ""].filter(Boolean).join("<br>")),
      hovertemplate: "%{text}<extra></extra>", ...axes,
    });
  }
  const type = fits(state["lines.yscale"], traces.filter((trace) => trace.name).flatMap((trace) => trace.y));
  show("lines", traces, panelled(shown, panels, place, {type, decades: decades(traces.filter((trace) => trace.name).flatMap((trace) => trace.y)), title: {text: safe(headed(y.label, size.unit))}},
    [series ? safe(series.label) : "", spread.brief].filter(Boolean).join(", ")));
  say("lines", [
    over.length ? "Each mark is the mean over " + listed(over.map((axis) => axis.label)) + "." : [...groups.values()].some((group) => [...group.at.values()].some((inside) => inside.length > 1)) ? "Each mark is the mean of the points in its bin." : "Each mark is one point.",
    spread.words, place.words, shown.length > 1 ? "Panels share their axes." : ""].filter(Boolean).join(" "));
};

// Trials differ in more than the horizontal axis: each is a mark of its own, and no line joins them.
function cloud(x, y, series, points, size) {
  const whole = x.numeric && points.every((i) => numberAt(x, i) !== null), sx = scaleOf(x.numbers || x.values, x), factor = x.prefixed ? sx.factor : 1;
  const xs = (i) => whole ? numberAt(x, i) * factor : coded(x).levels[coded(x).codes[i]];
  const levels = series ? coded(series).levels : [y.label], feasible = (i) => !DATA.feasible || DATA.feasible[i];
  const traces = levels.map((level, k) => [level, k, points.filter((i) => !series || coded(series).codes[i] === k)]).filter(([, , mine]) => mine.length).map(([level, k, mine]) => ({
    x: mine.map(xs), y: mine.map((i) => y.values[i] * size.factor), mode: "markers", name: safe(level), marker: {color: nth(PALETTE, k), symbol: nth(SHAPES, k), size: 8, opacity: mine.map((i) => feasible(i) ? 0.85 : 0.35)},
    text: mine.map((i) => AXES.filter((axis) => textAt(axis, i) !== ABSENT).map((axis) => safe(axis.label + " " + textAt(axis, i))).concat("<b>" + plain(y.values[i] * size.factor, 4) + " " + size.unit + "</b>").join("<br>")), hovertemplate: "%{text}<extra></extra>"}));
  const wide = traces.flatMap((trace) => trace.x), tall = traces.flatMap((trace) => trace.y);
  show("lines", traces, {height: 420, legend: {orientation: "h", y: -0.2, yanchor: "top", x: 0, title: {text: series ? safe(series.label) : "", side: "top"}},
    xaxis: axisStyle(whole ? {type: state["lines.xscale"] === "auto" ? fits("auto", wide) : fits(state["lines.xscale"], wide), decades: decades(wide), title: {text: safe(headed(x.label, x.prefixed ? sx.unit : x.unit))}}
      : {type: "category", categoryorder: "array", categoryarray: coded(x).levels, title: {text: safe(x.label)}}),
    yaxis: axisStyle({type: fits(state["lines.yscale"], tall), decades: decades(tall), title: {text: safe(headed(y.label, size.unit))}})});
  say("lines", "Each mark is one of " + points.length + " trials; trials differ in more than this axis, so no line joins them." + (DATA.feasible ? " Pale ones break a limit." : ""));
}

const listed = (words) => words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words[words.length - 1];

// Both ends of the spread of a mark, by what the reader wants it over.
function spreadOf(wanted, output, over) {
  const seeds = over.find((axis) => axis.path === "seed"), chips = output.chips ? output.chips + " chips" : "chips";
  let kind = wanted;
  if (kind === "auto") { kind = output.spread ? "chips" : over.length ? "rest" : "none"; }
  const around = (width) => (rows, middle) => { const half = width(rows); return [middle - half, middle + half]; };
  if (kind === "chips" && output.spread) {
    return {ends: around((rows) => { const spreads = rows.map((i) => output.spread[i]).filter(finite); return spreads.length ? Math.sqrt(mean(spreads.map((s) => s * s))) : 0; }),
      brief: "± 1 std over " + chips, words: "The band or bar is ± 1 standard deviation (over n − 1) over " + chips + " (of several points, the root of the mean square)."};
  }
  if (kind === "seeds" && seeds) {
    return {ends: around((rows) => deviation([...new Set(rows.map((i) => seeds.values[i]))].map((seed) => mean(rows.filter((i) => seeds.values[i] === seed).map((i) => output.values[i]))))),
      brief: "± 1 std over seeds", words: "The band or bar is ± 1 standard deviation (over n − 1) over seeds, of means over all else."};
  }
  if (kind === "rest" && over.length) {
    return {ends: around((rows) => deviation(rows.map((i) => output.values[i]))),
      brief: "± 1 std over " + safe(listed(over.map((axis) => axis.label))), words: "The band or bar is ± 1 standard deviation (over n − 1) over " + listed(over.map((axis) => axis.label)) + "."};
  }
  if (kind === "range" && over.length) {
    return {ends: (rows) => { const figures = rows.map((i) => output.values[i]); return [least(figures), most(figures)]; },
      brief: "least to greatest over " + safe(listed(over.map((axis) => axis.label))), words: "The band or bar reaches from the least to the greatest over " + listed(over.map((axis) => axis.label)) + "."};
  }
  const missing = {chips: "No figures of single chips are kept for this output.", seeds: "No seeds differ at a mark.", rest: "Nothing else differs at a mark.", range: "Nothing else differs at a mark."};
  return {ends: (rows, middle) => [middle, middle], brief: "", words: missing[kind] || ""};
}

// Where the values of the horizontal axis stand: on a scale, or in equal steps.
function horizontal(axis, points) {
  const {numbers, levels, codes} = coded(axis), times = timed(axis);
  let scale = state["lines.xscale"];
  const present = [...new Set(points.map((i) => codes[i]))].map((code) => numbers ? numbers[code] : null);
  if (scale === "auto" && axis.numeric) {
    const positive = present.filter((value) => value > 0);
    scale = fits("auto", positive) === "log" ? (positive.length === present.length ? "log" : "steps") : "linear";
  }
  if (!axis.numeric || scale === "steps") {
    return {type: "category", at: (code) => levels[code], title: named(axis), order: levels.filter((level) => level !== APART),
      words: axis.many ? "Values along the horizontal axis are in equally filled bins." : axis.numeric ? "Values along the horizontal axis stand in equal steps." : ""};
  }
  const size = scaleOf(present, axis);
  // Few values are ticks themselves: times in words, and whole numbers without halves between them.
  const marked = [...new Set(points.map((i) => codes[i]))].filter((code) => scale !== "log" || numbers[code] > 0);
  const exact = present.length <= 10 && (times || present.every(Number.isInteger));
  const ticks = exact ? {tickvals: marked.map((code) => numbers[code] * size.factor), ticktext: marked.map((code) => times ? levels[code] : plain(numbers[code] * size.factor, 6))} : {};
  return {type: scale, decades: decades(present), at: (code) => numbers[code] * size.factor, title: times ? axis.label : headed(axis.label, size.unit), ticks,
    words: axis.many ? "Values along the horizontal axis are in equally filled bins, drawn at their means." : ""};
}

// Panels side by side with common axes, each under its value.
function panelled(shown, panels, place, vertical, legend) {
  const count = shown.length, columns = Math.min(count, narrow() ? 1 : 3), rows = Math.ceil(count / columns);
  const layout = {height: Math.max(380, 250 * rows + 130), annotations: [], legend: {orientation: "h", y: -0.2 / rows - 0.05, yanchor: "top", x: 0, title: {text: legend, side: "top"}}};
  const gapX = columns > 1 ? 0.03 : 0, gapY = rows > 1 ? 0.11 : 0;
  shown.forEach((panel, k) => {
    const column = k % columns, row = Math.floor(k / columns), nr = k ? k + 1 : "";
    const width = (1 - gapX * (columns - 1)) / columns, height = (1 - gapY * (rows - 1)) / rows;
    const left = column * (width + gapX), top = 1 - row * (height + gapY);
    const last = k + columns >= count;
    layout["xaxis" + nr] = axisStyle({domain: [left, left + width], anchor: "y" + nr, type: place.type, decades: place.decades, ...place.ticks, matches: k ? "x" : undefined,
      ...(place.order ? {categoryorder: "array", categoryarray: place.order} : {}), showticklabels: last, title: last ? {text: safe(place.title)} : undefined});
    layout["yaxis" + nr] = axisStyle({domain: [Math.max(0, top - height), top], anchor: "x" + nr, type: vertical.type, decades: vertical.decades, matches: k ? "y" : undefined,
      showticklabels: column === 0, title: column === 0 ? vertical.title : undefined});
    if (panels) {
      layout.annotations.push({text: "<b>" + safe(panels.label + " " + coded(panels).levels[panel]) + "</b>", xref: "paper", yref: "paper", x: left, y: top, xanchor: "left", yanchor: "bottom", showarrow: false, font: {size: 12}});
    }
  });
  return layout;
}
