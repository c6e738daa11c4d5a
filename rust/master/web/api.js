// The master's HTTP interface. Every error has a sentence for people.

import { t } from "./language.js";

export class ApiError extends Error {
  constructor(status, { code, message, hint }) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

async function call(method, path, body, headers = {}, signal = undefined) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  if (body !== undefined) headers = { ...headers, "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, headers: { Accept: "application/json", ...headers }, ...sent, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0,
      { code: "unreachable", message: t("The master can't be reached."),
        hint: t("It may be starting again; this page goes on when it is back.") });
  }
  if (answer.ok) return answer;
  const told = await answer.json().then((json) => json.error, () => undefined);
  throw new ApiError(answer.status, told ?? { code: "odd", message: t("The master answered {status}.", { status: answer.status }), hint: "" });
}

const v1 = (path) => `/api/v1/${path}`;

export const get = async (path) => (await call("GET", v1(path))).json();
/** Returns the response itself, for its text and its headers. */
export const fetchRaw = (path, signal) => call("GET", v1(path), undefined, {}, signal);
export const post = (path, body) => call("POST", v1(path), body);
export const put = (path, body, headers) => call("PUT", v1(path), body, headers);
export const patch = (path, body, headers) => call("PATCH", v1(path), body, headers);
export const remove = (path) => call("DELETE", v1(path));

/** Plain URLs of a frame's files. */
export const thumb = (job, frame) => `/thumb_${job}_${frame}.jpg`;
export const film = (job, frame) => `/render_${job}_${frame}.exr`;
export const log = (job, frame) => `/log_${job}_${frame}.log`;

/** URL of a file that a File Output node wrote, by its place in the frame's list. */
export const output = (job, frame, at) => v1(`jobs/${job}/frames/${frame}/outputs/${at}`);

/**
 * URLs for some of a job's frames, as a list like `1-10,15`: all in one zip, or a list of URLs.
 * `what`: exr, jpg or all.
 */
export const archive = (job, frames, what) => `/result_${job}.zip?${new URLSearchParams({ frames, what })}`;
export const addresses = (job, frames, what) => `/api/v1/jobs/${job}/urls.txt?${new URLSearchParams({ frames, what })}`;
