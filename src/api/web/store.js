// SPDX-License-Identifier: Apache-2.0
// What the daemon said last. It is asked again and again, each question on its own: one that hangs
// (behind a long verb) keeps nothing else from being new. Only reading requests are sent.

const TOKEN_KEY = 'quoin-token';
const TIMEOUT_MS = 20000;
const QUICK_MS = 2000; // the daemon looks at its pools as often
const SLOW_MS = 5000;
const DRIVES_MS = 15000;
const LARGE_BYTES = 512 * 1024; // so much text is asked for more seldom
export const SAMPLES = 150;
const EVENTS_MAX = 1000;

export const state = {
  health: null, daemon: null, volumes: null, exports: [], drives: [], targets: [],
  events: [], newest: 0, eventsRead: false,
  series: new Map(), // 'pool/tank', 'volume/tank/vm1' -> {last, samples}
  verbRunning: false,
  snapshots: new Map(), // volume -> {list, more, problem}
  locked: false, // a token is wanted
  refused: false, // the last one was wrong
  answeredMs: 0, problem: null,
};

export function tokenSet(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
  state.locked = false;
  state.refused = false;
}

export function tokenForget() {
  sessionStorage.removeItem(TOKEN_KEY);
  state.locked = true;
  state.refused = false;
}

export const tokenIsUsed = () => sessionStorage.getItem(TOKEN_KEY) !== null;

// Several questions may have been under way with the same token; of those with an older one
// nothing is to be learnt.
function unauthorized(token) {
  if (token === sessionStorage.getItem(TOKEN_KEY)) {
    state.refused ||= token !== null;
    state.locked = true;
    sessionStorage.removeItem(TOKEN_KEY);
  }
  return Object.assign(new Error('a token is wanted'), {status: 401});
}

async function ask(method, path, body) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token ? {Authorization: `Bearer ${token}`} : {};
  if (body) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, {
    method, headers, body: body && JSON.stringify(body), cache: 'no-store', redirect: 'error',
    credentials: 'omit', signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 401) throw unauthorized(token);
  state.answeredMs = Date.now();
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  throw Object.assign(new Error(said?.error?.message || `HTTP status ${answer.status}`),
                      {status: answer.status});
}

const get = async path => (await ask('GET', path)).json();
const post = async (path, body) => (await ask('POST', path, body)).json();

// --- Numbers over time ---------------------------------------------------------------------------

// How many requests a bucket had between two looks: its counters wrap. Bucket i has those below 2^i
// microseconds, the last one all that are slower.
const grown = (now, before) => now.map((count, i) => (count - (before[i] || 0)) >>> 0);

// The time in seconds below which a share of them were, within its bucket in proportion: the buckets
// double, so this is right to a factor of two at worst.
export function quantile(counts, share) {
  const total = counts.reduce((all, count) => all + count, 0);
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      const part = i === counts.length - 1 ? 0 : (share * total - below) / count;
      return 2 ** i * (1 + part) / 2e6;
    }
    below += count;
  }
  return NaN;
}

// Counters of an object at two moments become one sample of rates.
function sampleMake(now, before) {
  const dt = (now.ms - before.ms) / 1000;
  const delta = key => Math.max(0, now[key] - before[key]);
  const requests = delta('reads') + delta('writes');
  const latency = grown(now.latency, before.latency);
  return {
    ms: now.ms, reads: delta('reads') / dt, writes: delta('writes') / dt,
    readBytes: delta('readBytes') / dt, writeBytes: delta('writeBytes') / dt,
    mean: requests > 0 ? (delta('readS') + delta('writeS')) / requests : NaN,
    p50: quantile(latency, 0.5), p99: quantile(latency, 0.99),
  };
}

function seriesAdd(key, now) {
  const series = state.series.get(key) || {last: null, samples: []};
  const last = series.last;
  state.series.set(key, series);
  // The daemon looks every two seconds: less than half of that is the same look.
  if (last && now.ms - last.ms < 900) return;
  // Counters begin anew with an import.
  const again = last && ['reads', 'writes'].some(k => now[k] < last[k]);
  if (last && !again) series.samples.push(sampleMake(now, last));
  if (series.samples.length > SAMPLES) series.samples.shift();
  series.last = now;
}

// Of a volume that had no request since the import.
const NOTHING = {
  reads: {requests: 0, bytes: 0, ns: 0}, writes: {requests: 0, bytes: 0, ns: 0}, latency: [],
};

// Others than reads and writes (flushes, discards) are in the latency of volumes alone.
function countersOf({io}, ms) {
  io = io || NOTHING;
  return {
    ms, reads: io.reads.requests, writes: io.writes.requests,
    readBytes: io.reads.bytes, writeBytes: io.writes.bytes,
    readS: io.reads.ns / 1e9, writeS: io.writes.ns / 1e9, latency: io.latency,
  };
}

// GET /v1/top: counters of pools and volumes, with the age of the daemon's look at each.
export function topTake(top, ms) {
  const now = new Set();
  for (const [kind, list] of [['pool', top.pools], ['volume', top.volumes]]) {
    for (const object of list) {
      if (object.age_ms === null) continue; // it is not imported
      now.add(`${kind}/${object.name}`);
      seriesAdd(`${kind}/${object.name}`, countersOf(object, ms - object.age_ms));
    }
  }
  for (const key of state.series.keys()) if (!now.has(key)) state.series.delete(key);
  state.verbRunning = top.daemon.verb_running;
}

// --- Questions ------------------------------------------------------------------------------------

async function topAsk() {
  const text = await (await ask('GET', 'v1/top')).text();
  topTake(JSON.parse(text), Date.now());
  return text.length > LARGE_BYTES ? 5 * QUICK_MS : QUICK_MS;
}

async function eventsAsk() {
  const newest = state.health.events.newest;
  if (newest === state.newest && state.eventsRead) return;
  let since = state.eventsRead ? state.newest : Math.max(0, newest - EVENTS_MAX);
  for (;;) {
    const page = await post('v1/events/list', {since});
    state.events.push(...page.events);
    if (page.events.length === 0) break;
    since = page.events[page.events.length - 1].number;
  }
  state.events.splice(0, Math.max(0, state.events.length - EVENTS_MAX));
  state.newest = Math.max(newest, since);
  state.eventsRead = true;
}

async function healthAsk() {
  state.health = await get('v1/health');
  await eventsAsk();
  return QUICK_MS;
}

async function slowAsk() {
  state.daemon = await get('v1');
  state.volumes = (await get('v1/volumes')).volumes;
  state.exports = (await get('v1/exports')).exports;
  state.targets = (await get('v1/targets')).targets;
  return SLOW_MS;
}

async function drivesAsk() {
  state.drives = (await get('v1/drives')).drives;
  return DRIVES_MS;
}

// The newest come last in the daemon's pages, so all of them are read, within reason.
export async function snapshotsAsk(volume) {
  const found = {list: [], more: false, problem: null};
  let cursor;
  try {
    do {
      const page = await post('v1/snapshots/list', cursor === undefined ?
        {name: volume} : {name: volume, cursor});
      found.list.push(...page.snapshots);
      cursor = page.next;
    } while (cursor !== null && found.list.length < 2000);
    found.more = cursor !== null;
  } catch (error) {
    found.problem = error.message;
  }
  state.snapshots.set(volume, found);
}

// Calls `changed` whenever something is new.
export function start(changed) {
  const loop = async question => {
    let wait = SLOW_MS;
    try {
      if (!state.locked) wait = await question();
      if (!state.locked) state.problem = null;
    } catch (error) {
      if (!state.locked && !(error.status >= 400 && error.status < 500)) state.problem = error.message;
    }
    changed();
    setTimeout(loop, state.locked ? 300 : wait, question);
  };
  for (const question of [topAsk, healthAsk, slowAsk, drivesAsk]) loop(question);
}
