// Keys that act on the whole page. Not while somebody types into a field, nor with a modifier, nor behind an open dialog.

import { useEffect } from "./lib.js";

// `actions` maps a key, as KeyboardEvent.key names it, to what it does.
export function useKeys(actions) {
  useEffect(() => {
    const pressed = (event) => {
      const types = event.target.closest?.("input, select, textarea, [contenteditable]");
      if (event.ctrlKey || event.metaKey || event.altKey || (types && event.key !== "Escape")) return;
      if (!["Escape", "?"].includes(event.key) && document.querySelector("dialog[open]")) return;
      const action = Object.hasOwn(actions, event.key) && actions[event.key];
      if (!action) return;
      event.preventDefault();
      action(event);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });
}
