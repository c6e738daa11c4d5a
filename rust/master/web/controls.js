// Small elements that pages are built from: states, bars, action buttons, dialogs, notices.

import { ApiError } from "./api.js";
import { Icon, html, signal, useEffect, useRef, useState } from "./html.js";
import { number } from "./format.js";
import { t } from "./language.js";

/** A state as a coloured dot and a word; colour alone never carries meaning. */
export function State({ state, children }) {
  return html`<span class=${`state is-${state}`}>${children}</span>`;
}

/** Done, failed and rendering frames as segments of one bar. */
export function Bar({ total, done, failed = 0, rendering = 0, label }) {
  const part = (n) => `${total ? (100 * n) / total : 0}%`;
  return html`<div class="bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax=${total} aria-valuenow=${done}>
    <i class="is-done" style=${{ width: part(done) }}></i><i class="is-failed" style=${{ width: part(failed) }}></i>
    <i class="is-rendering" style=${{ width: part(rendering) }}></i>
  </div>`;
}

/** A picture that may not exist yet: an empty frame until it does. */
export function Picture({ src, alt = "", lazy = true }) {
  const [broken, setBroken] = useState(null);
  const there = src && broken !== src;
  return html`<span class="picture">${
    there ? html`<img src=${src} alt=${alt} loading=${lazy ? "lazy" : "eager"} decoding="async" onError=${() => setBroken(src)} />` : null
  }</span>`;
}

/** Fractions from 0 to 1 as `most` thin bars, the last at the right. */
export function Spark({ values, most, label }) {
  const wide = 4;
  const first = most - values.length;
  const bar = (value, at) => (value > 0 ? `M${(first + at) * wide} 20V${(20 - Math.max(1.5, 20 * value)).toFixed(1)}h${wide - 1}V20z` : "");
  return html`<svg class="spark" viewBox=${`0 0 ${most * wide} 20`} preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="ground" d=${`M0 19.5H${most * wide}`} /><path d=${values.map(bar).join("")} /></svg>`;
}

export function Tabs({ label, tabs, current }) {
  return html`<nav class="tabs" aria-label=${label}>${tabs.map(
    ([key, text, href, count]) => html`<a key=${key} href=${href} aria-current=${key === current ? "page" : undefined}>${text}${
      count ? html` <span class="count">${number(count)}</span>` : null
    }</a>`,
  )}</nav>`;
}

/** Buttons for the pages of a long list. `skip` rows come before those in sight, `wanted` before those asked for last. */
export function Pager({ skip, wanted, limit, total, turn }) {
  if (total <= limit) return null;
  const shown = { first: number(skip + 1), last: number(Math.min(total, skip + limit)), all: number(total) };
  return html`<div class="row push" role="group" aria-label=${t("Part of the list")}>
    <span class="count" aria-live="polite">${t("{first} to {last} of {all}", shown)}</span>
    <button type="button" class="button" data-action="page-before" aria-label=${t("Part before")} disabled=${wanted === 0}
      onClick=${() => turn(Math.max(0, wanted - limit))}><${Icon} name="left" /></button>
    <button type="button" class="button" data-action="page-after" aria-label=${t("Part after")}
      disabled=${wanted + limit >= total} onClick=${() => turn(wanted + limit)}><${Icon} name="right" /></button></div>`;
}

export function Figure({ label, value, note, tone }) {
  return html`<div class=${`figure ${tone ? `tone-${tone}` : ""}`}><dt>${label}</dt><dd>${value}${note ? html` <small>${note}</small>` : null}</dd></div>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** Page for an address under which nothing exists, with a way back. */
export function NotFound({ what, text }) {
  return html`<section class="lost"><h1>${what}</h1><p>${text}</p><p><a class="button" href="#/">${t("Back to the overview")}</a></p></section>`;
}

// ---------------------------------------------------------------------------------------------------------- notices

const notices = signal([]);
let last = 0;

/** Shows a notice about what happened, or why it did not. */
export function tell(text, { bad = false, hint = "" } = {}) {
  const notice = { key: (last += 1), text, bad, hint };
  notices.value = [...notices.value.slice(-2), notice];
  setTimeout(() => dismiss(notice.key), bad ? 12000 : 5000);
}

const dismiss = (key) => {
  notices.value = notices.value.filter((notice) => notice.key !== key);
};

/** Shows an error in the master's own words. */
export function tellError(error) {
  if (!(error instanceof ApiError)) throw error;
  tell(error.message, { bad: true, hint: error.hint });
}

export function Notices() {
  return html`<div class="notices" role="status" aria-live="polite">${notices.value.map(
    ({ key, text, bad, hint }) => html`<div key=${key} class=${bad ? "notice is-bad" : "notice"}><p>${text}${
      hint ? html`<br /><small>${hint}</small>` : null
    }</p><button class="quiet" aria-label=${t("Dismiss")} onClick=${() => dismiss(key)}><${Icon} name="close" /></button></div>`,
  )}</div>`;
}

// ---------------------------------------------------------------------------------------------------------- actions

/** A button that sends a request: disabled meanwhile, then shows the outcome. */
export function Action({ icon, label, done, run, ask, kind = "", compact = false, disabled = false, id }) {
  const [busy, setBusy] = useState(false);
  const act = async () => {
    if (ask && !(await confirm(ask))) return;
    setBusy(true);
    try {
      await run();
      if (done) tell(done);
    } catch (error) {
      tellError(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<button type="button" class=${`button ${kind}`} data-action=${id} disabled=${disabled || busy}
    aria-busy=${busy} title=${compact ? label : undefined} aria-label=${compact ? label : undefined} onClick=${act}>${
    icon ? html`<${Icon} name=${icon} />` : null
  }${compact ? null : html`<span>${label}</span>`}</button>`;
}

const question = signal(null);

/** Asks before an action that cannot be undone. Resolves to true for yes. */
export function confirm({ title, text, yes }) {
  return new Promise((answer) => {
    question.value = { title, text, yes, answer };
  });
}

export function Questions() {
  const dialog = useRef(null);
  const asked = question.value;
  useEffect(() => {
    if (asked) dialog.current.showModal();
  }, [asked]);
  if (!asked) return null;
  const close = () => {
    question.value = null;
    asked.answer(dialog.current?.returnValue === "yes");
  };
  const end = (answer) => () => dialog.current.close(answer);
  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="question" onClose=${close}>
    <h2 id="question">${asked.title}</h2>
    <p>${asked.text}</p>
    <div class="row-end">
      <button type="button" class="button" data-action="no" onClick=${end("no")}>${t("Keep")}</button>
      <button type="button" class="button is-danger" data-action="yes" onClick=${end("yes")}>${asked.yes}</button>
    </div>
  </dialog>`;
}
