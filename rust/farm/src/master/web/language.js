// The page's languages. English texts are their own keys, as in Blender's translations: `t("Jobs")`. A language is one
// file in lang/ that exports a dictionary from English to its own words; what it lacks is shown in English.

import { signal } from "./html.js";

export const languages = { en: "English", de: "Deutsch" };

/** The language in use; whatever draws texts draws again when it changes. */
export const language = signal("en");
let words = {};
let formatters = new Map();

/** The text in the user's language, with {names} filled in. */
export function t(text, values) {
  language.value; // whoever calls this is drawn again when the language changes
  const found = words[text] ?? text;
  return values ? found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "") : found;
}

/** One of `Intl`'s formatters for the language in use. Making one costs as much as using it a thousand times, so it is kept, by
 * these very options. */
export function formatter(Kind, options) {
  const wanted = language.value;
  if (!formatters.has(options)) formatters.set(options, new Kind(wanted, options));
  return formatters.get(options);
}

const PLAIN = {};

/** One of two texts, by the number, which is {n} in both. */
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

/** What the user chose here before, else what the browser asks for. */
export function preferred() {
  const asked = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in languages);
  return localStorage.getItem("language") ?? asked ?? "en";
}
