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

const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;
const SAMPLE = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/;

// The text of Prometheus: name -> [{labels, value}].
export function metricsParse(text) {
  const all = new Map();
  for (const line of text.split('\n')) {
    const match = line[0] === '#' ? null : SAMPLE.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, key, value] of (match[2] || '').matchAll(LABEL))
      labels[key] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    if (!all.has(match[1])) all.set(match[1], []);
    all.get(match[1]).push({labels, value: match[3] === '+Inf' ? Infinity : Number(match[3])});
  }
  return all;
}

// The time below which a share of the requests between two looks were, within its bucket in
// proportion: the buckets double, so this is right to a factor of two at worst.
export function quantile(buckets, share) {
  const total = buckets.length ? buckets[buckets.length - 1].count : 0;
  let below = 0;
  if (total === 0) return NaN;
  for (const {le, count} of buckets) {
    if (count >= share * total && count > below) {
      if (le === Infinity) return buckets[buckets.length - 2].le;
      return le / 2 + le / 2 * (share * total - below) / (count - below);
    }
    below = count;
  }
  return NaN;
}

function bucketsOf(now, before) {
  return [...now.buckets].sort((a, b) => a[0] - b[0])
    .map(([le, count]) => ({le, count: count - (before.buckets.get(le) || 0)}));
}

// Counters of an object at two moments become one sample of rates.
function sampleMake(now, before) {
  const dt = (now.ms - before.ms) / 1000;
  const delta = key => Math.max(0, (now[key] || 0) - (before[key] || 0));
  const requests = delta('reads') + delta('writes');
  const sample = {
    ms: now.ms, reads: delta('reads') / dt, writes: delta('writes') / dt,
    readBytes: delta('readBytes') / dt, writeBytes: delta('writeBytes') / dt,
    mean: requests > 0 ? (delta('readS') + delta('writeS')) / requests : NaN,
  };
  if (now.buckets) {
    const buckets = bucketsOf(now, before);
    sample.p50 = quantile(buckets, 0.5);
    sample.p99 = quantile(buckets, 0.99);
  }
  return sample;
}

function seriesAdd(key, now) {
  const series = state.series.get(key) || {last: null, samples: []};
  const last = series.last;
  state.series.set(key, series);
  // The daemon looks every two seconds: less than half of that is the same look.
  if (last && now.ms - last.ms < 900) return;
  // Counters begin anew with an import.
  const again = last && ['reads', 'writes'].some(k => (now[k] || 0) < (last[k] || 0));
  if (last && !again) series.samples.push(sampleMake(now, last));
  if (series.samples.length > SAMPLES) series.samples.shift();
  series.last = now;
}

const KINDS = ['read', 'write']; // others (flushes, discards) are not drawn

// Puts the samples of a family into their objects' counters, as read + suffix, write + suffix.
function gather(of, metrics, family, suffix) {
  for (const {labels, value} of metrics.get(family) || [])
    if (KINDS.includes(labels.kind)) of(labels)[labels.kind + suffix] = value;
}

function volumesRead(metrics, lookOf) {
  const all = new Map();
  const of = labels => {
    const key = `volume/${labels.pool}/${labels.volume}`;
    if (!all.has(key)) all.set(key, {ms: lookOf(labels.pool)});
    return all.get(key);
  };
  gather(of, metrics, 'quoin_volume_requests_total', 's');
  gather(of, metrics, 'quoin_volume_request_bytes_total', 'Bytes');
  gather(of, metrics, 'quoin_volume_request_seconds_total', 'S');
  return all;
}

function poolsRead(metrics, lookOf) {
  const duration = 'quoin_pool_request_duration_seconds';
  const all = new Map();
  const of = labels => {
    const key = `pool/${labels.pool}`;
    if (!all.has(key)) all.set(key, {ms: lookOf(labels.pool), buckets: new Map()});
    return all.get(key);
  };
  gather(of, metrics, `${duration}_count`, 's');
  gather(of, metrics, `${duration}_sum`, 'S');
  gather(of, metrics, 'quoin_pool_request_bytes_total', 'Bytes');
  for (const {labels, value} of metrics.get(`${duration}_bucket`) || []) {
    const le = labels.le === '+Inf' ? Infinity : Number(labels.le);
    const buckets = of(labels).buckets;
    if (KINDS.includes(labels.kind)) buckets.set(le, (buckets.get(le) || 0) + value);
  }
  return all;
}

export function metricsTake(text, ms) {
  const metrics = metricsParse(text);
  const ages = new Map((metrics.get('quoin_pool_age_seconds') || [])
    .map(({labels, value}) => [labels.pool, value]));
  const lookOf = pool => ms - 1000 * (ages.get(pool) || 0);
  const now = new Map([...poolsRead(metrics, lookOf), ...volumesRead(metrics, lookOf)]);
  for (const [key, counters] of now) seriesAdd(key, counters);
  for (const key of state.series.keys()) if (!now.has(key)) state.series.delete(key);
  state.verbRunning = metrics.get('quoin_verb_running')?.[0]?.value === 1;
}

// --- Questions ------------------------------------------------------------------------------------

async function metricsAsk() {
  const text = await (await ask('GET', 'metrics')).text();
  metricsTake(text, Date.now());
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
  for (const question of [metricsAsk, healthAsk, slowAsk, drivesAsk]) loop(question);
}
