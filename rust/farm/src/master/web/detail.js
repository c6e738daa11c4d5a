// One thing of the farm in more detail than the lists have: fetched, and fetched again when the farm changed.

import { ApiError, get } from "./api.js";
import { useEffect, useState } from "./html.js";
import { paced, revision, tellings } from "./live.js";

/** What `path` answers, as {value, error, ask}; asked again on changes while `follow` is true, at most every `rest` ms. */
export function useDetail(path, { follow = true, rest = 700 } = {}) {
  const [found, setFound] = useState({ path });
  const [ask, setAsk] = useState(null);
  useEffect(() => {
    if (path === null) return;
    let over = false;
    const fetchIt = paced(async () => {
      if (over) return;
      try {
        const value = await get(path);
        if (!over) setFound({ path, value });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        // Gone for a moment is not gone: what was there stays until the master says otherwise.
        if (!over) setFound((old) => (error.status !== 0 && error.status < 500 ? { path, error } : old.path === path ? old : { path }));
      }
    }, rest);
    fetchIt();
    setAsk(() => fetchIt);
    return () => {
      over = true;
    };
  }, [path, rest]);
  const seen = follow ? revision.value : 0;
  const told = tellings.value;
  useEffect(() => {
    if (ask && told) ask();
  }, [seen, told]);
  const here = found.path === path ? found : {};
  return { value: here.value, error: here.error, ask };
}
