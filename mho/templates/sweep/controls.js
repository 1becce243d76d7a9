// What the reader has chosen, kept in the address so that a view can be sent and is found again.
let state = {};
const DRAWN = {}; // by section: the function that draws it

function remember() {
  const text = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key] && value !== "")
    .map(([key, value]) => encodeURIComponent(key) + "=" + encodeURIComponent(value)).join("&");
  try { history.replaceState(null, "", text ? "#" + text : location.pathname + location.search); } catch (refused) { location.hash = text; }
}

function recall() {
  state = {...DEFAULTS};
  if (!location.hash.includes("=")) { return; }
  for (const part of location.hash.slice(1).split("&")) {
    const at = part.indexOf("=");
    try { state[decodeURIComponent(part.slice(0, at))] = decodeURIComponent(part.slice(at + 1)); } catch (malformed) { /* not of this page */ }
  }
}

function choose(key, value, ...sections) {
  state[key] = value;
  remember();
  draw(...sections);
}

function draw(...sections) {
  for (const name of sections.length ? sections : Object.keys(DRAWN)) { DRAWN[name](); }
}

// A labelled select in a row of controls. Options: [value, text]; a value that is not among them becomes the first.
function select(row, label, key, options, ...sections) {
  if (!options.some(([value]) => value === state[key])) { state[key] = options[0][0]; }
  const made = document.createElement("label"), list = document.createElement("select");
  made.className = "chooser";
  made.append(label + " ", list);
  for (const [value, text] of options) { list.add(new Option(text, value, false, value === state[key])); }
  list.dataset.key = key;
  list.addEventListener("change", () => choose(key, list.value, ...sections));
  document.getElementById(row).append(made);
  return list;
}

const axisOptions = (fits) => AXES.filter(fits || (() => true)).map((axis) => [axis.path, axis.label]);
const outputOptions = () => OUTPUTS.map((output) => [output.name, output.label]);
const SCALES = [["auto", "as fits"], ["linear", "linear"], ["log", "logarithmic"]];

// Colours of the page as it is now, light or dark.
function theme() {
  const style = getComputedStyle(document.documentElement), get = (name) => style.getPropertyValue(name).trim();
  return {ink: get("--ink"), soft: get("--soft"), line: get("--line"), paper: get("--paper"), tint: get("--tint"), accent: get("--accent")};
}

// Okabe and Ito's colours, then Tol's, that colour-blind readers tell apart; shape and dash say the same again.
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#AA3377", "#88A02C", "#7A6FD0", "#A0764B"];
// Nine shapes and six dashes beside ten colours: a colour that comes again has another shape and another dash.
const SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "pentagon", "star", "hexagon"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const nth = (list, k) => list[k % list.length];
const faded = (colour, share) => colour + Math.round(255 * share).toString(16).padStart(2, "0");

const narrow = () => document.documentElement.clientWidth < 700;

function axisStyle(more) {
  const look = theme();
  return {...(more.type === "log" && !more.tickvals ? {dtick: more.decades < 2.6 ? "D2" : 1} : {}), gridcolor: look.line, zerolinecolor: look.line, linecolor: look.soft, tickcolor: look.soft, automargin: true, ...more, decades: undefined};
}

function show(id, traces, layout) {
  const look = theme();
  const whole = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: {l: 58, r: 14, t: 26, b: 46},
    font: {family: 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif', size: 12.5, color: look.ink},
    hoverlabel: {bgcolor: look.paper, bordercolor: look.line, font: {color: look.ink}, align: "left"},
    modebar: {bgcolor: "rgba(0,0,0,0)", color: look.soft, activecolor: look.accent},
    legend: {orientation: "h", y: -0.2, yanchor: "top", x: 0, font: {size: 12}}, ...layout,
  };
  // plotly.js would offer to send the figures to its maker's server.
  const config = {responsive: true, displaylogo: false, displayModeBar: narrow() ? false : undefined, showSendToCloud: false, plotlyServerURL: "", toImageButtonOptions: {format: "svg", filename: DATA.title + "-" + id},
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"]};
  document.getElementById(id).hidden = false;
  return Plotly.react(id, traces, whole, config);
}

// In place of a plot that has nothing to show.
function absent(id, text) {
  Plotly.purge(id);
  document.getElementById(id).hidden = true;
  say(id, text);
}

function say(id, text) { document.getElementById(id + "-caption").textContent = text; }

const decades = (values) => { const positive = values.filter((value) => value > 0); return positive.length ? Math.log10(most(positive) / least(positive)) : 0; };

function fits(scale, values) {
  if (scale !== "auto") { return scale; }
  const positive = values.length > 0 && values.every((value) => value > 0);
  return positive && most(values) / least(values) > 50 ? "log" : "linear";
}
