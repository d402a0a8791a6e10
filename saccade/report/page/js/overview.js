import { html } from "./lib.js";
import { Chart } from "./charts.js";

export function Overview({ store, runs, params }) {
  const m = runs[0].metrics.filter((l) => Object.hasOwn(l, "run/total_steps"));
  const s = (key, color) => ({ name: key, x: m.map((l) => l["run/total_steps"]), y: m.map((l) => l[key] ?? null), color });
  const held = runs[0].metrics.filter((l) => Object.hasOwn(l, "eval/val/greedy"));
  const a = { name: "val greedy", x: held.map((l) => l["run/total_steps"] ?? l["run/step"]), y: held.map((l) => l["eval/val/greedy"]), color: "--s2", points: true };
  a.low = a.y.map((y) => y - 0.1); a.high = a.y.map((y) => y + 0.1);
  const p = (title, series, unit, more) => html`<${Chart} title=${title} about="What it says in one line." series=${series} unit=${unit} sync="o" ends=${[0, m.length]} ...${more} />`;
  return html`<section class="card"><h2>Overview</h2><p>${runs[0].groups.length} groups</p></section>
  <div class="charts">
  ${p("Reward", [s("reward/mean", "--s0"), s("reward/accuracy", "--s1")], "", { smoothing: 5, marks: [{ x: 10, label: "rl" }] })}
  ${p("Flat groups", [s("rollout/flat_groups", "--s0")], "share", { smoothing: 5 })}
  ${p("Held-out", [a], "share")}
  ${p("Time", [s("time/sample", "--s0"), s("time/score", "--s1"), s("time/learn", "--s2")], "s", { stack: true })}
  ${p("Sampler gap", [s("policy/sampler_gap_max", "--s0")], "nats")}
  ${p("Nothing", [s("nope", "--s0")], "nats")}
  ${p("Truncated", [s("rollout/truncated", "--s0")], "share")}
  </div>`;
}
