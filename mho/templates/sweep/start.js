// What is shown first, and the controls of each section.
const LEVELS = (axis) => coded(axis).levels.length;
const varied = AXES.filter((axis) => axis.many || LEVELS(axis) > 1);
const wantedOutputs = (DATA.wanted.length ? DATA.wanted.map(outputOf) : OUTPUTS).filter((output) => output && !output.name.endsWith("_std"));
const DEFAULTS = defaults();

function defaults() {
  const byLevels = varied.filter((axis) => axis.numeric && axis.path !== "seed").sort((a, b) => (b.many ? 1e6 : LEVELS(b)) - (a.many ? 1e6 : LEVELS(a)));
  const x = byLevels[0] || varied[0] || AXES[0], used = new Set([x && x.of]);
  const next = (most) => {
    const found = varied.find((axis) => !used.has(axis.of) && axis.leads && !axis.many && axis.path !== "seed" && LEVELS(axis) <= most);
    if (found) { used.add(found.of); }
    return found ? found.path : "none";
  };
  const series = next(10), panels = next(6), first = wantedOutputs[0] || OUTPUTS[0];
  const pair = varied.filter((axis) => axis.path !== "seed").concat(varied, AXES).filter((axis, k, all) => all.findIndex((other) => other.of === axis.of) === k);
  const good = DATA.objectives ? Object.keys(DATA.objectives).map(outputOf) : [];
  const high = wantedOutputs.find((output) => output.better === "maximize"), low = wantedOutputs.find((output) => output.better === "minimize" && output.name === "energy_J") || wantedOutputs.find((output) => output.better === "minimize");
  const across = good[1] || (high && low) || wantedOutputs[1] || OUTPUTS[1] || first, upright = good[0] || high || first;
  const fx = across === upright ? OUTPUTS.find((output) => output !== upright) || across : across;
  const path = (axis) => axis ? axis.path : "none", name = (output) => output ? output.name : "none";
  return {
    "lines.x": path(x), "lines.y": name(first), "lines.series": series, "lines.panels": panels, "lines.spread": "auto", "lines.xscale": "auto", "lines.yscale": "auto",
    "heat.x": path(pair[0]), "heat.y": path(pair[1]), "heat.z": name(first), "heat.scale": "auto",
    "front.x": name(fx), "front.y": name(upright), "front.xway": (fx && fx.better) || "minimize", "front.yway": (upright && upright.better) || "maximize",
    "front.colour": (varied.find((axis) => axis.leads && !axis.numeric) || varied.find((axis) => axis.leads && !axis.many) || {path: "none"}).path, "front.xscale": "auto", "front.yscale": "auto", "front.chips": "yes",
    "parallel.colour": name(first), "shares.output": DATA.sensitivity.length ? DATA.sensitivity[0].output : "none",
    "table.sort": "", "table.way": "up", "table.page": "1", "table.size": "25", "table.all": "no",
  };
}

function build() {
  const none = [["none", "none"]], or = (options) => options.length ? options : none;
  for (const axis of AXES.filter((each) => each.leads && !each.many && LEVELS(each) > 1)) {
    select("only", axis.label, "only." + axis.path, [["all", "all " + LEVELS(axis)]].concat(coded(axis).levels.map((level) => [level, level === APART ? "where there is none" : level])));
  }
  document.getElementById("only-box").hidden = !document.getElementById("only").childElementCount;
  select("lines-controls", "Output", "lines.y", or(outputOptions()), "lines");
  select("lines-controls", "over", "lines.x", or(axisOptions()), "lines");
  select("lines-controls", DATA.trials ? "a colour for each" : "a line for each", "lines.series", none.concat(axisOptions()), "lines");
  if (!DATA.trials) { select("lines-controls", "a panel for each", "lines.panels", none.concat(axisOptions()), "lines"); }
  if (!DATA.trials) { select("lines-controls", "Spread", "lines.spread", [["auto", "as there is"], ["chips", "over chips"], ["seeds", "over seeds"], ["rest", "over all else"], ["range", "least to greatest"], ["none", "none"]], "lines"); }
  select("lines-controls", "Scale across", "lines.xscale", SCALES.concat([["steps", "equal steps"]]), "lines");
  select("lines-controls", "Scale up", "lines.yscale", SCALES, "lines");
  select("heat-controls", "Output", "heat.z", or(outputOptions()), "heat");
  select("heat-controls", "across", "heat.x", or(axisOptions()), "heat");
  select("heat-controls", "up", "heat.y", or(axisOptions()), "heat");
  select("heat-controls", "Colours", "heat.scale", SCALES, "heat");
  const ways = [["maximize", "higher is better"], ["minimize", "lower is better"]];
  for (const [key, label] of [["front.y", "Up"], ["front.x", "across"]]) {
    const way = key + "way", list = select("front-controls", label, key, or(outputOptions()));
    const choice = select("front-controls", "where", way, ways, "front");
    list.addEventListener("change", () => { const output = outputOf(list.value); if (output && output.better) { choice.value = output.better; state[way] = output.better; remember(); } draw("front"); });
  }
  select("front-controls", "Colours", "front.colour", none.concat(axisOptions()), "front");
  select("front-controls", "Scale across", "front.xscale", SCALES, "front");
  select("front-controls", "Scale up", "front.yscale", SCALES, "front");
  if (DATA.published.length) { select("front-controls", "Published chips", "front.chips", [["yes", "marked"], ["no", "not shown"]], "front"); }
  select("parallel-controls", "Colours", "parallel.colour", columns().map((column) => [column.key, column.label]), "parallel");
  select("shares-controls", "Output", "shares.output", or(DATA.sensitivity.map((each) => [each.output, outputOf(each.output).label])), "shares");
  select("table-controls", "Rows", "table.size", [["25", "25"], ["100", "100"], ["500", "500"]], "table");
  if (DATA.wanted.length && DATA.wanted.length < OUTPUTS.length) { select("table-controls", "Outputs", "table.all", [["no", "those of the sweep"], ["yes", "all " + OUTPUTS.length]], "table"); }
}

function begin() {
  for (const row of document.querySelectorAll(".controls")) { row.replaceChildren(); }
  recall();
  build();
  draw();
}

const turn = (by) => choose("table.page", String((Number(state["table.page"]) || 1) + by), "table");
document.getElementById("table-back").addEventListener("click", () => turn(-1));
document.getElementById("table-on").addEventListener("click", () => turn(1));
document.getElementById("table-csv").addEventListener("click", takeAway);
document.getElementById("table-clear").addEventListener("click", () => { for (const key of Object.keys(state)) { if (key.startsWith("filter.")) { delete state[key]; } } state["table.page"] = "1"; remember(); draw("table"); });
document.getElementById("parallel-clear").addEventListener("click", () => { for (const key of Object.keys(brushes)) { delete brushes[key]; } draw("parallel", "table"); });
window.addEventListener("hashchange", () => { if (location.hash.includes("=")) { begin(); } });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw("lines", "heat", "front", "shares"));
let wide = narrow();
window.addEventListener("resize", () => { if (narrow() !== wide) { wide = narrow(); draw("lines", "heat", "front", "parallel"); } });
begin();
document.documentElement.dataset.ready = "yes";
