// Attempts at a frame and their outcome; for a shared frame, the slaves with their samples or
// lines.

import { State } from "../controls.js";
import { duration, exactMoment, moment, number } from "../format.js";
import { html } from "../html.js";
import { t } from "../language.js";
import { slaveName } from "../farm-feed.js";

/** The frame state that an attempt stands for. */
const stateOf = ({ ok }) => (ok === null ? "leased" : ok ? "done" : "failed");

/** True if the attempt has a log or will have one. */
export const readable = ({ has_log, ok }) => has_log || ok === null;

/** `show` is called with the number of the attempt whose log is wanted. */
export function Attempts({ attempts, shown, show }) {
  if (!attempts.length) return null;
  const words = { leased: t("Rendering"), done: t("Done"), failed: t("Failed") };
  return html`<section aria-labelledby="attempts"><h2 id="attempts">${t("Attempts")} <span class="count">${attempts.length}</span></h2>
    <div class="list list-scroll">
      <table class="attempts" aria-labelledby="attempts">
        <thead><tr><th scope="col" class="number">${t("No.")}</th><th scope="col">${t("Slave")}</th>
          <th scope="col">${t("State")}</th><th scope="col">${t("When")}</th>
          <th scope="col" class="number">${t("Time")}</th><th scope="col">${t("Log")}</th></tr></thead>
    <tbody>${attempts.map(
      (one, at) => html`<tr key=${at} data-attempt=${at}>
        <td class="number">${at + 1}</td>
        <td><a href=${`#/slaves/${one.slave}`}>${one.slave_name || slaveName(one.slave)}</a></td>
        <td class="told"><${State} state=${stateOf(one)}>${words[stateOf(one)]}<//>
          ${one.error
            ? html`<small title=${one.error.message}>${one.error.message.trim().split("\n").at(-1)}</small>`
            : null}</td>
        <td title=${one.at_ms == null ? undefined : exactMoment(one.at_ms)}>${one.at_ms == null ? "–" : moment(one.at_ms)}</td>
        <td class="number">${duration(one.seconds)}</td>
        <td>${readable(one)
          ? html`<button type="button" class="button" data-log=${at} aria-pressed=${shown === at}
            aria-label=${t("Show the log of attempt {n}", { n: at + 1 })} onClick=${() => show(at)}>
            ${t("Show")}</button>`
          : "–"}</td>
      </tr>`,
    )}</tbody></table></div></section>`;
}

const WIDTH = 1000;
const shareStates = ["merged", "done", "leased", "free"];

export function Shares({ shares, all, unit }) {
  if (!shares.length) return null;
  const words = { free: t("Free"), leased: t("Rendering"), done: t("Handed in"), merged: t("Merged") };
  const end = Math.max(all, ...shares.map((share) => share.offset + share.samples));
  const x = (samples) => ((WIDTH * samples) / end).toFixed(1);
  const path = (state) =>
    shares.filter((share) => share.state === state).map((share) => `M${x(share.offset)} 0H${x(share.offset + share.samples)}V20H${x(share.offset)}z`).join("");
  const sum = (state) => shares.reduce((sum, share) => sum + (share.state === state ? share.samples : 0), 0);
  const told = shareStates.filter(sum).map((state) => `${words[state]}: ${number(sum(state))}`).join(" · ");
  return html`<section aria-labelledby="shares"><h2 id="shares">${t("Shares")} <span class="count">${number(shares.length)}</span></h2>
    <svg class="strip shares" viewBox=${`0 0 ${WIDTH} 20`} preserveAspectRatio="none" role="img" aria-label=${told}>
      ${shareStates.map((state) => html`<path key=${state} class=${`is-${state}`} d=${path(state)} />`)}</svg>
    <p class="why">${told}</p>
    <div class="list story" tabindex="0" role="region" aria-labelledby="shares">
      <table class="shares" aria-labelledby="shares">
        <thead><tr><th scope="col">${unit === "lines" ? t("Lines") : t("Samples")}</th>
          <th scope="col">${t("Slave")}</th><th scope="col">${t("State")}</th>
          <th scope="col" class="number">${t("Time")}</th></tr></thead>
    <tbody>${shares.map(
      (share) => html`<tr key=${share.offset}>
        <td>${t("{first} to {last}", { first: number(share.offset), last: number(share.offset + share.samples - 1) })}
        </td>
        <td>${share.slave == null ? "–" : html`<a href=${`#/slaves/${share.slave}`}>${slaveName(share.slave)}</a>`}</td>
        <td><${State} state=${{ free: "waiting", leased: "leased", done: "done", merged: "done" }[share.state]}>
          ${words[share.state]}<//></td><td class="number">${duration(share.seconds)}</td></tr>`,
    )}</tbody></table></div></section>`;
}
