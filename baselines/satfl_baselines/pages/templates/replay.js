
const { rounds, columns } = data;
const last = rounds.length - 1;
const FRAME_MS = 700;
const column = Object.fromEntries(columns.map(({ name }, index) => [name, index]));
const hasCharge = rounds.some((round) => round.chargeJ[1] > 0);
const highestChargeJ = Math.max(...rounds.flatMap((round) => round.chargesJ));
const texts = ["task", "gateway", "outcome"];
let now = 0;
let timer = null;

/** Positions of all satellites in a round, in metres. */
const positionsM = (round) => {
  const numbers = new Int16Array(bytes(round.positions).buffer);
  return Array.from({ length: data.satellites }, (_, k) => [0, 1, 2].map((axis) => numbers[3 * k + axis] * data.stepM));
};

/** What the table holds of a satellite that is shown, by the names of its columns. */
const rowOf = (round, index) => (round.rows === null ? null : Object.fromEntries(columns.map(({ name }, k) => [name, round.rows[k][index]])));

// ---- Views

const onGlobe = data.land !== null;
const camera = onGlobe ? { lat: 25, lon: 10 } : { lat: 90, lon: -90 };
const box = viewBox();
const isLand = onGlobe ? landMask(data.land) : null;
const views = (onGlobe ? ["One side of the Earth", "The other side"] : ["The plane from above"]).map((title, index) => {
  const canvas = element("canvas", {});
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}: satellites, gateways and links of the round; the table below has the same`);
  byId("views").append(element("figure", {}, canvas, element("figcaption", {}, title)));
  return { canvas, view: makeView(canvas, box, isLand), far: index === 1 };
});
byId("stage").classList.toggle("plane", !onGlobe);

/** The square that everything fits into. */
function viewBox() {
  if (onGlobe) return { x: 0, y: 0, half: 1.04 * Math.max(...positionsM(rounds[0]).map((place) => Math.hypot(...place))) };
  const reach = data.coverageM ?? 0;
  const places = rounds.flatMap(positionsM);
  for (const place of rounds[0].gatewaysM) places.push([place[0] - reach, place[1] - reach], [place[0] + reach, place[1] + reach]);
  const [left, bottom] = [0, 1].map((axis) => Math.min(...places.map((place) => place[axis])));
  const [right, top] = [0, 1].map((axis) => Math.max(...places.map((place) => place[axis])));
  return { x: (left + right) / 2, y: (bottom + top) / 2, half: 0.54 * Math.max(right - left, top - bottom) };
}

function turn(longitude, latitude) {
  if (!onGlobe) return;
  camera.lon = ((camera.lon + longitude + 540) % 360) - 180;
  camera.lat = Math.max(-90, Math.min(90, camera.lat + latitude));
  drawViews();
}

function drawViews() {
  const round = rounds[now];
  const places = positionsM(round);
  for (const { canvas, view, far } of views) {
    if (!canvas.clientWidth) continue; // in a frame that is hidden; its resize event draws it
    view.begin(far ? [-camera.lat, camera.lon + 180] : [camera.lat, camera.lon]);
    drawRound(view, round, places);
  }
}

/** The satellites of a round, its gateways, and its links. */
function drawRound(view, round, places) {
  const { context } = view;
  const rows = new Map(round.shown.map((satellite, index) => [satellite, rowOf(round, index)]));
  const numbered = data.satellites <= 40;
  const radius = numbered ? 8 : 4;
  drawCoverage(view, round);
  round.shown.forEach((satellite, index) => drawLink(view, round, places, satellite, index, rows.get(satellite)));
  if (numbered) drawGateways(view, round);
  context.fillStyle = colour("muted");
  places.forEach((place, satellite) => {
    if (rows.has(satellite)) return;
    const { x, y, hidden } = view.at(place);
    if (!hidden) context.fillRect(x - 1, y - 1, 2, 2);
  });
  for (const [satellite, row] of rows) {
    const at = view.at(places[satellite]);
    if (!at.hidden) drawSatellite(context, at, radius, row, numbered ? String(satellite) : "");
  }
  if (!numbered) drawGateways(view, round);
}

function drawCoverage(view, round) {
  if (data.coverageM === null) return;
  const { context } = view;
  context.strokeStyle = colour("faint");
  context.lineWidth = 1.2;
  for (const place of round.gatewaysM) {
    const { x, y } = view.at(place);
    context.beginPath();
    context.arc(x, y, view.pixels(data.coverageM), 0, 2 * Math.PI);
    context.stroke();
  }
}

function drawLink(view, round, places, satellite, index, row) {
  if (row === null || row.gateway >= data.gateways.length || data.outcomes[row.outcome] === "sat_out") return;
  const { context } = view;
  const way = [places[satellite], round.gatewaysM[row.gateway]];
  if (round.sender && round.sender[index] !== satellite) way.splice(1, 0, places[round.sender[index]]);
  const points = way.map((place) => view.at(place));
  if (points.every(({ hidden }) => hidden)) return;
  context.strokeStyle = row.lost ? colour("lost") : colour(`c${row.cluster % 8}`);
  context.lineWidth = row.lost ? 1.4 : 2;
  context.globalAlpha = points.some(({ hidden }) => hidden) ? 0.3 : 1;
  context.setLineDash(row.lost ? [4, 3] : data.outcomes[row.outcome] === "fetched" ? [1, 3] : []);
  context.beginPath();
  points.forEach(({ x, y }, k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawSatellite(context, { x, y }, radius, row, number) {
  const own = colour(`c${row === null ? 0 : row.cluster % 8}`);
  const idle = row !== null && (row.lost || data.outcomes[row.outcome] === "sat_out");
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = idle ? colour("paper") : own;
  context.strokeStyle = row?.lost ? colour("lost") : idle ? own : colour("paper");
  context.lineWidth = 1.6;
  context.fill();
  context.stroke();
  if (row?.lost) drawCross(context, x + radius, y - radius, 3.2);
  if (!number) return;
  context.fillStyle = idle ? colour("ink") : colour("paper");
  context.font = `600 ${radius + 1}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(number, x, y + 0.5);
}

function drawCross(context, x, y, arm) {
  context.strokeStyle = colour("lost");
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
  context.stroke();
}

/** Gateways as triangles, with their names where these do not collide. */
function drawGateways(view, round) {
  const { context } = view;
  const taken = [];
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "top";
  round.gatewaysM.forEach((place, index) => {
    const { x, y, hidden } = view.at(place);
    if (hidden) return;
    context.beginPath();
    context.moveTo(x, y - 7);
    context.lineTo(x + 6, y + 4);
    context.lineTo(x - 6, y + 4);
    context.closePath();
    context.fillStyle = colour("gateway");
    context.strokeStyle = colour("paper");
    context.lineWidth = 1;
    context.fill();
    context.stroke();
    const half = context.measureText(data.gateways[index]).width / 2 + 2;
    const middle = Math.max(half, Math.min(context.canvas.clientWidth - half, x));
    const label = { left: middle - half, right: middle + half, top: y + 5, bottom: y + 18 };
    if (taken.some((one) => one.left < label.right && label.left < one.right && one.top < label.bottom && label.top < one.bottom)) return;
    taken.push(label);
    context.lineWidth = 3;
    context.strokeText(data.gateways[index], middle, y + 6);
    context.fillStyle = colour("ink");
    context.fillText(data.gateways[index], middle, y + 6);
  });
}

// ---- Numbers

function showFacts() {
  const { record, merged, hidden, reasons } = rounds[now];
  const lost = Object.entries(reasons).map(([name, number]) => `${words(name)} ${number}`);
  const facts = {
    "Simulated time": `${short(record.time_s / 3600)} h`,
    [data.metricLabel]: short(record[data.metric]),
    "Test loss": short(record.test_loss),
    Clusters: short(record.clusters),
  };
  if (now > 0) {
    Object.assign(facts, {
      Duration: `${short(record.duration_s / 60)} min`,
      "Updates returned": short(record.returned),
      "Updates lost": short(record.lost) + (lost.length ? ` (${lost.join(", ")})` : ""),
      "Sat out": short(record.sat_out),
      "Local epochs": short(record.epochs),
      Energy: `${short(record.energy_j)} J`,
      Downloads: `${short(record.download_bits / 1e6)} Mbit`,
      Uploads: `${short(record.upload_bits / 1e6)} Mbit`,
      Reward: short(record.reward),
      "Gateways merged": merged ? "yes" : "no",
    });
    if (record.fetched) facts["Fetched a model"] = short(record.fetched);
  }
  const shown = Object.entries(facts).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  byId("facts").replaceChildren(...shown);
  const more = hidden ? `; ${hidden} more took part` : "";
  return data.many ? `The ${counted(rounds[now].shown.length, "satellite")} that took part${more}, of ${data.satellites}` : `All satellites (${data.satellites})`;
}

function showTable(which) {
  const round = rounds[now];
  const kinds = columns.filter(({ name }) => name !== "lost");
  const heads = ["satellite", ...(data.tasks.length ? ["task"] : []), ...kinds.map(({ name, unit }) => (unit ? `${name} (${unit})` : name))];
  heads.push(...(hasCharge ? ["charge (kJ)"] : []), "loss", data.metricLabel);
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col", className: texts.includes(name) ? "text" : "" }, name)));
  const body = round.shown.map((satellite, index) => {
    const row = rowOf(round, index);
    const cells = data.tasks.length ? [element("td", { className: "text" }, data.tasks[satellite])] : [];
    cells.push(...kinds.map(({ name }) => cell(name, row, round, satellite, index)));
    if (hasCharge) cells.push(chargeCell(round.chargesJ[index]));
    cells.push(element("td", {}, short(round.losses[index])), element("td", {}, short(round.metrics[index])));
    return element("tr", {}, element("th", { scope: "row" }, String(satellite)), ...cells);
  });
  const caption = element("caption", {}, `${which} ${now === 0 ? "before the first round" : `in round ${now}`}`);
  byId("table").replaceChildren(caption, element("thead", { className: "words" }, head), element("tbody", {}, ...body));
}

/** A cell of what a satellite did in the round. */
function cell(name, row, round, satellite, index) {
  const idle = element("td", { className: texts.includes(name) ? "text idle" : "idle" }, "–");
  if (row === null) return idle;
  const outcome = data.outcomes[row.outcome];
  if (name === "outcome") {
    const mark = row.lost ? "✕" : outcome === "sat_out" ? "○" : "●";
    return element("td", { className: row.lost ? "text lost" : outcome === "sat_out" ? "text idle" : "text" }, `${mark} ${words(outcome)}`);
  }
  if (outcome === "sat_out" && name !== "cluster") return idle;
  if (name === "gateway") {
    const sender = round.sender?.[index] ?? satellite;
    const by = sender === satellite || sender < 0 ? "" : ` by ${sender}`;
    return element("td", { className: "text" }, `${data.gateways[row.gateway] ?? "–"}${by}`);
  }
  if (name === "cluster") return element("td", {}, element("span", { className: `k${row.cluster % 8}` }, "■ "), String(row.cluster));
  return element("td", {}, short(row[name]));
}

function chargeCell(chargeJ) {
  const meter = element("meter", { min: 0, max: highestChargeJ, value: chargeJ });
  meter.setAttribute("aria-hidden", "true");
  return element("td", {}, meter, ` ${short(chargeJ / 1e3)}`);
}

function makeCharts() {
  const of = (name, scale = 1) => rounds.map(({ record }) => record[name] * scale);
  const played = (name, scale) => of(name, scale).map((value, round) => (round ? value : null));
  const band = (k) => rounds.map((round) => round.band[k]);
  const drawn = [
    lineChart(`${data.metricLabel}: mean, and 90 % of satellites`, [{ name: "mean", values: of(data.metric), low: band(0), high: band(1), k: 0 }], { pick: show }),
    lineChart("Updates of the round", [
      { name: "returned", values: played("returned"), k: 2 },
      { name: "lost", values: played("lost"), k: 5 },
    ], { zero: true, pick: show }),
    lineChart("Energy of all satellites (kJ)", [{ name: "energy", values: played("energy_j", 1e-3), k: 1 }], { zero: true, pick: show }),
  ];
  if (hasCharge) {
    const charge = (k) => rounds.map((round) => round.chargeJ[k] / 1e3);
    drawn.push(lineChart("Charge of batteries (kJ)", [{ name: "mean", values: charge(1), k: 4 }, { name: "lowest", values: charge(0), k: 3 }], { zero: true, pick: show }));
  }
  byId("charts").append(...drawn.map(({ figure }) => figure));
  return drawn;
}

function makeKey() {
  const entries = [
    ["●", "", "trained, update returned; colours are clusters"],
    ["✕", "lost", "update lost, dashed link"],
    ["○", "", "sat out"],
    ["▲", "", "gateway"],
  ];
  if (data.many) entries.push(["·", "", "satellite that did not take part"]);
  byId("key").append(...entries.map(([mark, kind, text]) => element("li", {}, element("span", { className: kind }, mark), ` ${text}`)));
}

// ---- Rounds

const charts = makeCharts();

/** Shows a round, or the nearest there is. */
function show(round) {
  now = Math.max(0, Math.min(last, Math.round(round) || 0));
  byId("slider").value = now;
  byId("now").textContent = now ? `round ${now} of ${last}` : `untrained, ${counted(last, "round")}`;
  if (location.hash !== `#round=${now}`) history.replaceState(null, "", `#round=${now}`);
  showTable(showFacts());
  charts.forEach(({ move }) => move(now));
  drawViews();
}

function pause() {
  clearInterval(timer);
  timer = null;
  byId("play").textContent = "Play";
  byId("play").setAttribute("aria-label", "Play");
}

function togglePlay() {
  if (timer !== null) return pause();
  if (now === last) show(0);
  byId("play").textContent = "Pause";
  byId("play").setAttribute("aria-label", "Pause");
  timer = setInterval(() => (now < last ? show(now + 1) : pause()), FRAME_MS);
  return undefined;
}

const steps = { ArrowLeft: () => now - 1, ArrowRight: () => now + 1, Home: () => 0, End: () => last };
const turns = { ArrowLeft: [-15, 0], ArrowRight: [15, 0], ArrowUp: [0, 15], ArrowDown: [0, -15] };

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.shiftKey && turns[event.key]) turn(...turns[event.key]);
  else if (event.key === " " && !event.target.closest("button, summary")) togglePlay();
  else if (steps[event.key] && !event.target.closest("[tabindex]")) show(steps[event.key]());
  else return;
  event.preventDefault();
}

function begin() {
  byId("title").textContent = `${data.scenario}, ${data.policy}, seed ${data.seed}`;
  byId("description").textContent = data.description;
  byId("configuration").textContent = data.configuration;
  byId("slider").max = last;
  byId("turning").hidden = !onGlobe;
  describePage(data.versions);
  makeKey();
  byId("slider").addEventListener("input", (event) => show(Number(event.target.value)));
  const buttons = { first: () => 0, back: () => now - 1, next: () => now + 1, last: () => last };
  for (const [id, to] of Object.entries(buttons)) byId(id).addEventListener("click", () => show(to()));
  byId("play").addEventListener("click", togglePlay);
  document.addEventListener("keydown", onKey);
  for (const { canvas, far } of views) {
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) turn(-event.movementX * 0.4, (far ? -1 : 1) * event.movementY * 0.4);
    });
  }
  const fromHash = () => show(Number(location.hash.replace("#round=", "")));
  addEventListener("hashchange", fromHash);
  fromHash();
  addEventListener("resize", drawViews);
  watchTheme(drawViews);
}

begin();
