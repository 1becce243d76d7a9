// Which axes move an output: the share of its variance that each explains alone, and with all its interactions.
DRAWN.shares = function () {
  const found = DATA.sensitivity.find((each) => each.output === state["shares.output"]);
  if (!found || found.method === "constant") { return absent("shares", found ? "This output is the same at all points, or no axis differs." : "No output to explain."); }
  const rows = found.axes.map((axis, k) => ({label: found.labels[k], first: found.first[k], total: found.total[k]}))
    .sort((a, b) => (a.total ?? a.first ?? 0) - (b.total ?? b.first ?? 0));
  const look = theme(), names = rows.map((row) => safe(row.label));
  const bar = (name, pick, colour) => ({type: "bar", orientation: "h", name, y: names, x: rows.map(pick), marker: {color: colour}, hovertemplate: "%{y}: %{x:.1%}<extra>" + name + "</extra>",
    text: rows.map((row) => { const value = pick(row); return value === null ? "" : (100 * value).toFixed(value < 0.0995 ? 1 : 0) + " %"; }), textposition: "outside", cliponaxis: false, textfont: {color: look.ink}});
  const traces = [bar("alone (first order)", (row) => row.first, PALETTE[0])];
  if (found.total.some(finite)) { traces.unshift(bar("with its interactions (total)", (row) => row.total, PALETTE[4])); }
  show("shares", traces, {barmode: "group", bargap: 0.28, height: 130 + 62 * rows.length, xaxis: axisStyle({range: [0, 1.12], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1], title: {text: narrow() ? "share of variance" : "share of the variance of " + safe(outputOf(found.output).label)}}),
    yaxis: axisStyle({type: "category"}), legend: {orientation: "h", traceorder: "reversed", y: -0.28 - 0.3 / rows.length, yanchor: "top", x: 0}});
  say("shares", found.points + " points. " + (found.method === "grid"
    ? "They fill a grid, so both shares are exact sums of squares."
    : "They fill no grid, so shares are estimates: alone by equation (3), with interactions by equation (4)."
      + (found.explained === null ? " There are too few points for a forest." : " The forest explains " + Math.round(100 * found.explained) + " % of the variance out of bag."
      + (found.explained < 0.5 ? " That is too little to trust its shares." : ""))));
};
