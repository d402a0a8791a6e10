// Keys that act on the whole page. Not while somebody types into a field, nor with a modifier.

import { useEffect } from "./lib.js";

// `actions` maps a key, as KeyboardEvent.key names it, to what it does.
export function useKeys(actions) {
  useEffect(() => {
    const pressed = (event) => {
      const types = event.target.closest?.("input, select, textarea, [contenteditable]");
      if (event.ctrlKey || event.metaKey || event.altKey || (types && event.key !== "Escape")) return;
      const action = actions[event.key];
      if (!action) return;
      event.preventDefault();
      action(event);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });
}
