"use strict";
/* Draws what the page's data says. Texts of models, recipes and commands only ever become text nodes. */
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const color = (i) => `var(--c${i % 8})`;
const percent = (x) => (100 * x).toFixed(1);

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function draw(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "fill" || key === "stroke") made.style[key] = value; else made.setAttribute(key, value);
  }
  if (text !== null) made.textContent = text;
  return made;
}

/* --- figures ------------------------------------------------------------------------------------------------- */

const W = 460, H = 270, LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 44;
function ticks(low, high, count = 5) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let x = Math.ceil(low / step) * step; x <= high + step * 1e-9; x += step) found.push(Math.abs(x) < step * 1e-9 ? 0 : x);
  return found;
}
const shortened = (x) => (Math.abs(x) >= 1e9 ? `${x / 1e9}G` : Math.abs(x) >= 1e6 ? `${x / 1e6}M` : Math.abs(x) >= 1e3 ? `${x / 1e3}k` : `${+x.toFixed(6)}`);

class Plot {
  constructor(title, xs, ys, xName, yName, { xTicks = null, height = H, left = LEFT } = {}) {
    this.left = left; this.height = height;
    const pad = (a, b) => (a === b ? [a - 1, b + 1] : [a, b]);
    [this.x0, this.x1] = pad(Math.min(...xs), Math.max(...xs));
    [this.y0, this.y1] = pad(Math.min(...ys), Math.max(...ys));
    const span = this.y1 - this.y0; this.y0 -= 0.04 * span; this.y1 += 0.04 * span;
    this.x1 += 0.02 * (this.x1 - this.x0);
    this.svg = draw("svg", { viewBox: `0 0 ${W} ${height}`, role: "img" });
    this.svg.append(draw("title", {}, title));
    for (const t of xTicks || ticks(this.x0, this.x1)) {
      this.add("line", { x1: this.x(t), x2: this.x(t), y1: TOP, y2: height - BOTTOM, class: "gridline" });
      this.add("text", { x: this.x(t), y: height - BOTTOM + 16, "text-anchor": "middle" }, shortened(t));
    }
    if (yName) for (const t of ticks(this.y0, this.y1)) {
      this.add("line", { x1: left, x2: W - RIGHT, y1: this.y(t), y2: this.y(t), class: "gridline" });
      this.add("text", { x: left - 6, y: this.y(t) + 4, "text-anchor": "end" }, shortened(t));
    }
    this.add("path", { d: `M${left} ${TOP}V${height - BOTTOM}H${W - RIGHT}`, class: "axis" });
    this.add("text", { x: (left + W) / 2, y: height - 8, "text-anchor": "middle" }, xName);
    if (yName) this.add("text", { x: 12, y: height / 2, transform: `rotate(-90 12 ${height / 2})`, "text-anchor": "middle" }, yName);
  }
  x(v) { return this.left + ((v - this.x0) / (this.x1 - this.x0)) * (W - this.left - RIGHT); }
  y(v) { return this.height - BOTTOM - ((v - this.y0) / (this.y1 - this.y0)) * (this.height - BOTTOM - TOP); }
  add(name, attributes, text = null) { const one = draw(name, attributes, text); this.svg.append(one); return one; }
  tip(one, text) { one.append(draw("title", {}, text)); return one; }
  band(points, i) {
    const up = points.map((p) => `${this.x(p[0])} ${this.y(p[3])}`), down = [...points].reverse().map((p) => `${this.x(p[0])} ${this.y(p[2])}`);
    if (points.length > 1) this.add("path", { d: `M${[...up, ...down].join("L")}Z`, fill: color(i), "fill-opacity": 0.13 });
    this.add("path", { d: `M${points.map((p) => `${this.x(p[0])} ${this.y(p[1])}`).join("L")}`, fill: "none", stroke: color(i), "stroke-width": 2 });
  }
  mark(x, y, i, text) { this.tip(this.add("path", { d: shape(i, this.x(x), this.y(y)), fill: color(i) }), text); }
}
function shape(i, x, y, r = 5) {
  switch (i % 4) {
    case 0: return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
    case 1: return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`;
    case 2: return `M${x} ${y - r - 1}L${x + r + 1} ${y + r}H${x - r - 1}Z`;
    default: return `M${x} ${y - r - 2}L${x + r + 2} ${y}L${x} ${y + r + 2}L${x - r - 2} ${y}Z`;
  }
}
function legend(labels) {
  const list = make("ul", { class: "legend" });
  for (const [i, text] of labels) {
    const key = draw("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" });
    key.append(draw("path", { d: shape(i, 12, 6, 4), fill: color(i) }));
    list.append(make("li", {}, key, text));
  }
  return list;
}
function figure(section, caption, ...parts) {
  document.querySelector(`#${section} .figures`).append(make("figure", {}, make("figcaption", {}, caption), ...parts));
}

function curves() {
  for (const { name } of data.benchmarks) {
    const own = data.lines.map((line, i) => [line, i, line.scores.filter((s) => s[0] === name).map((s) => [s[1], 100 * s[2], 100 * s[3], 100 * s[4]])]).filter((one) => one[2].length);
    const points = own.flatMap((one) => one[2]);
    if (!points.length) continue;
    const cycles = [...new Set(points.map((p) => p[0]))].sort((a, b) => a - b);
    const plot = new Plot(`Learning curves on ${name}`, [0, ...cycles], points.flatMap((p) => [p[2], p[3]]), "cycle", `pass@${data.k} in %`, { xTicks: [...new Set([0, ...cycles])] });
    for (const [line, i, found] of own) {
      if (line.final === 0) plot.add("line", { x1: plot.x(plot.x0), x2: plot.x(plot.x1), y1: plot.y(found[0][1]), y2: plot.y(found[0][1]), stroke: color(i), "stroke-dasharray": "5 4", "stroke-width": 1.5 });
      else plot.band(found, i);
      for (const p of found) plot.mark(p[0], p[1], i, `${line.label}, cycle ${p[0]}: ${p[1].toFixed(1)} [${p[2].toFixed(1)}, ${p[3].toFixed(1)}]`);
    }
    figure("curves", name, plot.svg, legend(own.map(([line, i]) => [i, line.label])));
  }
}
function costs() {
  const axis = $("cost-axis"), names = Object.keys(data.lines[0].spent);
  for (const name of names) if (data.lines.some((line) => line.spent[name])) axis.append(make("option", {}, name));
  if ([...axis.options].some((one) => one.value === "training tokens")) axis.value = "training tokens";
  axis.addEventListener("change", () => { document.querySelector("#cost .figures").replaceChildren(); costFigures(axis.value); });
  if (axis.value) costFigures(axis.value); else $("cost").hidden = true;
}
function costFigures(name) {
  for (const benchmark of data.benchmarks) {
    const own = data.lines.map((line, i) => [line, i, line.scores.find((s) => s[0] === benchmark.name && s[1] === line.final)]).filter(([line, , s]) => s && line.spent[name] !== null);
    if (!own.length) continue;
    const plot = new Plot(`Quality against ${name} on ${benchmark.name}`, [0, ...own.map(([line]) => line.spent[name])], own.flatMap((one) => [100 * one[2][3], 100 * one[2][4]]), name === "usd" ? "US dollars" : name, `pass@${data.k} in %`);
    for (const [line, i, s] of own) {
      const x = plot.x(line.spent[name]);
      plot.add("line", { x1: x, x2: x, y1: plot.y(100 * s[3]), y2: plot.y(100 * s[4]), stroke: color(i), "stroke-width": 1.5 });
      plot.mark(line.spent[name], 100 * s[2], i, `${line.label}: ${percent(s[2])} [${percent(s[3])}, ${percent(s[4])}] for ${shortened(line.spent[name])} ${name}`);
    }
    figure("cost", benchmark.name, plot.svg, legend(own.map(([line, i]) => [i, line.label])));
  }
}
function forest() {
  $("reference").textContent = data.reference;
  for (const { name } of data.benchmarks) {
    const own = data.lines.map((line, i) => [line, i, line.differences.find((d) => d[0] === name)]).filter((one) => one[2]);
    if (!own.length) continue;
    const height = 40 * own.length + TOP + BOTTOM, bounds = own.flatMap((one) => [100 * one[2][2], 100 * one[2][3]]);
    const plot = new Plot(`Paired differences on ${name}`, [0, ...bounds], [0, 1], "points", "", { height, left: 16 });
    plot.add("line", { x1: plot.x(0), x2: plot.x(0), y1: TOP, y2: height - BOTTOM, class: "axis" });
    own.forEach(([line, i, d], at) => {
      const y = TOP + 40 * at + 28;
      plot.add("text", { x: 20, y: y - 12 }, `${line.label.slice(0, 60)}: ${100 * d[1] >= 0 ? "+" : ""}${percent(d[1])}, ${d[5]}`);
      plot.add("line", { x1: plot.x(100 * d[2]), x2: plot.x(100 * d[3]), y1: y, y2: y, stroke: color(i), "stroke-width": 2.5 });
      plot.tip(plot.add("path", { d: shape(i, plot.x(100 * d[1]), y), fill: color(i) }), `${line.label}: ${percent(d[1])} [${percent(d[2])}, ${percent(d[3])}], ${data.adjusted} ${d[4].toPrecision(2)}`);
    });
    figure("forest", name, plot.svg);
  }
  if (!document.querySelector("#forest figure")) $("forest").hidden = true;
}
function passAtK() {
  for (const { name } of data.benchmarks) {
    const own = data.lines.map((line, i) => [line, i, (data.passAtK[line.label] || {})[name]]).filter((one) => one[2]);
    if (!own.length) continue;
    const points = own.flatMap((one) => one[2]);
    const plot = new Plot(`pass@k on ${name}`, points.map((p) => p[0]), points.flatMap((p) => [100 * p[2], 100 * p[3]]), "k, samples drawn", "pass@k in %");
    for (const [line, i, found] of own) {
      plot.band(found.map((p) => [p[0], 100 * p[1], 100 * p[2], 100 * p[3]]), i);
      for (const p of found) plot.mark(p[0], 100 * p[1], i, `${line.label}: pass@${p[0]} ${percent(p[1])}`);
    }
    figure("passk", name, plot.svg, legend(own.map(([line, i]) => [i, line.label])));
  }
  if (!document.querySelector("#passk figure")) for (const one of document.querySelectorAll("[data-needs=passk]")) one.hidden = true;
}
function verdicts() {
  const kinds = ["passed", "wrong", "exception", "timeout", "memory", "output_limit", "crashed", "refused"];
  const order = [3, 2, 5, 1, 4, 6, 7, 0];
  for (const { name } of data.benchmarks) {
    const rows = data.lines.map((line) => {
      const counts = {};
      for (const c of data.columns) if (c.label === line.label && c.benchmark === name && c.cycle === line.final) for (const [k, n] of Object.entries(c.statuses)) counts[k] = (counts[k] || 0) + n;
      return [line, counts, Object.values(counts).reduce((a, b) => a + b, 0)];
    }).filter((one) => one[2]);
    if (!rows.length) continue;
    const height = 42 * rows.length + 8, svg = draw("svg", { viewBox: `0 0 ${W} ${height}`, role: "img" });
    svg.append(draw("title", {}, `Verdicts on ${name}`));
    rows.forEach(([line, counts, all], at) => {
      let x = 4;
      svg.append(draw("text", { x: 4, y: 42 * at + 14 }, line.label.slice(0, 64)));
      kinds.forEach((kind, j) => {
        const size = ((counts[kind] || 0) / all) * (W - 8);
        if (!size) return;
        const bar = draw("rect", { x, y: 42 * at + 19, width: size, height: 16, fill: color(order[j]) });
        bar.append(draw("title", {}, `${line.label}: ${counts[kind]} of ${all} ${kind}`));
        svg.append(bar);
        x += size;
      });
    });
    const table = make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "line"), ...kinds.map((k) => make("th", { scope: "col" }, k)))));
    table.append(make("tbody", {}, ...rows.map(([line, counts]) => make("tr", {}, make("th", { scope: "row" }, line.label), ...kinds.map((k) => make("td", {}, String(counts[k] || 0)))))));
    const list = make("ul", { class: "legend" });
    kinds.forEach((kind, j) => {
      const key = draw("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" });
      key.append(draw("rect", { x: 2, y: 1, width: 20, height: 10, fill: color(order[j]) }));
      if (rows.some((one) => one[1][kind])) list.append(make("li", {}, key, kind));
    });
    figure("verdicts", name, svg, list, make("div", { class: "wide" }, table));
  }
}

/* --- the table's sorting ------------------------------------------------------------------------------------- */

function sorting() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.querySelectorAll("thead th")];
    heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => (row.cells[at].dataset.value === undefined ? row.cells[at].textContent : Number(row.cells[at].dataset.value));
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1; /* what has no number stays below */
        return (down ? -1 : 1) * (typeof x === "number" ? x - y : x.localeCompare(y));
      });
      table.tBodies[0].append(...rows);
    }));
  }
}

/* --- the problems -------------------------------------------------------------------------------------------- */

const PAGE = 50;
let start = 0, opened = 0;
const text = (place) => (place === null || place === undefined ? "" : data.texts[place]);
const titled = (c) => `${c.label}${c.seed === null ? "" : `, seed ${c.seed}`}, cycle ${c.cycle}`;
const finals = Object.fromEntries(data.lines.map((line) => [line.label, line.final]));
function chosenColumns() {
  return data.columns.filter((c) => c.benchmark === $("f-benchmark").value && ($("f-columns").value === "all" || c.cycle === finals[c.label]));
}
function chosenProblems(columns) {
  const name = $("f-benchmark").value, level = $("f-level").value, word = $("f-name").value.toLowerCase(), levels = data.levels[name];
  return data.ids[name].map((id, at) => at).filter((at) => (!level || String(levels[at]) === level) && data.ids[name][at].toLowerCase().includes(word)
    && (!$("f-differ").checked || new Set(columns.map((c) => c.correct[at] / c.samples)).size > 1));
}
function matrix() {
  const columns = chosenColumns(), found = chosenProblems(columns), name = $("f-benchmark").value;
  start = Math.max(0, Math.min(start, found.length - 1)); start -= start % PAGE;
  const shown = found.slice(start, start + PAGE);
  $("shown").textContent = found.length ? `${found.length} of ${data.ids[name].length} problems; ${start + 1} to ${start + shown.length} shown` : "No problem fits these filters.";
  $("previous").disabled = start === 0; $("next").disabled = start + PAGE >= found.length;
  $("grid").tHead.replaceChildren(make("tr", {}, make("th", { scope: "col" }, "problem"), ...columns.map((c) => make("th", { scope: "col" }, titled(c)))));
  $("grid").tBodies[0].replaceChildren(...shown.map((at) => make("tr", {}, make("th", { scope: "row" }, data.ids[name][at]), ...columns.map((c) => {
    const n = c.correct[at], word = c.samples === 1 ? (n ? "pass" : "fail") : `${n}/${c.samples}`;
    const button = make("button", { type: "button", "aria-label": `${data.ids[name][at]}, ${titled(c)}: ${word}` }, word);
    button.addEventListener("click", () => detail(at, c.number));
    return make("td", { class: n === c.samples ? "pass" : n ? "part" : "fail" }, button);
  }))));
}
function detail(at, number) {
  const name = $("f-benchmark").value, columns = data.columns.filter((c) => c.benchmark === name);
  opened = at;
  $("d-title").textContent = data.ids[name][at];
  for (const id of ["d-left", "d-right"]) $(id).replaceChildren(...columns.map((c) => make("option", { value: c.number }, titled(c))));
  const mine = columns.find((c) => c.number === number);
  const other = columns.filter((c) => c.cycle === finals[c.label] && c.number !== number && c.correct[at] !== mine.correct[at])[0] || columns.filter((c) => c.number !== number)[0] || mine;
  $("d-left").value = other.number; $("d-right").value = number;
  const prompt = data.prompts[name][at];
  $("d-prompt").textContent = prompt === null ? "The prompt is not in this page." : text(prompt);
  sides();
  if (!$("detail").open) $("detail").showModal();
}
function sides() {
  const programs = ["left", "right"].map((side) => {
    const number = Number($(`d-${side}`).value), c = data.columns.find((one) => one.number === number), own = data.answers[number][opened];
    const parts = [make("h4", {}, titled(c))];
    if (!own) parts.push(make("p", {}, `${c.correct[opened]} of ${c.samples} pass. The answers are not in this page: it holds ${data.kept} of ${data.total}.`));
    for (const [status, ...places] of own || []) {
      const [completion, reason, input, got, expected] = places.map(text);
      parts.push(make("p", {}, make("strong", {}, status), reason ? `: ${reason}` : ""), make("pre", {}, completion));
      if (input) parts.push(make("p", {}, "First failing call"), make("pre", {}, `${input}\n  got      ${got}\n  expected ${expected}`));
    }
    $(side === "left" ? "d-one" : "d-two").replaceChildren(...parts);
    $(side === "left" ? "d-near-one" : "d-near-two").replaceChildren(...near(c));
    return own ? text(own[0][1]) : null;
  });
  const lines = programs[0] === null || programs[1] === null ? [] : difference(programs[0].split("\n"), programs[1].split("\n"));
  $("d-diff").replaceChildren(...lines.map(([kind, line]) => make("span", { class: kind }, `${{ add: "+", del: "-", same: " " }[kind]} ${line}`)));
}
function near(c) {
  const place = data.lines.findIndex((line) => line.label === c.label), set = data.near.sets[place], own = data.near.found[c.benchmark][opened];
  const told = (...parts) => [make("h5", {}, c.label), ...parts];
  if (c.seed === null) return told(make("p", {}, "Not trained."));
  if (set === null) return told(make("p", {}, "Its run kept no training examples. The same command again, by this version, keeps them."));
  if (data.prompts[c.benchmark][opened] === null) return told(make("p", {}, "Not known: the problem's prompt is not in this page."));
  if (!own) return told(make("p", {}, `Not in this page, to keep it small: it holds those near ${data.near.problems} problems.`));
  const parts = [make("p", { class: "notes" }, `Of seed ${set[0]}'s ${set[1]} examples${set[2] < set[1] ? `, ${set[2]} of them searched` : ""}.`)];
  for (const [line, share, origin, ...places] of own) {
    if (line !== place) continue;
    const [prompt, completion, rejected] = places.map(text);
    parts.push(make("p", {}, make("strong", {}, share.toFixed(2)), ` ${origin}`), make("pre", {}, prompt + completion));
    if (rejected) parts.push(make("p", {}, "with its faulty half"), make("pre", {}, rejected));
  }
  if (parts.length === 1) parts.push(make("p", {}, "None shares a telling word with it."));
  return told(...parts);
}
function difference(a, b) {
  const rows = a.map(() => new Array(b.length + 1).fill(0));
  rows.push(new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) rows[i][j] = a[i] === b[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
  const found = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { found.push(["same", a[i]]); i++; j++; }
    else if (j >= b.length || (i < a.length && rows[i + 1][j] >= rows[i][j + 1])) found.push(["del", a[i++]]);
    else found.push(["add", b[j++]]);
  }
  return found;
}
function problems() {
  for (const { name } of data.benchmarks) $("f-benchmark").append(make("option", {}, name));
  const refill = () => {
    const levels = [...new Set(data.levels[$("f-benchmark").value])].sort((a, b) => a - b);
    $("f-level").replaceChildren(make("option", { value: "" }, "all"), ...levels.map((one) => make("option", {}, String(one))));
    $("f-level").disabled = !levels.length;
  };
  refill();
  $("kept").textContent = data.kept === data.total ? `All ${data.total} answers are in this page. A cell opens a problem.`
    : `This page holds ${data.kept} of ${data.total} answers, to stay small: final cycles first, and problems on which columns differ before others. Counts are of all.`;
  document.querySelector("#matrix form.filters").addEventListener("submit", (event) => event.preventDefault());
  $("f-benchmark").addEventListener("change", () => { refill(); start = 0; matrix(); });
  for (const id of ["f-level", "f-name", "f-columns", "f-differ"]) $(id).addEventListener("input", () => { start = 0; matrix(); });
  $("previous").addEventListener("click", () => { start -= PAGE; matrix(); });
  $("next").addEventListener("click", () => { start += PAGE; matrix(); });
  for (const id of ["d-left", "d-right"]) $(id).addEventListener("change", sides);
  matrix();
}

sorting(); curves(); costs(); forest(); passAtK(); verdicts(); problems();
