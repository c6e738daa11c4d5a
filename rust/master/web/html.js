// The tools that every module draws with: htm's templates over Preact, signals, and the few icons.

import { h, render, Fragment } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
import { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "./vendor/signals.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export {
  Fragment, batch, computed, effect, render, signal,
  useComputed, useEffect, useLayoutEffect, useMemo, useRef, useSignal, useSignalEffect, useState,
};

const strokes = {
  pause: "M6 4v8M10 4v8",
  play: "M5 3.5v9L12 8z",
  stop: "M4.5 4.5h7v7h-7z",
  again: "M12.5 8a4.5 4.5 0 1 1-1.3-3.2L13 6.5M13 3v3.5H9.5",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5",
  down: "M8 2.5V10M4.8 7 8 10.2 11.2 7M3 13.2h10",
  left: "M10 3 5 8l5 5",
  right: "m6 3 5 5-5 5",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11M8 5h3.6M8 8h5.5M8 11h3.6",
  grip: "M6 4h.01M10 4h.01M6 8h.01M10 8h.01M6 12h.01M10 12h.01",
  close: "m4 4 8 8M12 4l-8 8",
  drain: "M3 4h10M5 8h6M7 12h2",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${strokes[name]} /></svg>`;
}
