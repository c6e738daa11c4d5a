// Languages of the page. English texts are the keys, as in Blender's translations: `t("Jobs")`. A
// language is one file in lang/ that exports a dictionary from English; texts that it lacks are
// shown in English.

import { signal } from "./html.js";

export const languages = { en: "English", de: "Deutsch" };

/** Language in use. Components that draw texts are drawn again when it changes. */
export const language = signal("en");
let words = {};
let formatters = new Map();

/** The text in the user's language, with {names} filled in. */
export function t(text, values) {
  language.value; // whoever calls this is drawn again when the language changes
  const found = words[text] ?? text;
  return values ? found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "") : found;
}

/**
 * Returns one of `Intl`'s formatters for the language in use. Making one costs as much as a
 * thousand uses, so it is cached by its very options object.
 */
export function formatter(Kind, options) {
  const wanted = language.value;
  if (!formatters.has(options)) formatters.set(options, new Kind(wanted, options));
  return formatters.get(options);
}

const PLAIN = {};

/** Chooses one of two texts by number; {n} in it is the number. */
export function plural(n, one, many) {
  return t(n === 1 ? one : many, { n: formatter(Intl.NumberFormat, PLAIN).format(n) });
}

export async function speak(wanted) {
  const known = wanted in languages ? wanted : "en";
  words = known === "en" ? {} : (await import(`./lang/${known}.js`)).default;
  formatters = new Map();
  document.documentElement.lang = known;
  language.value = known;
}

/** The language that the user chose here before, otherwise the browser's. */
export function preferred() {
  const asked = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in languages);
  return localStorage.getItem("language") ?? asked ?? "en";
}
