"use strict";
(function () {
  const numbers = JSON.parse(document.getElementById("numbers").textContent);
  const slider = document.getElementById("target");
  const boxes = Array.from(document.querySelectorAll("input[data-group]"));
  const narrow = window.matchMedia("(max-width: 40rem)");
  const grouped = numbers.groups.length > 1 || numbers.groups[0] !== "";
  const drawn = [];

  // plotly reads a few tags in texts; names are shown as they are.
  function plain(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }
  const MARKS = ["circle", "square", "triangle-up", "diamond"], DASHES = ["solid", "dash", "dot"];
  function colour(group) {
    return numbers.colours[Math.max(0, numbers.groups.indexOf(group))];
  }
  // Colours repeat from the eighth group on; marks and dashes then tell groups apart.
  function repeat(group, kinds) {
    const own = colour(group), i = Math.max(0, numbers.groups.indexOf(group));
    return kinds[numbers.colours.slice(0, i).filter((c) => c === own).length % kinds.length];
  }
  function shown(group) {
    const box = boxes[numbers.groups.indexOf(group)];
    return box ? box.checked : true;
  }
  function faint(hex, alpha) {
    const at = (i) => parseInt(hex.slice(i, i + 2), 16);
    return `rgba(${at(1)},${at(3)},${at(5)},${alpha})`;
  }
  function style(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }
  function layout(more) {
    const ink = style("--ink"), line = style("--line");
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, exponentformat: "power" };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: narrow.matches ? 11 : 13 },
      margin: { l: 60, r: 16, t: 16, b: 50 }, showlegend: grouped && numbers.groups.length <= 12,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, hovermode: "closest", hoverlabel: { align: "left", namelength: -1 },
    };
    const full = Object.assign(base, more);
    for (const key of Object.keys(full)) if (/^[xy]axis/.test(key)) full[key] = Object.assign({}, axis, full[key]);
    return full;
  }
  function scaleAxis() {
    const unit = numbers.axis.unit ? ` (${plain(numbers.axis.unit)})` : "";
    return { type: "log", title: { text: plain(numbers.axis.name) + unit }, dtick: 1 };
  }
  function target() {
    return numbers.scales[Number(slider.value)];
  }
  function marker() {
    const x = target();
    return [{ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: style("--quiet"), dash: "dot", width: 1.5 } }];
  }
  function band(x, low, high, tint, group) {
    return {
      x: x.concat(x.slice().reverse()), y: high.concat(low.slice().reverse()), fill: "toself", fillcolor: tint, mode: "lines",
      line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: group,
    };
  }

  function curves() {
    const traces = [], largest = {};
    for (const runs of numbers.runs) largest[runs.group] = Math.max.apply(null, runs.scale);
    for (const c of numbers.curves) {
      if (!shown(c.group)) continue;
      const own = colour(c.group), name = plain(c.group || "median");
      const last = largest[c.group] || Infinity;
      const inside = c.scale.map((x) => x <= last * 1.0001), y = c.median;
      traces.push(band(c.scale, c.new_run_lower, c.new_run_upper, faint(own, 0.1), c.group));
      traces.push(band(c.scale, c.lower, c.upper, faint(own, 0.25), c.group));
      const text = c.scale.map((x, i) => `${name}: ${c.median[i].toPrecision(4)} (${c.lower[i].toPrecision(4)} to ${c.upper[i].toPrecision(4)})`);
      const of = { x: c.scale, mode: "lines", legendgroup: c.group, hoverinfo: "text", text: text };
      traces.push(Object.assign({}, of, { y: y.map((v, i) => (inside[i] ? v : null)), name: name, showlegend: false, line: { color: own, width: 2 } }));
      traces.push(Object.assign({}, of, { y: y.map((v, i) => (inside[i] && inside[i + 1] ? null : v)), name: name, showlegend: false, line: { color: own, width: 2, dash: "dash" } }));
    }
    for (const runs of numbers.runs) {
      if (!shown(runs.group)) continue;
      traces.push({
        x: runs.scale, y: runs.response, mode: "markers", name: plain(runs.group || "runs"), legendgroup: runs.group,
        marker: { color: colour(runs.group), size: 6, symbol: repeat(runs.group, MARKS), line: { color: style("--paper"), width: 0.7 } },
        hoverinfo: "text", text: runs.said.map((said) => plain((runs.group ? runs.group + ": " : "") + said)),
      });
    }
    if (numbers.held_back) {
      traces.push({ x: numbers.held_back.scale, y: numbers.held_back.response, mode: "markers", name: "held back",
        marker: { color: style("--paper"), size: 9, line: { color: "#D55E00", width: 2 } } });
    }
    const y = { type: numbers.log ? "log" : "linear", title: { text: plain(numbers.response) }, exponentformat: "none", minexponent: 4, nticks: 8 };
    return [traces, layout({ xaxis: scaleAxis(), yaxis: y, shapes: marker() })];
  }
  function best() {
    const traces = Object.keys(numbers.best.p).filter(shown).map((group) => ({
      x: numbers.best.scale, y: numbers.best.p[group], mode: "lines", name: plain(group), line: { color: colour(group), width: 2.5, dash: repeat(group, DASHES) },
      hovertemplate: "%{y:.2f}<extra>" + plain(group) + "</extra>",
    }));
    return [traces, layout({ xaxis: scaleAxis(), yaxis: { range: [-0.02, 1.02], title: { text: "probability to be best" } }, shapes: marker() })];
  }
  function optimum() {
    const traces = [];
    for (const o of numbers.optimum) {
      if (!shown(o.group)) continue;
      const own = colour(o.group);
      traces.push(band(o.C, o.n_opt_lower, o.n_opt_upper, faint(own, 0.2), o.group));
      traces.push(band(o.C, o.d_opt_lower, o.d_opt_upper, faint(own, 0.1), o.group));
      traces.push({ x: o.C, y: o.plan_n, mode: "lines", name: plain(o.group || "N"), legendgroup: o.group, line: { color: own, width: 2.5 } });
      traces.push({ x: o.C, y: o.plan_d, mode: "lines", name: plain(o.group || "D"), showlegend: !o.group, legendgroup: o.group, line: { color: own, width: 2.5, dash: "dash" } });
    }
    const more = layout({ xaxis: scaleAxis(), yaxis: { type: "log", nticks: 6, title: { text: "N and D" } }, shapes: marker() });
    more.showlegend = true;
    return [traces, more];
  }
  function misfit() {
    const m = numbers.misfit, traces = [];
    for (const group of numbers.groups) {
      if (!shown(group)) continue;
      const at = m.scale.map((_, i) => i).filter((i) => m.group[i] === group);
      traces.push({
        x: at.map((i) => m.scale[i]), y: at.map((i) => m.off[i]), mode: "markers", name: plain(group || "runs"),
        marker: { color: colour(group), size: 7, symbol: at.map((i) => (m.outlier[i] ? "x" : repeat(group, MARKS))) },
        hoverinfo: "text", text: at.map((i) => plain(`run ${m.run[i]}: ${m.off[i].toPrecision(2)}`)),
      });
    }
    return [traces, layout({ xaxis: scaleAxis(), yaxis: { title: { text: plain(m.label) }, zeroline: true, exponentformat: "none" } })];
  }
  function densities() {
    const all = numbers.densities, columns = narrow.matches ? 2 : 4, rows = Math.ceil(all.length / columns);
    const traces = [], more = { grid: { rows: rows, columns: columns, pattern: "independent", xgap: 0.12, ygap: 0.45 }, annotations: [] };
    all.forEach((d, i) => {
      const n = i ? String(i + 1) : "";
      const of = { xaxis: "x" + n, yaxis: "y" + n, mode: "lines", showlegend: false, x: d.at };
      traces.push(Object.assign({}, of, { y: d.prior, line: { color: style("--quiet"), shape: "hvh", width: 1 }, fill: "tozeroy", fillcolor: "rgba(128,128,128,0.25)", name: "prior", hoverinfo: "skip" }));
      for (const group of Object.keys(d.posterior)) {
        if (group && !shown(group)) continue;
        traces.push(Object.assign({}, of, { y: d.posterior[group], line: { color: colour(group), shape: "hvh", width: 1.8 }, name: plain(group || "posterior"), hoverinfo: "name" }));
      }
      more["xaxis" + n] = { nticks: 3, tickfont: { size: 10 }, showgrid: false };
      more["yaxis" + n] = { showticklabels: false, showgrid: false, zeroline: false };
      more.annotations.push({ text: plain(d.name), xref: `x${n} domain`, yref: `y${n} domain`, x: 0.5, y: 1.02, yanchor: "bottom", showarrow: false });
    });
    more.height = 70 + 140 * rows;
    more.showlegend = false;
    const full = layout(more);
    full.margin = { l: 16, r: 16, t: 30, b: 40 };
    full.showlegend = false;
    return [traces, full];
  }

  function tables() {
    const now = numbers.targets[Number(slider.value)];
    document.getElementById("scale").textContent = now.scale;
    slider.setAttribute("aria-valuetext", now.scale);
    const risk = document.getElementById("risk");
    if (risk && now.risk) risk.textContent = now.risk;
    const contents = [["Forecast at " + now.scale, now.forecast]];
    if (now.optimum) contents.push(["Plan", now.optimum]);
    if (now.best) contents.push(["Which group is best there", Object.entries(now.best).map(([g, p]) => [g, p.toFixed(2)])]);
    contents.forEach(([title, rows], i) => {
      const table = document.getElementById("table-" + i);
      table.caption.textContent = title;
      table.tBodies[0].replaceChildren(...rows.filter((row) => shown(row[0])).map((row) => {
        const tr = document.createElement("tr");
        for (const cell of grouped ? row : row.slice(1)) tr.insertCell().textContent = cell;
        return tr;
      }));
    });
  }

  const makers = { curves: curves, best: best, optimum: optimum, misfit: misfit, densities: densities };
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  function draw() {
    for (const name of Object.keys(makers)) {
      const at = document.getElementById("picture-" + name);
      if (!at) continue;
      const [traces, made] = makers[name]();
      Plotly.react(at, traces, made, config);
    }
  }
  function move() {
    tables();
    for (const name of ["curves", "best", "optimum"]) {
      const at = document.getElementById("picture-" + name);
      if (at) Plotly.relayout(at, { shapes: marker() });
    }
  }
  slider.addEventListener("input", move);
  boxes.forEach((box) => box.addEventListener("change", () => { tables(); draw(); }));
  narrow.addEventListener("change", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.body).backgroundColor === "rgb(13, 17, 23)";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    draw();
  });
  tables();
  draw();
  document.documentElement.dataset.ready = "yes";
})();
