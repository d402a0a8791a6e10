// The store of a page that follows a run: asks the server for what is new, and says when it does not answer.

const EVERY = 2000; // milliseconds between questions while the run trains
const CALM = 10000; // and where it does not, or nobody looks
const LONGEST = 8000; // between tries while there is no answer

export async function liveStore() {
  const listeners = new Set();
  let after = "";
  let failures = 0;
  let timer = 0;
  let asking = false;
  const pictures = new Map();
  let traces = new Map();

  const store = {
    live: true,
    lost: false, // whether the server has stopped answering
    why: "", // and what it said last, if it did
    updated: Date.now(), // when it last answered
    runs: [],
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tokens(run, group) {
      if (!traces.has(group)) {
        const asked = reply(`tokens?group=${encodeURIComponent(group)}`).then((found) => found.traces, () => null);
        traces.set(group, asked);
        asked.then((found) => found === null && traces.delete(group)); // it may come later
      }
      return traces.get(group);
    },
    picture(run, sha) {
      if (!pictures.has(sha)) {
        const address = `pictures/${encodeURIComponent(sha)}`;
        const asked = fetch(address).then((found) => (found.ok ? address : null), () => null); // the browser keeps what comes
        pictures.set(sha, asked);
        asked.then((found) => found === null && setTimeout(() => pictures.delete(sha), CALM));
      }
      return pictures.get(sha);
    },
  };

  async function ask() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    try {
      const news = await reply(`data?after=${encodeURIComponent(after)}`);
      const changed = store.lost || news.whole || Object.keys(news.run).length > 0;
      after = news.after;
      failures = 0;
      Object.assign(store, { lost: false, why: "", updated: Date.now() });
      if (news.whole) traces = new Map();
      if (changed) {
        store.runs = [news.whole ? news.run : grown(store.runs[0], news.run)];
        listeners.forEach((listener) => listener());
      }
    } catch (error) {
      failures += 1;
      // Once the run has ended its server may end too: what is shown is all there is.
      const lost = failures > 1 && store.runs[0]?.state === "running";
      if (lost !== store.lost || error.message !== store.why) {
        Object.assign(store, { lost, why: error.message });
        listeners.forEach((listener) => listener());
      }
      if (!store.runs.length) throw error;
    } finally {
      asking = false;
      // After the end of the run and of its server nothing more comes, unless somebody comes back to look.
      const isOver = failures > 3 && store.runs[0]?.state !== "running";
      if (store.runs.length && !isOver) timer = setTimeout(ask, pause());
    }
  }

  function pause() {
    if (failures) return Math.min(LONGEST, EVERY * 2 ** (failures - 1));
    return document.hidden || store.runs[0].state !== "running" ? CALM : EVERY;
  }

  await ask();
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  addEventListener("online", ask);
  return store;
}

// JSON from the server; an Error with its own sentence where it refuses.
async function reply(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new Error(said.error ?? `the server answered ${response.status}`);
}

// The run with what is new: logs grow at their end, all else is replaced. Lists that did not grow stay the same lists.
function grown(run, news) {
  const next = { ...run };
  for (const [key, value] of Object.entries(news)) {
    const grows = Array.isArray(value) && Array.isArray(run[key]);
    if (!grows) next[key] = value;
    else if (key === "left_out" || key === "traced") next[key] = [...new Set([...run[key], ...value])];
    else if (value.length) next[key] = run[key].concat(value);
  }
  return next;
}
