// Runs as the page sees them, whether they are in the file or come from the live server.
// A run is described in saccade/report/run_data.py.

import { unpacked } from "./unpack.js";
import { liveStore } from "./follow.js";

export async function openStore() {
  return document.getElementById("live") ? liveStore() : fileStore();
}

async function fileStore() {
  const elements = [...document.querySelectorAll('script[id^="run-"]')];
  const runs = await Promise.all(elements.map((element) => unpacked(element.textContent)));
  const traces = runs.map(() => null);
  let pictures = null;
  return {
    live: false,
    lost: false,
    runs,
    subscribe: () => () => {},
    async tokens(run, group) {
      const n = runs.indexOf(run);
      const element = document.getElementById(`tokens-${n}`);
      traces[n] ??= element ? unpacked(element.textContent) : Promise.resolve({});
      const found = await traces[n];
      return Object.hasOwn(found, group) ? found[group] : null;
    },
    async picture(run, sha) {
      pictures ??= JSON.parse(document.getElementById("pictures")?.textContent ?? "{}");
      return Object.hasOwn(pictures, sha) ? `data:image/webp;base64,${pictures[sha]}` : null;
    },
  };
}
