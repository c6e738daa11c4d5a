// A window in memory on a text that the master has and that may still grow. It is extended at its
// end as the text grows, and at its beginning on request, up to a maximum size.

import { ApiError, fetchRaw } from "./api.js";

/** Bytes requested at first and by `earlier`; one response of the master has no more. */
const PART = 256 * 1024;
/** Maximum of bytes kept; the end that nobody looks at is dropped. */
const MOST = 4 * PART;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Tail {
  /** `path` answers to `offset=`. */
  constructor(path) {
    this.path = path;
    this.size = 0;
    this.begin();
  }

  /** Drops everything. */
  begin() {
    /** Parts [{at, end, text}], each beginning where the previous one ends. */
    this.parts = [];
    /**
     * True if nothing before the first part can be fetched: it is the beginning, or the oldest that
     * the master keeps.
     */
    this.whole = false;
  }

  get from() {
    return this.parts[0]?.at ?? 0;
  }

  get to() {
    return this.parts.at(-1)?.end ?? 0;
  }

  /** The text, without a partial line at its beginning. */
  get text() {
    const text = this.parts.map((part) => part.text).join("");
    return this.from > 0 ? text.slice(text.indexOf("\n") + 1) : text;
  }

  async read(offset, signal) {
    const answer = await fetchRaw(`${this.path}offset=${offset}`, signal);
    this.size = Number(answer.headers.get("X-Log-Size"));
    const end = Number(answer.headers.get("X-Log-Next"));
    const text = await answer.text();
    // A master that keeps only the end of a text answers with its first byte when an earlier one is
    // asked for.
    return { at: Math.max(offset, end - encoder.encode(text).length), end, text };
  }

  /** Fetches what is new at the end; the first time, the end. */
  async later(signal) {
    try {
      if (!this.parts.length) {
        // Every response tells the length, also one beyond the end.
        await this.read(Number.MAX_SAFE_INTEGER, signal);
        const part = await this.read(Math.max(0, this.size - PART), signal);
        this.parts = part.text ? [part] : [];
        this.whole = this.from === 0;
        return;
      }
      const part = await this.read(this.to, signal);
      // Shorter than what was read before: it is another text now.
      if (this.size < this.to || part.at > this.to) {
        this.begin();
        return await this.later(signal);
      }
      if (part.text) this.parts.push(part);
      while (this.to - this.from > MOST) this.parts.shift();
      if (this.from > 0) this.whole = false;
    } catch (error) {
      // Not found: nothing was printed yet.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  async earlier(signal) {
    const part = await this.read(Math.max(0, this.from - PART), signal);
    if (part.at >= this.from) {
      this.whole = true;
      return;
    }
    // Only up to the first byte that is here already.
    const bytes = encoder.encode(part.text);
    if (part.end > this.from) part.text = decoder.decode(bytes.subarray(0, this.from - part.at));
    part.end = this.from;
    this.parts.unshift(part);
    this.whole = this.from === 0;
    while (this.to - this.from > MOST) this.parts.pop();
  }
}
