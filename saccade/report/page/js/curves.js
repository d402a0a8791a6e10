// A run's metrics.jsonl as curves over optimizer steps of all stages, and what else stands in its lines.

const curvesOfLines = new WeakMap();

// {at: key -> {x, y}, odd: key -> values that are no finite number, stages: [{name, start, end}], moments: [{name, x, line}],
//  probe: line or null, health: [{watch, text, stage, step, x}], last: greatest x}. Worked out once per list of lines.
export function curvesOf(run) {
  if (!curvesOfLines.has(run.metrics)) curvesOfLines.set(run.metrics, readCurves(run.metrics));
  return curvesOfLines.get(run.metrics);
}

function readCurves(lines) {
  const found = { at: new Map(), odd: new Map(), stages: stagesOf(lines), moments: [], probe: null, health: [], last: 0 };
  const again = []; // measurements of an earlier checkpoint, made when all steps were done
  for (const line of lines) {
    const stage = String(line["run/stage"]);
    if (stage === "probe") {
      found.probe = line;
      continue;
    }
    const isStep = Object.hasOwn(line, "run/total_steps");
    const chosen = /^best \((.*)\)$/s.exec(stage);
    const x = isStep ? line["run/total_steps"] : chosen ? checkpointPlace(found.stages, chosen[1]) ?? line["run/step"] : line["run/step"];
    if (!Number.isFinite(x)) continue;
    found.last = Math.max(found.last, x);
    const hasScores = chosen ? again.push({ x, line }) : addLine(found, line, x, stage);
    if (hasScores || !isStep) found.moments.push({ name: isStep ? `${stage}-${line["run/step"]}` : stage, x, line });
  }
  for (const { x, line } of again) insertLine(found.at, line, x);
  return found;
}

// Adds what a line says to what was found; returns whether it measured something held out.
function addLine(found, line, x, stage) {
  let hasScores = false;
  for (const key of Object.keys(line)) {
    const value = line[key];
    if (key.startsWith("run/")) continue;
    if (key.startsWith("eval/")) hasScores = true;
    if (key.startsWith("health/")) {
      found.health.push({ watch: key.slice(7), text: String(value), stage, step: line["run/step"], x });
    } else if (typeof value !== "number" || !Number.isFinite(value)) {
      if (value !== null) found.odd.set(key, (found.odd.get(key) ?? 0) + 1);
    } else {
      if (!found.at.has(key)) found.at.set(key, { x: [], y: [] });
      const curve = found.at.get(key);
      if (curve.x[curve.x.length - 1] === x) curve.y[curve.y.length - 1] = value;
      else curve.x.push(x), curve.y.push(value);
    }
  }
  return hasScores;
}

function insertLine(at, line, x) {
  for (const [key, value] of Object.entries(line)) {
    const curve = at.get(key);
    if (!curve || !Number.isFinite(value)) continue;
    const place = curve.x.findIndex((other) => other >= x);
    if (curve.x[place] !== x) {
      curve.x.splice(place < 0 ? curve.x.length : place, 0, x);
      curve.y.splice(place < 0 ? curve.y.length : place, 0, value);
    }
  }
}

function stagesOf(lines) {
  const stages = new Map();
  for (const line of lines) {
    const [name, total] = [line["run/stage"], line["run/total_steps"]];
    if (!Number.isFinite(total)) continue;
    if (!stages.has(name)) stages.set(name, { name: String(name), start: total - line["run/step"], end: total });
    stages.get(name).end = total;
  }
  return [...stages.values()];
}

// Where on the axis a checkpoint such as "rl-15" lies; null where its stage is not known.
export function checkpointPlace(stages, name) {
  const cut = String(name).lastIndexOf("-");
  const stage = stages.find((one) => one.name === name.slice(0, cut));
  const step = Number(name.slice(cut + 1));
  return stage && Number.isInteger(step) ? stage.start + step : null;
}

// Optimizer steps that the run will have made when it is done; null where that is not written.
export function plannedSteps(run) {
  const steps = run.recipe?.stages?.map((stage) => stage.steps) ?? Object.values(run.summary?.steps ?? {});
  return steps.length && steps.every(Number.isFinite) ? steps.reduce((sum, n) => sum + n, 0) : null;
}
