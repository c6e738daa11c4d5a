// The frame of every page: heading, routing, and the banner while the master is unreachable.

import { NotFound, Notices, Questions } from "./controls.js";
import { Icon, effect, html, render, signal, useEffect, useState } from "./html.js";
import { language, languages, preferred, speak, t } from "./language.js";
import { connect, connection, info } from "./farm-feed.js";
import { route } from "./route.js";
import { Overview } from "./pages/overview.js";

// Pages other than the first are loaded when they are opened.
const pages = {
  jobs: () => import("./pages/job.js").then((module) => module.JobPage),
  slaves: () => import("./pages/slave.js").then((module) => module.SlavePage),
  farm: () => import("./pages/farm.js").then((module) => module.FarmPage),
};

const theme = signal(localStorage.getItem("theme") ?? "auto");
effect(() => {
  if (theme.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

function ThemeSwitch() {
  const next = { auto: "light", light: "dark", dark: "auto" };
  const names = { auto: t("Colours: as the system"), light: t("Colours: light"), dark: t("Colours: dark") };
  const turn = () => {
    theme.value = next[theme.value];
    localStorage.setItem("theme", theme.value);
  };
  return html`<button type="button" class="quiet" data-action="theme" title=${names[theme.value]}
    aria-label=${names[theme.value]} onClick=${turn}><${Icon} name="theme" /></button>`;
}

function LanguageSwitch() {
  const choose = (event) => {
    localStorage.setItem("language", event.target.value);
    speak(event.target.value);
  };
  return html`<select class="quiet" aria-label=${t("Language")} value=${language.value} onChange=${choose}>${Object.entries(languages).map(
    ([code, name]) => html`<option key=${code} value=${code} lang=${code}>${name}</option>`,
  )}</select>`;
}

function Heading() {
  const [first] = route.value;
  const link = (key, href, text) =>
    html`<a href=${href} aria-current=${(first ?? "overview") === key ? "page" : undefined}>${text}</a>`;
  const states = { connecting: t("connecting"), live: t("live"), lost: t("connection lost") };
  return html`<header class="top">
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.querySelector("main").focus();
    }}>${t("To the content")}</a>
    <a class="brand" href="#/"><img src="/web/icon.svg" alt="" width="20" height="20" /><span>${info.value?.name ?? "netrender"}</span></a>
    <nav aria-label=${t("Pages")}>${link("overview", "#/", t("Overview"))}${link("farm", "#/farm", t("Farm"))}</nav>
    <span class=${`pulse is-${connection.value}`}>${states[connection.value]}</span>
    <${LanguageSwitch} /><${ThemeSwitch} />
  </header>`;
}

function Page() {
  const [first = "overview", ...rest] = route.value;
  const [found, setFound] = useState({});
  useEffect(() => {
    if (first in pages && !found[first]) pages[first]().then((page) => setFound((old) => ({ ...old, [first]: page })));
  }, [first]);
  if (first === "overview") return html`<${Overview} />`;
  if (!(first in pages)) return html`<${NotFound} what=${t("There is no such page")} text=${t("Perhaps the address was cut off.")} />`;
  const Found = found[first];
  return Found ? html`<${Found} key=${rest[0]} path=${rest} />` : null;
}

function App() {
  return html`<${Heading} />
    <div role="alert">
      ${connection.value === "lost"
        ? html`<p class="banner">${t("Connection lost, trying again. What you see is how it was.")}</p>`
        : null}</div>
    <main id="main" tabindex="-1"><${Page} /></main>
    <${Notices} /><${Questions} />`;
}

await speak(preferred());
render(html`<${App} />`, document.getElementById("app"));
connect();
