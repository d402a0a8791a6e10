// The address of what is shown, kept in the part after #: "#/rollouts?stage=rl&step=4". Every view can be linked to.

import { useEffect, useState } from "./lib.js";

export const VIEWS = ["overview", "rollouts", "evaluation", "data"];

export function parsed(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const view = VIEWS.includes(path) ? path : "overview";
  return { view, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function address(view, params = {}) {
  const known = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(known).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

// Go there. `replace` leaves no step behind for the browser's back button: for filters that change at every key.
export function go(view, params = {}, { replace = false } = {}) {
  const to = address(view, params);
  if (to === location.hash) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute() {
  const [route, setRoute] = useState(() => parsed(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parsed(location.hash));
    addEventListener("hashchange", changed);
    addEventListener("popstate", changed);
    return () => {
      removeEventListener("hashchange", changed);
      removeEventListener("popstate", changed);
    };
  }, []);
  return route;
}
