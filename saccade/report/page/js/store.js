// Runs as the page sees them, whether they are in the file or come from the live server.
// A run is described in saccade/report/run_data.py.

import { unpacked } from "./unpack.js";

export async function openStore() {
  return document.getElementById("live") ? liveStore() : fileStore();
}

async function fileStore() {
  const elements = [...document.querySelectorAll('script[id^="run-"]')];
  const runs = await Promise.all(elements.map((element) => unpacked(element.textContent)));
  const traces = runs.map(() => null);
  let pictures = null;
  const urls = new Map();
  return {
    live: false,
    runs,
    subscribe: () => () => {},
    async tokens(run, group) {
      const n = runs.indexOf(run);
      const element = document.getElementById(`tokens-${n}`);
      traces[n] ??= element ? unpacked(element.textContent) : Promise.resolve({});
      return (await traces[n])[group] ?? null;
    },
    async picture(run, sha) {
      pictures ??= JSON.parse(document.getElementById("pictures")?.textContent ?? "{}");
      if (!Object.hasOwn(pictures, sha)) return null;
      if (!urls.has(sha)) urls.set(sha, `data:image/webp;base64,${pictures[sha]}`);
      return urls.get(sha);
    },
  };
}

async function liveStore() {
  const asked = async (address) => {
    const reply = await fetch(address);
    if (!reply.ok) throw new Error(`${address}: ${reply.status}`);
    return reply.json();
  };
  let { after, run } = await asked("data");
  const listeners = new Set();
  const store = {
    live: true,
    lost: false, // whether the server has stopped answering
    runs: [run],
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tokens: async (_, group) => (await asked(`tokens?group=${encodeURIComponent(group)}`)).traces,
    picture: async (_, sha) => `pictures/${sha}`,
  };
  const poll = async () => {
    try {
      const news = await asked(`data?after=${encodeURIComponent(after)}`);
      if (news.after !== after || store.lost) {
        after = news.after;
        store.lost = false;
        store.runs = [news.whole ? news.run : grown(store.runs[0], news.run)];
        listeners.forEach((listener) => listener());
      }
    } catch {
      if (!store.lost) {
        store.lost = true;
        listeners.forEach((listener) => listener());
      }
    }
    setTimeout(poll, document.hidden ? 10000 : 2000);
  };
  setTimeout(poll, 2000);
  return store;
}

// The run with what is new: lists grow at their end, all else is replaced.
function grown(run, news) {
  const next = { ...run };
  for (const [key, value] of Object.entries(news)) {
    next[key] = Array.isArray(value) && Array.isArray(run[key]) ? [...run[key], ...value] : value;
  }
  return next;
}
