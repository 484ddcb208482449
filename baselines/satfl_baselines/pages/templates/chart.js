
const CHART = { width: 380, height: 210, left: 46, right: 10, top: 8, bottom: 30 };

/** Round numbers, about five of them, from one number to another. */
function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.8);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function svg(tag, attributes, text) {
  const made = document.createElementNS(byId("drawing").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * Lines against rounds, or other ascending numbers `xs`, with bands where series have `low` and `high`, and their names
 * at the right end.
 *
 * Series are `{name, values, low, high, k}`, `k` the number of the colour. Numbers may be null. `pick` is called with
 * the round that is pointed at. Returns the figure, and a function that moves the cursor to a round.
 */
function lineChart(title, series, { zero = false, pick = null, xs = null, xLabel = "round" } = {}) {
  const { width, left, top, bottom } = CHART;
  const named = series.length > 1;
  const height = Math.max(CHART.height, top + bottom + 13 * series.length);
  const right = named ? 12 + 6.7 * Math.max(...series.map((one) => one.name.length)) : CHART.right;
  const rounds = Math.max(...series.map((one) => one.values.length)) - 1;
  const all = series.flatMap((one) => [one.values, one.low ?? [], one.high ?? []]).flat().filter((value) => value !== null);
  let low = Math.min(...all, ...(zero ? [0] : []));
  let high = Math.max(...all, ...(zero ? [0] : []));
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const from = xs ? xs[0] : 0;
  const to = Math.max(xs ? xs[rounds] : rounds, from + 1);
  const xOf = (value) => left + ((value - from) / (to - from)) * (width - left - right);
  const x = (round) => xOf(xs ? xs[round] : round);
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);

  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `${title} by ${xLabel}` });
  for (const tick of ticks(low, high)) {
    drawing.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    drawing.append(svg("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, short(tick, 6)));
  }
  for (const tick of ticks(from, to).filter(Number.isInteger)) {
    drawing.append(svg("text", { x: xOf(tick), y: height - bottom + 14, "text-anchor": "middle" }, short(tick)));
  }
  drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, xLabel));
  for (const one of series) drawSeries(drawing, one, x, y);
  if (named) nameSeries(drawing, series, width - right + 6, y, top + 8, height - bottom);
  const cursor = svg("line", { class: "cursor", y1: top, y2: height - bottom });
  if (pick) {
    drawing.addEventListener("click", (event) => {
      const box = drawing.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * width;
      pick(Math.round(((at - left) / (width - left - right)) * rounds));
    });
  }
  const move = (round) => {
    drawing.append(cursor);
    cursor.setAttribute("x1", x(round));
    cursor.setAttribute("x2", x(round));
  };
  return { figure: element("figure", {}, element("figcaption", {}, title), drawing), move };
}

function drawSeries(drawing, { values, low, high, k }, x, y) {
  const points = (numbers) => numbers.map((value, round) => [value, round]).filter(([value]) => value !== null);
  const place = ([value, round]) => `${x(round).toFixed(1)},${y(value).toFixed(1)}`;
  if (low && high) {
    const around = [...points(low), ...points(high).reverse()];
    drawing.append(svg("polygon", { class: `band k${k % 8}`, points: around.map(place).join(" ") }));
  }
  const line = points(values);
  const dashes = ["", "6 3", "2 2"][Math.floor(k / 8) % 3];
  drawing.append(svg("polyline", { class: `line k${k % 8}`, points: line.map(place).join(" "), "stroke-dasharray": dashes }));
  if (line.length === 1) drawing.append(svg("circle", { class: `dot k${k % 8}`, r: 3, cx: x(line[0][1]), cy: y(line[0][0]) }));
}

/** Names beside the ends of their lines, moved apart where they would collide. */
function nameSeries(drawing, series, x, y, top, bottom) {
  const last = (values) => values.findLast((value) => value !== null) ?? 0;
  const names = series.map((one) => ({ one, at: y(last(one.values)) + 4 })).sort((a, b) => a.at - b.at);
  const gap = Math.min(13, (bottom - top) / Math.max(names.length - 1, 1));
  names.forEach((name, index) => {
    name.at = Math.max(name.at, index ? names[index - 1].at + gap : top);
  });
  for (let index = names.length - 1, floor = bottom; index >= 0; index -= 1, floor -= gap) {
    names[index].at = Math.min(names[index].at, floor);
  }
  for (const { one, at } of names) drawing.append(svg("text", { class: `name k${one.k % 8}`, x, y: at }, one.name));
}
