// Heat: an output over two axes, each cell the mean over what else differs.
DRAWN.heat = function () {
  const x = axisOf(state["heat.x"]), y = axisOf(state["heat.y"]), z = outputOf(state["heat.z"]);
  if (!x || !y || !z || x.of === y.of) { return absent("heat", "A heat plot needs two different axes and an output."); }
  const points = chosen().filter((i) => usable(i) && finite(z.values[i]));
  if (!points.length) { return absent("heat", "No finished point with this output is among those chosen above."); }
  const cells = new Map();
  for (const i of points) {
    gather(cells, coded(y).codes[i] + " " + coded(x).codes[i], z.values[i]);
  }
  const columns = [...new Set(points.map((i) => coded(x).codes[i]))].sort((a, b) => a - b);
  const rows = [...new Set(points.map((i) => coded(y).codes[i]))].sort((a, b) => a - b);
  const size = scaleOf(points.map((i) => z.values[i]), z), over = others(points, [x, y]);
  const at = (row, column) => cells.get(row + " " + column);
  const values = rows.map((row) => columns.map((column) => at(row, column) ? mean(at(row, column)) * size.factor : null));
  const log = fits(state["heat.scale"], values.flat().filter(finite)) === "log" && values.flat().filter(finite).every((value) => value > 0);
  const few = rows.length * columns.length <= (narrow() ? 40 : 160) && columns.length <= 14;
  const look = theme();
  show("heat", [{
    type: "heatmap", x: columns.map((code) => coded(x).levels[code]), y: rows.map((code) => coded(y).levels[code]),
    z: log ? values.map((row) => row.map((value) => value === null ? null : Math.log10(value))) : values,
    text: values.map((row) => row.map((value) => value === null ? "" : plain(value))), texttemplate: few ? "%{text}" : undefined, xgap: 2, ygap: 2,
    colorscale: "Viridis", hoverongaps: false, colorbar: {title: {text: safe(headed(z.label, size.unit)), side: "right"}, thickness: 14, outlinewidth: 0, tickcolor: look.soft, ...(log ? decadeTicks(values.flat().filter(finite)) : {})},
    customdata: rows.map((row) => columns.map((column) => {
      const inside = at(row, column) || [];
      return inside.length > 1 ? inside.length + " points, from " + plain(least(inside) * size.factor) + " to " + plain(most(inside) * size.factor) : "one point";
    })),
    hovertemplate: safe(x.label) + " %{x}<br>" + safe(y.label) + " %{y}<br><b>%{text} " + size.unit + "</b><br>%{customdata}<extra></extra>",
  }], {height: Math.max(300, Math.min(760, 130 + 46 * rows.length)),
    xaxis: axisStyle({type: "category", title: {text: safe(named(x))}, showgrid: false}), yaxis: axisStyle({type: "category", title: {text: safe(named(y))}, showgrid: false})});
  const empty = values.flat().filter((value) => value === null).length;
  say("heat", (over.length ? "Each cell is the mean over " + listed(over.map((axis) => axis.label)) + "; pointing at it shows the least and the greatest." : [...cells.values()].some((inside) => inside.length > 1) ? "Each cell is the mean of the points in its bin." : "Each cell is one point.")
    + (empty ? " " + empty + " of " + values.flat().length + " cells hold no finished point and stay empty." : "")
    + (log ? " Colours are logarithmic." : ""));
};

// Round values along a logarithmic bar of colours, which itself holds exponents.
function decadeTicks(values) {
  const low = least(values), high = most(values), found = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high); k += 1) {
    found.push(...(high / low > 1e3 ? [1] : [1, 2, 5]).map((m) => m * 10 ** k).filter((value) => value >= low && value <= high));
  }
  return {tickvals: found.map(Math.log10), ticktext: found.map((value) => plain(value))};
}
