
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** An element with properties and children; text is text, never markup. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A colour of the style sheet, as a canvas takes it. */
function colour(name) {
  const probe = byId("drawing");
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** A number with its noun, whose plural ends in "s". */
const counted = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

const words = (name) => name.replaceAll("_", " ");

/** A number of at most `digits` significant digits, without exponents where it need not have one. */
function short(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const rounded = Number(value.toPrecision(digits));
  const size = Math.abs(rounded);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return rounded.toExponential();
  return rounded.toLocaleString("en", { maximumFractionDigits: 8, useGrouping: size >= 1e4 });
}

/** Calls `redraw` whenever colours change: by the button, or because the system's choice did. */
function watchTheme(redraw) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  let chosen = null;
  const isDark = () => (chosen === null ? system.matches : chosen);
  const tell = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} colours`);
    redraw();
  };
  button.addEventListener("click", () => {
    chosen = !isDark();
    document.documentElement.style.colorScheme = chosen ? "dark" : "light";
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

/** Fills the footer with versions. */
function describePage(versions) {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  byId("versions").append(element("summary", {}, `Made by satfl ${versions["satfl-env"]}; versions`), named.join(", "));
}
