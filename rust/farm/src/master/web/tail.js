// The end of a text that the master has and that may still grow, as a window of it in memory: more at its end when it grows,
// more at its beginning when somebody wants that, never more than so much of it.

import { ApiError, fetchRaw } from "./api.js";

/** So much is asked for at first, and by `earlier`; one answer of the master has no more. */
const PART = 256 * 1024;
/** Most bytes that are kept; from the end that nobody looks at they go. */
const MOST = 4 * PART;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Tail {
  /** Of what `path` answers to `offset=`. */
  constructor(path) {
    this.path = path;
    this.size = 0;
    this.begin();
  }

  /** Forgets all. */
  begin() {
    /** [{at, end, text}], each beginning where the one before it ends. */
    this.parts = [];
    /** Whether what is before the first part can't be had: it is the beginning, or all that the master keeps. */
    this.whole = false;
  }

  get from() {
    return this.parts[0]?.at ?? 0;
  }

  get to() {
    return this.parts.at(-1)?.end ?? 0;
  }

  /** The text; without the line that its beginning is in the middle of. */
  get text() {
    const text = this.parts.map((part) => part.text).join("");
    return this.from > 0 ? text.slice(text.indexOf("\n") + 1) : text;
  }

  async read(offset, signal) {
    const answer = await fetchRaw(`${this.path}offset=${offset}`, signal);
    this.size = Number(answer.headers.get("X-Log-Size"));
    const end = Number(answer.headers.get("X-Log-Next"));
    const text = await answer.text();
    // A master that keeps the end of a text only, answers with its first byte when asked for an earlier one.
    return { at: Math.max(offset, end - encoder.encode(text).length), end, text };
  }

  /** Reads what is new at the end; the first time, the end. */
  async later(signal) {
    try {
      if (!this.parts.length) {
        // How long it is, is told with any part, also with one beyond its end.
        await this.read(Number.MAX_SAFE_INTEGER, signal);
        const part = await this.read(Math.max(0, this.size - PART), signal);
        this.parts = part.text ? [part] : [];
        this.whole = this.from === 0;
        return;
      }
      const part = await this.read(this.to, signal);
      // Shorter than what was read of it: it is another text now.
      if (this.size < this.to || part.at > this.to) {
        this.begin();
        return await this.later(signal);
      }
      if (part.text) this.parts.push(part);
      while (this.to - this.from > MOST) this.parts.shift();
      if (this.from > 0) this.whole = false;
    } catch (error) {
      // Not found: nothing is printed yet.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  async earlier(signal) {
    const part = await this.read(Math.max(0, this.from - PART), signal);
    if (part.at >= this.from) {
      this.whole = true;
      return;
    }
    // No more of it than up to what is there.
    const bytes = encoder.encode(part.text);
    if (part.end > this.from) part.text = decoder.decode(bytes.subarray(0, this.from - part.at));
    part.end = this.from;
    this.parts.unshift(part);
    this.whole = this.from === 0;
    while (this.to - this.from > MOST) this.parts.pop();
  }
}
