// Numbers, times and sizes as people read them.

import { formatter, t } from "./language.js";

const NUMBERS = [0, 1, 2].map((maximumFractionDigits) => ({ maximumFractionDigits }));
const PERCENT = { style: "percent" };
const TIME = { hour: "2-digit", minute: "2-digit" };
const DAY_AND_TIME = { day: "numeric", month: "short", ...TIME };
const EXACT = { dateStyle: "medium", timeStyle: "medium" };
const BY_NAME = { numeric: true };

/** Formats with at most two decimals. */
export const number = (n, digits = 0) => formatter(Intl.NumberFormat, NUMBERS[digits]).format(n);

export const percent = (part) => formatter(Intl.NumberFormat, PERCENT).format(part);

/** Compares names as people sort them: node-2 before node-10. */
export const byName = (a, b) => formatter(Intl.Collator, BY_NAME).compare(a.name, b.name);

/** Seconds as `4.2 s`, `3 min 20 s`, `5 h 10 min`, `3 d 4 h`: two units at most. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) return t("{n} s", { n: number(seconds, 1) });
  const s = Math.round(seconds);
  if (s < 60) return t("{n} s", { n: s });
  const pair = (big, bigUnit, small, smallUnit) =>
    small ? `${t(bigUnit, { n: number(big) })} ${t(smallUnit, { n: small })}` : t(bigUnit, { n: number(big) });
  if (s < 3600) return pair(Math.floor(s / 60), "{n} min", s % 60, "{n} s");
  const min = Math.round(s / 60);
  if (min < 1440) return pair(Math.floor(min / 60), "{n} h", min % 60, "{n} min");
  const h = Math.round(min / 60);
  return pair(Math.floor(h / 24), "{n} d", h % 24, "{n} h");
}

export function bytes(n) {
  if (n == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${number(n, n < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** A moment: its time if it is today, otherwise day and time. */
export function moment(ms) {
  const then = new Date(ms);
  const today = then.toDateString() === new Date().toDateString();
  return formatter(Intl.DateTimeFormat, today ? TIME : DAY_AND_TIME).format(then);
}

export const exactMoment = (ms) => formatter(Intl.DateTimeFormat, EXACT).format(new Date(ms));

export const version = (parts) => parts.join(".");

/** Frames as artists write them: [1,2,3,7] is `1-3,7`. */
export function frameList(frames) {
  const runs = [];
  for (const frame of [...frames].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && last[1] === frame - 1) last[1] = frame;
    else runs.push([frame, frame]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/**
 * Parses text like `1-10,15,20-40/5` into those frames that are among `known`; null if the text is
 * no such list.
 */
export function readFrames(text, known) {
  const found = new Set();
  for (const part of text.split(",").map((part) => part.trim()).filter(Boolean)) {
    const match = /^(-?\d+)(?:\s*-\s*(-?\d+))?$/.exec(part);
    if (!match) return null;
    const from = Number(match[1]);
    const to = match[2] === undefined ? from : Number(match[2]);
    for (const frame of known) if (frame >= from && frame <= to) found.add(frame);
  }
  return found;
}

/**
 * Progress of a frame, 0 to 1, from Blender's own words (`Sample 12/64`, `Rendered 3/8 Tiles`);
 * null if they do not tell.
 */
export function fraction(text) {
  const match = /(\d+)\s*\/\s*(\d+)/.exec(text);
  return match && Number(match[2]) > 0 ? Math.min(1, Number(match[1]) / Number(match[2])) : null;
}
