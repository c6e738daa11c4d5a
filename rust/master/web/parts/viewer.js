// Viewer of frames: one, two with a divider between them, or all in sequence.

import { Empty } from "../controls.js";
import { Icon, html, useEffect, useMemo, useRef, useState } from "../html.js";
import { t } from "../language.js";
import { picture } from "./frames.js";

export function Still({ src, alt, empty }) {
  const [broken, setBroken] = useState(null);
  const there = src && broken !== src;
  return html`<div class="canvas">${there ? html`<img src=${src} alt=${alt} onError=${() => setBroken(src)} />` : html`<${Empty}>${empty}<//>`}</div>`;
}

const seen = (job) => job.tasks.filter((task) => picture(job, task));

/** Another frame over this one, with a divider that can be moved. */
export function Compare({ job, task }) {
  const others = useMemo(() => seen(job).filter((other) => other.frame !== task.frame), [job.tasks, task.frame]);
  const [chosen, setChosen] = useState(null);
  const [edge, setEdge] = useState(50);
  const src = picture(job, task);
  if (!src || !others.length) return html`<div class="canvas"><${Empty}>${t("Two finished frames are needed.")}<//></div>`;
  const at = others.find((other) => other.frame === chosen) ?? others.find((other) => other.frame > task.frame) ?? others[0];
  return html`<div class="canvas compare">
      <img src=${src} alt=${t("Frame {frame}", task)} />
      <img class="over" src=${picture(job, at)} alt=${t("Frame {frame}", at)} style=${{ clipPath: `inset(0 0 0 ${edge}%)` }} />
      <i class="edge" style=${{ left: `${edge}%` }}></i>
    </div>
    <div class="row under"><b>${t("Frame {frame}", task)}</b>
      <input class="grow" type="range" min="0" max="100" value=${edge} aria-label=${t("Where the edge is")}
        onInput=${(event) => setEdge(Number(event.target.value))} />
      <label>${t("with frame")} <select data-choose="other" value=${at.frame}
        onChange=${(event) => setChosen(Number(event.target.value))}>
        ${others.map((other) => html`<option key=${other.frame} value=${other.frame}>${other.frame}</option>`)}</select>
      </label>
    </div>`;
}

const RATES = [6, 12, 24, 25, 30];
/** Number of pictures decoded ahead of the visible one. */
const AHEAD = 24;

/**
 * Plays the finished frames. A picture is shown only when it is decoded, so a slow line makes
 * playback slow, not torn.
 */
export function FlipBook({ job, from }) {
  const tasks = useMemo(() => seen(job), [job.tasks]);
  const [at, setAt] = useState(() => Math.max(0, tasks.findIndex((task) => task.frame >= from)));
  const [playing, setPlaying] = useState(false);
  const [rate, setRate] = useState(24);
  const screen = useRef(null);
  const cache = useRef(new Map());
  const load = (index) => {
    const src = picture(job, tasks[index % tasks.length]);
    let found = cache.current.get(src);
    if (!found) {
      const image = new Image();
      image.src = src;
      found = image.decode().then(() => image, () => null);
      cache.current.set(src, found);
      if (cache.current.size > 4 * AHEAD) cache.current.delete(cache.current.keys().next().value);
    }
    return found;
  };
  const here = tasks.length ? Math.min(at, tasks.length - 1) : 0;
  useEffect(() => {
    if (!tasks.length) return;
    let over = false;
    load(here).then((image) => {
      if (over || !image) return;
      const canvas = screen.current;
      if (canvas.width !== image.naturalWidth || canvas.height !== image.naturalHeight) {
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
      }
      canvas.getContext("2d").drawImage(image, 0, 0);
    });
    return () => {
      over = true;
    };
  }, [here, tasks]);
  useEffect(() => {
    if (!playing || tasks.length < 2) return;
    let over = false;
    let shown = here;
    const next = async () => {
      const began = performance.now();
      for (let ahead = 1; ahead <= AHEAD; ahead += 1) load(shown + ahead);
      await load(shown + 1);
      const rest = 1000 / rate - (performance.now() - began);
      await new Promise((done) => setTimeout(done, Math.max(0, rest)));
      if (over) return;
      shown = (shown + 1) % tasks.length;
      setAt(shown);
      next();
    };
    next();
    return () => {
      over = true;
    };
  }, [playing, rate, tasks.length]);
  if (!tasks.length) return html`<div class="canvas"><${Empty}>${t("No frame is done yet.")}<//></div>`;
  return html`<div class="canvas"><canvas ref=${screen} role="img" aria-label=${t("Frame {frame}", tasks[here])}></canvas></div>
    <div class="row under">
      <button type="button" class="button" data-action="play" aria-pressed=${playing}
        onClick=${() => setPlaying(!playing)}><${Icon} name=${playing ? "pause" : "play"} />
        ${playing ? t("Pause") : t("Play")}</button>
      <input class="grow" type="range" min="0" max=${tasks.length - 1} value=${here} aria-label=${t("Frame")}
        aria-valuetext=${tasks[here].frame} onInput=${(event) => {
        setPlaying(false);
        setAt(Number(event.target.value));
      }} />
      <b class="playing-frame">${tasks[here].frame}</b>
      <label>${t("Frames a second")} <select value=${rate} onChange=${(event) => setRate(Number(event.target.value))}>
        ${RATES.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label>
    </div>`;
}
