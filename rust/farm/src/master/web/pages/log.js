// What Blender printed for a frame. Logs can be very long: the page reads so much of one and no more.

import { log } from "../api.js";
import { Empty } from "../controls.js";
import { bytes } from "../format.js";
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { t } from "../language.js";

const MOST = 256 * 1024;
const BAD = /\b(error|failed|failure|exception|traceback|cannot|can't|out of memory|segmentation fault|abort)/i;

/** The log's first bytes as text, and how many it has. What follows is not even sent. */
async function read(path, signal) {
  const answer = await fetch(path, { signal });
  if (!answer.ok) return null;
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  while (length < MOST) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    text += decoder.decode(value, { stream: true });
  }
  reader.cancel();
  return { text: text.slice(0, MOST), size: Number(answer.headers.get("Content-Length") ?? length) };
}

export function Log({ job, task }) {
  const [found, setFound] = useState(null);
  const [onlyBad, setOnlyBad] = useState(false);
  const [wanted, setWanted] = useState("");
  const box = useRef(null);
  const path = log(job.id, task.frame);
  useEffect(() => {
    const stop = new AbortController();
    setFound(null);
    read(path, stop.signal).then((read) => setFound(read ?? { text: "", size: 0 }), () => {});
    return () => stop.abort();
  }, [path, task.state, task.attempts]);
  const lines = useMemo(() => (found?.text ?? "").split("\n"), [found]);
  const word = wanted.trim().toLowerCase();
  const shown = lines
    .map((line, at) => ({ line, at, bad: BAD.test(line) }))
    .filter(({ line, bad }) => (!onlyBad || bad) && (!word || line.toLowerCase().includes(word)));
  const bad = useMemo(() => lines.filter((line) => BAD.test(line)).length, [lines]);
  useEffect(() => {
    if (box.current) box.current.scrollTop = 0;
  }, [onlyBad, word]);
  return html`<section class="log-view" aria-labelledby="log">
    <div class="row"><h2 id="log">${t("Log")}</h2>
      <input type="search" placeholder=${t("Find in the log")} aria-label=${t("Find in the log")} value=${wanted} onInput=${(event) => setWanted(event.target.value)} />
      <button type="button" class="button" data-action="only-bad" aria-pressed=${onlyBad} onClick=${() => setOnlyBad(!onlyBad)}>${t("Errors only")} <span class="count">${bad}</span></button>
      ${found && found.size > MOST ? html`<span class="why">${t("The first {part} of {all}; download it for the rest.", { part: bytes(MOST), all: bytes(found.size) })}</span>` : null}</div>
    <div ref=${box} class="log mono" tabindex="0" role="region" aria-labelledby="log">${
      found === null
        ? null
        : shown.length
          ? shown.map(({ line, at, bad }) => html`<div key=${at} class=${bad ? "is-bad" : undefined}>${line || " "}</div>`)
          : html`<${Empty}>${found.text ? t("No line is like that.") : t("The log is empty.")}<//>`
    }</div>
  </section>`;
}
