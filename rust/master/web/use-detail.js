// A hook that fetches more detail of one object than the lists have, and again when the farm
// changes.

import { ApiError, get } from "./api.js";
import { useEffect, useState } from "./html.js";
import { paced, revision, tellings } from "./farm-feed.js";

/**
 * Fetches `path`. Returns {value, error, ask}. Fetches again on changes while `follow` is true, at
 * most once in `rest` ms.
 */
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
        // A failed request does not mean that the object is gone: the last value stays until the
        // master says otherwise.
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
