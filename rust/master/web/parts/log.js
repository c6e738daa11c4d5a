// The log of a frame: its end first, growing while the frame renders. Logs can be very long; the
// page holds a window of one.

import { log } from "../api.js";
import { Action, Empty } from "../controls.js";
import { bytes } from "../format.js";
import { Icon, html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { t } from "../language.js";
import { slaveName } from "../farm-feed.js";
import { Tail } from "../text-window.js";
import { readable } from "./attempts.js";

const BAD = /\b(error|failed|failure|exception|traceback|cannot|can't|out of memory|segmentation fault|abort)/i;
const AGAIN_MS = 1000;
/** Distance to the end, in pixels, that still counts as the end. */
const NEAR_PX = 24;

/**
 * The wanted lines: errors as elements of their own, the others in runs, so that there are few
 * elements.
 */
function arranged(text, onlyBad, word) {
  const runs = [];
  let bad = 0;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const isBad = BAD.test(line);
    bad += isBad;
    if ((onlyBad && !isBad) || (word && !line.toLowerCase().includes(word))) continue;
    const last = runs.at(-1);
    if (isBad || !last || last.bad) runs.push({ bad: isBad, text: line });
    else last.text += `\n${line}`;
  }
  return { runs, bad };
}

/** The log of `attempt`; null chooses the last attempt that has one. */
export function Log({ job, task, attempt, attempts, choose }) {
  const onItsWay = attempts.findIndex((one) => one.ok === null);
  const growing = task.state === "sharing" ? attempt === null : task.state === "leased" && (attempt === null || attempt === onItsWay);
  const [slave, setSlave] = useState(null);
  const [follow, setFollow] = useState(true);
  const [onlyBad, setOnlyBad] = useState(false);
  const [wanted, setWanted] = useState("");
  const [seen, setSeen] = useState({ text: null });
  const box = useRef(null);
  const high = useRef(null);
  const several = task.state === "sharing" && task.slaves.length > 1;
  const asked = new URLSearchParams();
  // Cleared while the next one is on its way, otherwise the previous log would be shown until the
  // first line comes.
  if (attempt !== null || (task.state === "leased" && onItsWay > 0)) asked.set("attempt", attempt ?? onItsWay);
  if (several && slave !== null) asked.set("slave", slave);
  const path = `jobs/${job.id}/frames/${task.frame}/log?${asked}${asked.size ? "&" : ""}`;
  // A new attempt has another log.
  const tail = useMemo(() => new Tail(path), [path, task.state === "waiting", task.attempts]);
  const show = () =>
    setSeen((old) =>
      old.tail === tail && old.from === tail.from && old.to === tail.to && old.whole === tail.whole
        ? old
        : { tail, text: tail.text, from: tail.from, to: tail.to, size: tail.size, whole: tail.whole },
    );
  // At once: a response that comes meanwhile must not extend a window that was dropped.
  useLayoutEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const look = async () => {
      let failed = false;
      try {
        await tail.later(stop.signal);
        show();
      } catch {
        // The banner says that the master is unreachable; ask again until it is back.
        if (stop.signal.aborted) return;
        failed = true;
      }
      if ((growing && follow) || failed) timer = setTimeout(look, AGAIN_MS);
    };
    if (follow || !tail.parts.length) look();
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [tail, growing, follow]);
  // Nothing is shown until something of the other attempt's log is here; the old log is not it.
  const now = seen.tail === tail ? seen : { text: null };
  const { runs, bad } = useMemo(() => arranged(now.text ?? "", onlyBad, wanted.trim().toLowerCase()), [now.text, onlyBad, wanted]);
  useLayoutEffect(() => {
    if (high.current !== null) box.current.scrollTop += box.current.scrollHeight - high.current;
    else if (follow) box.current.scrollTop = box.current.scrollHeight;
    high.current = null;
  }, [runs, follow]);
  const earlier = async () => {
    setFollow(false);
    await tail.earlier();
    high.current = box.current.scrollHeight;
    show();
  };
  const turn = () => {
    // Text that was dropped while its beginning was read is fetched again.
    if (!follow && tail.to < tail.size) tail.begin();
    setFollow(!follow);
  };
  const onScroll = ({ currentTarget: at }) => {
    if (follow && at.scrollHeight - at.scrollTop - at.clientHeight > NEAR_PX && high.current === null) setFollow(false);
  };
  const choices = attempts.map((one, at) => ({ ...one, at })).filter(readable);
  const [first, last, all] = [bytes(now.from), bytes(now.to), bytes(now.size)];
  return html`<section class="log-view" aria-labelledby="log">
    <div class="row"><h2 id="log">${t("Log")}</h2>
      ${choices.length > 1
        ? html`<label>${t("Attempt")} <select data-choose="attempt" value=${attempt ?? choices.at(-1).at}
          onChange=${(event) => choose(Number(event.target.value))}>
          ${choices.map((one) =>
            html`<option key=${one.at} value=${one.at}>
              ${one.at + 1}: ${one.slave_name || slaveName(one.slave)}</option>`)}</select></label>`
        : null}
      ${several
        ? html`<label>${t("Slave")} <select data-choose="slave" value=${slave ?? task.slaves[0]}
          onChange=${(event) => setSlave(Number(event.target.value))}>
          ${task.slaves.map((id) => html`<option key=${id} value=${id}>${slaveName(id)}</option>`)}</select></label>`
        : null}
      <input type="search" placeholder=${t("Find in the log")} aria-label=${t("Find in the log")} value=${wanted}
        onInput=${(event) => setWanted(event.target.value)} />
      <button type="button" class="button" data-action="only-bad" aria-pressed=${onlyBad}
        onClick=${() => setOnlyBad(!onlyBad)}>${t("Errors only")} <span class="count">${bad}</span></button>
      <button type="button" class="button" data-action="follow" aria-pressed=${follow} onClick=${turn}>${growing ? t("Follow") : t("To the end")}</button>
      <${Action} id="earlier" label=${t("Earlier")} disabled=${!now.text || now.whole} run=${earlier} />
      ${task.state === "done" || task.error
        ? html`<a class="button" download href=${log(job.id, task.frame)}><${Icon} name="down" />${t("Download")}</a>`
        : null}
      ${now.text && !(now.whole && now.to >= now.size) ? html`<span class="why">${t("{first} to {last} of {all}", { first, last, all })}</span>` : null}
      ${growing ? html`<span class="why">${t("It grows while the frame renders.")}</span>` : null}</div>
    <div ref=${box} class="log mono" tabindex="0" role="region" aria-labelledby="log" onScroll=${onScroll}>${
      now.text === null
        ? null
        : runs.length && now.text
          ? runs.map((run, at) => html`<div key=${at} class=${run.bad ? "is-bad" : undefined}>${run.text || " "}</div>`)
          : html`<${Empty}>${now.text ? t("No line is like that.") : t("The log is empty.")}<//>`
    }</div>
  </section>`;
}
