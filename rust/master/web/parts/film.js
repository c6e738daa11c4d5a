// A frame's film as the master decodes it: any pass, with any exposure.

import { ApiError, fetchRaw } from "../api.js";
import { Empty } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { number } from "../format.js";
import { Icon, html, useEffect, useMemo, useRef, useState } from "../html.js";
import { t } from "../language.js";

const COMPOSITE = "Composite";
const MOST_STOPS = 8;
/**
 * Step of requested widths, in pixels, so that windows of similar size request the same picture.
 */
const WIDTH_STEP = 320;
const MOST_WIDTH = 1920;
/** Rest of the slider before the master is asked, in ms. */
const REST_MS = 80;

/**
 * The default choice: the compositor's picture if there is one, otherwise the first layer's, as in
 * the thumbnail.
 */
const beautyOf = (passes) => {
  const pictures = passes.filter((one) => one.pass === "Combined" || one.pass === "");
  return pictures.find((one) => one.layer === COMPOSITE) ?? pictures[0] ?? passes[0];
};

const distinct = (values) => [...new Set(values)];

/**
 * Fetches the picture of a pass, or the master's reason why there is none: {src, error, of, busy}.
 * The last picture stays until the next one is here, so its own `of` is kept with it.
 */
function useFetched(path, of) {
  const [found, setFound] = useState({ path: null });
  const last = useRef(null);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    const ask = async () => {
      try {
        const answer = await fetchRaw(path, stop.signal);
        const src = URL.createObjectURL(await answer.blob());
        URL.revokeObjectURL(last.current);
        last.current = src;
        setFound({ path, of, src });
      } catch (error) {
        if (stop.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        setFound({ path, of, error });
      }
    };
    const later = setTimeout(ask, last.current ? REST_MS : 0);
    return () => {
      clearTimeout(later);
      stop.abort();
    };
  }, [path]);
  useEffect(() => () => URL.revokeObjectURL(last.current), []);
  return { ...found, busy: found.path !== path };
}

export function Film({ job, task }) {
  const frame = `jobs/${job.id}/frames/${task.frame}`;
  const { value: passes, error: unread } = useDetail(`${frame}/passes?${task.film.slice(0, 8)}`, { follow: false });
  const [chosen, setChosen] = useState(null);
  const [exposure, setExposure] = useState(0);
  const box = useRef(null);
  const [width, setWidth] = useState(null);
  useEffect(() => {
    const pixels = box.current.clientWidth * devicePixelRatio;
    setWidth(Math.min(MOST_WIDTH, job.spec.width, Math.ceil(pixels / WIDTH_STEP) * WIDTH_STEP));
  }, []);
  const now = chosen ?? (passes?.length ? beautyOf(passes) : null);
  const query = (pixels) => {
    const asked = new URLSearchParams({ exposure, width: pixels });
    if (chosen) {
      asked.set("layer", chosen.layer);
      asked.set("pass", chosen.pass);
      if (chosen.view != null) asked.set("view", chosen.view);
    }
    return asked;
  };
  const { src, error = unread, of, busy } = useFetched(now && width ? `${frame}/image.jpg?${query(width)}` : null, now);
  const choices = useMemo(() => {
    if (!now) return null;
    const ofLayer = passes.filter((one) => one.layer === now.layer);
    const ofPass = ofLayer.filter((one) => one.pass === now.pass);
    return {
      layers: distinct(passes.map((one) => one.layer)),
      passes: distinct(ofLayer.map((one) => one.pass)),
      views: distinct(ofPass.map((one) => one.view)).filter((view) => view != null),
    };
  }, [passes, now]);
  /** Of the passes that match `wanted`, the one most like the last. */
  const choose = (wanted) => {
    const fits = passes.filter((one) => Object.entries(wanted).every(([key, value]) => one[key] === value));
    const same = fits.filter((one) => one.pass === now.pass);
    setChosen(same.find((one) => one.view === now.view) ?? same[0] ?? fits.find((one) => one.view === now.view) ?? fits[0]);
  };
  const { layer, pass } = now ?? {};
  const list = (key, label, names, within = {}) =>
    names.length > 1
      ? html`<label>${label} <select data-choose=${key} value=${now[key]} onChange=${(event) => choose({ ...within, [key]: event.target.value })}>${names.map(
          (name) => html`<option key=${name} value=${name}>${name || t("Picture")}</option>`,
        )}</select></label>`
      : null;
  const stops = t("{n} stops", { n: `${exposure > 0 ? "+" : ""}${number(exposure, 2)}` });
  return html`<div ref=${box} class="canvas" aria-busy=${busy}>${
      error
        ? html`<div class="empty" role="alert"><p><b>${error.message}</b></p><p>${error.hint}</p></div>`
        : src
          ? html`<img src=${src}
            alt=${t("{pass} of frame {frame}", { pass: of.pass || t("Picture"), frame: task.frame })}
            data-shown=${`${of.layer}/${of.pass}`} />`
          : html`<${Empty}>${t("The master reads the film.")}<//>`
    }</div>
    ${
      now
        ? html`<div class="row under">
          ${list("layer", t("Layer"), choices.layers)}
          ${list("pass", t("Pass"), choices.passes, { layer })}
          ${list("view", t("Eye"), choices.views, { layer, pass })}
          <label class="row grow">${t("Exposure")}
            <input class="grow" data-choose="exposure" type="range" min=${-MOST_STOPS} max=${MOST_STOPS} step="0.25"
              value=${exposure} aria-valuetext=${stops}
              onInput=${(event) => setExposure(Number(event.target.value))} /></label>
          <output>${stops}</output>
          <button type="button" class="button" data-action="exposure-0" disabled=${exposure === 0} onClick=${() => setExposure(0)}>${t("Reset")}</button>
          <a class="button" data-action="png" download=${`${job.id}_${task.frame}_${now.pass}.png`}
            href=${`/api/v1/${frame}/image.png?${query(job.spec.width)}`}><${Icon} name="down" />PNG</a>
        </div>`
        : null
    }`;
}
