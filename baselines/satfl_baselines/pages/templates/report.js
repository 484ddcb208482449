
const { folders, differences } = data;
// Rows of a table that is not folded.
const MOST_OPEN = 30;

/** A number with so many digits after the point, or four significant ones. */
const fixed = (value, digits) => (value === null ? "–" : digits === null ? short(value) : value.toFixed(digits));

/** What a cell says: a text, a number, `[mean, half width, digits]`, or `{value, low, high}`. */
function cellText(cell) {
  if (Array.isArray(cell)) {
    const [mean, halfWidth, digits] = cell;
    return halfWidth === null ? fixed(mean, digits) : `${fixed(mean, digits)} ± ${fixed(halfWidth, digits)}`;
  }
  if (cell !== null && typeof cell === "object") return `${short(cell.value)} [${short(cell.low)}, ${short(cell.high)}]`;
  return typeof cell === "string" ? cell : short(cell);
}

/** A table; its headings begin with capitals unless they are names. */
function makeTable({ name, columns, rows, hidden }, areNames = false) {
  const isText = columns.map((_, index) => rows.every((row) => row[index] === null || typeof row[index] === "string"));
  const kind = (index) => (isText[index] ? "text" : "");
  const head = columns.map((column, index) => element("th", { scope: "col", className: kind(index) }, column));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell, index) => {
    const tag = index === 0 ? "th" : "td";
    return Object.assign(element(tag, { className: kind(index) }, cellText(cell)), index === 0 ? { scope: "row" } : {});
  })));
  const caption = element("caption", {}, words(name) + (hidden ? `, the first ${rows.length} of ${rows.length + hidden} rows` : ""));
  const table = element("table", {}, caption, element("thead", { className: areNames ? "" : "words" }, element("tr", {}, ...head)), element("tbody", {}, ...body));
  const around = element("div", { className: "scroll", tabIndex: 0 }, table);
  around.setAttribute("role", "region");
  around.setAttribute("aria-label", `Table: ${words(name)}`);
  if (rows.length <= MOST_OPEN) return around;
  return element("details", {}, element("summary", {}, `${words(name)}, ${counted(rows.length, "row")}`), around);
}

function makeCurve({ name, x, series }) {
  const coloured = series.map((one, k) => ({ ...one, k }));
  return lineChart(name, coloured, { xs: x, xLabel: x ? "rounds of training" : "round" }).figure;
}

function makeFacts(facts) {
  const told = Object.entries(facts).filter(([, value]) => value !== null && JSON.stringify(value) !== "{}");
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  return element("dl", { className: "facts" }, ...told.map(([name, value]) =>
    element("div", {}, element("dt", {}, words(name)), element("dd", {}, text(value)))));
}

/** Text that is shown when asked for. */
function folded(summary, text) {
  return element("details", {}, element("summary", {}, summary), element("pre", { tabIndex: 0 }, text));
}

function describeSeeds(seeds) {
  if (seeds.length <= 5) return `${seeds.length}: ${seeds.join(", ")}`;
  return `${seeds.length}, from ${seeds[0]} to ${seeds.at(-1)}`;
}

function makePart(part) {
  const heading = [...new Set([part.name, part.title])].filter(Boolean).join(": ");
  const seeds = part.seeds.length ? { seeds: describeSeeds(part.seeds) } : {};
  const made = element("section", {}, ...(heading ? [element("h3", {}, heading)] : []));
  made.append(makeFacts({ ...part.facts, ...seeds }));
  if (part.facts.episodes !== undefined && !part.seeds.length) made.append(element("p", {}, "No seed has been played by every policy yet."));
  made.append(...part.tables.map((table) => makeTable(table)));
  made.append(element("div", { className: "charts" }, ...part.curves.map(makeCurve)));
  if (part.configuration) made.append(folded("The scenario as YAML", part.configuration));
  return made;
}

function makeFolder(folder) {
  const made = element("section", {}, element("h2", {}, folder.name));
  if (folder.run) {
    const { command, started, finished, system, versions, ...others } = folder.run;
    made.append(element("pre", { className: "command" }, command));
    made.append(element("p", { className: "muted" }, `Started ${started}, ${finished ? `finished ${finished}` : "not finished"}`));
    made.append(folded("Options, seeds and versions", JSON.stringify({ system, versions, ...others }, null, 2)));
  }
  made.append(...folder.parts.map(makePart));
  return made;
}

function makeDifferences() {
  if (folders.length < 2) return;
  const rows = differences.map(({ part, name, values }) => [[part, name].filter(Boolean).join(": "), ...values.map((value) => value ?? "as the first")]);
  const columns = ["setting", ...folders.map(({ name }) => name)];
  const table = makeTable({ name: "Settings that differ", columns, rows, hidden: 0 }, true);
  byId("differences").append(element("h2", {}, "What differs"), rows.length ? table : element("p", {}, "The comparisons of the same place in the folders have the same settings."));
}

byId("subtitle").textContent = `${counted(folders.length, "folder")} of results`;
byId("folders").append(...folders.map(makeFolder));
makeDifferences();
describePage(data.versions);
watchTheme(() => {});
