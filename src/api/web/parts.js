// SPDX-License-Identifier: Apache-2.0
// What several views are made of.
import {h} from './dom.js';
import {bytes, count as numberOf, duration, latency as latencyOf, leaf, percent, rate, time}
  from './format.js';
import {bar, chart, spark} from './chart.js';
import {state} from './store.js';

export const seriesOf = key => state.series.get(key)?.samples || [];
export const lastOf = key => seriesOf(key).at(-1) || {};
export const poolHref = name => `#/pool/${encodeURIComponent(name)}`;
export const volumeHref = name => `#/volume/${name.split('/').map(encodeURIComponent).join('/')}`;
export const volumesOf = pool => (state.volumes || []).filter(v => v.name.startsWith(`${pool}/`));

const STATE_TONES = {online: 'passed', degraded: 'warning', suspended: 'failing', failed: 'failing',
  missing: 'warning', stale: 'warning', faulted: 'failing', unknown: 'plain'};

export function badge(word, tone) {
  return h('span', {class: `badge ${tone || STATE_TONES[word] || 'plain'}`}, h('i'), word);
}

export function section(title, ...children) {
  return h('section', null, h('h2', null, title), children);
}

export function facts(rows) {
  return h('dl', {class: 'facts'}, rows.filter(Boolean).map(([name, value]) =>
    h('div', null, h('dt', null, name), h('dd', null, value))));
}

// A table that becomes cards on a narrow screen: head: [{text, number}], rows: [[key, cell ...]].
export function table(label, head, rows, empty) {
  if (rows.length === 0) return h('p', {class: 'muted'}, empty);
  return h('div', {class: 'scroll'}, h('table', {'aria-label': label},
    h('thead', null, h('tr', null, head.map(c =>
      h('th', {scope: 'col', class: c.number ? 'n' : null}, c.text)))),
    h('tbody', null, rows.map(([key, ...cells]) => h('tr', {'data-key': key},
      cells.map((cell, i) => h('td', {class: head[i].number ? 'n' : null,
        'data-label': head[i].text}, cell)))))));
}

// --- Problems --------------------------------------------------------------------------------------

export function problems(list) {
  return h('ul', {class: 'problems'}, list.map(p =>
    h('li', {class: p.verdict}, h('div', null, h('b', null, p.object), ' ', p.reason),
      p.advice ? h('div', {class: 'advice'}, p.advice) : null)));
}

// --- Space -----------------------------------------------------------------------------------------

// What of a pool's size is what. What is left over is kept back.
export function spaceParts(pool) {
  const snapshots = Math.min(pool.data_bytes,
    volumesOf(pool.name).reduce((sum, v) => sum + v.snapshots_bytes, 0));
  const parts = [
    {label: 'Volumes', tone: 'data', value: pool.data_bytes - snapshots},
    {label: 'Snapshots alone', tone: 'snap', value: snapshots},
    {label: 'Metadata and log', tone: 'meta', value: pool.allocated_bytes - pool.data_bytes},
    {label: 'Being freed', tone: 'freeing', value: pool.freeing_bytes},
    {label: 'Promised to volumes', tone: 'promised', value: pool.reserved_bytes},
  ];
  const used = parts.reduce((sum, part) => sum + part.value, 0) + pool.available_bytes;
  parts.push({label: 'Kept back', tone: 'reserve', value: Math.max(0, pool.size_bytes - used)});
  parts.push({label: 'Free to guests', tone: 'free', value: pool.available_bytes});
  return parts;
}

export function key(parts) {
  return h('ul', {class: 'key'}, parts.map(p =>
    h('li', {class: p.tone}, h('i'), p.label, ' ', h('b', null, bytes(p.value)))));
}

const titled = parts => parts.map(p => ({...p, title: `${p.label}: ${bytes(p.value)}`}));

export function space(pool) {
  const parts = spaceParts(pool);
  return [bar(pool.size_bytes, titled(parts),
    parts.map(p => `${p.label} ${bytes(p.value)}`).join(', ')),
  key(parts.filter(p => p.value > 0 || p.tone === 'free'))];
}

export const volumeParts = v => [
  {label: 'Volume', tone: 'data', value: Math.max(0, v.used_bytes - v.snapshots_bytes)},
  {label: 'Snapshots alone', tone: 'snap', value: v.snapshots_bytes}];

export function volumeBar(v, small) {
  return bar(Math.max(v.size_bytes, v.used_bytes), titled(volumeParts(v)),
    `${bytes(v.used_bytes)} used of ${bytes(v.size_bytes)}`, small);
}

// --- The drawn layout --------------------------------------------------------------------------------

function smartOf(path) {
  return state.drives.find(d => d.path === path);
}

function driveFacts(drive, smart) {
  const told = [];
  if (smart?.temperature_c != null) told.push(`${smart.temperature_c} °C`);
  if (smart?.used_percent != null) told.push(`${smart.used_percent} % worn`);
  if (smart && ['warning', 'failing'].includes(smart.verdict)) told.push(smart.reason || smart.verdict);
  return told;
}

function errorsOf(drive) {
  const all = [['read', drive.read_errors], ['write', drive.write_errors],
    ['check', drive.check_errors]];
  const bad = all.some(([, number]) => number > 0);
  return h('span', {class: bad ? 'errors bad' : 'errors'},
    bad ? all.map(([word, number]) => `${number} ${word}`).join(' · ') : 'no errors');
}

function driveTile(drive) {
  const smart = drive.path && smartOf(drive.path);
  const tone = smart?.verdict === 'failing' ? 'failing' :
    smart?.verdict === 'warning' && drive.state === 'online' ? 'warning' : STATE_TONES[drive.state];
  const told = driveFacts(drive, smart);
  return h('li', {class: `drive ${tone}`, title: drive.path || drive.guid},
    h('div', {class: 'drive-head'}, h('b', null, drive.path ? leaf(drive.path) : 'never seen'),
      badge(drive.state, tone)),
    h('div', {class: 'drive-line'}, drive.size_bytes ? bytes(drive.size_bytes) : 'size not known',
      told.length ? ` · ${told.join(' · ')}` : ''),
    h('div', {class: 'drive-line'}, errorsOf(drive)));
}

// Pool, groups, drives.
export function layout(pool) {
  const groups = [];
  for (const drive of pool.drives) (groups[drive.group] ||= []).push(drive);
  return h('div', {class: 'layout'},
    h('div', {class: 'node'}, h('b', null, pool.name), ' ',
      h('span', {class: 'muted'}, pool.size_bytes ? bytes(pool.size_bytes) : '')),
    h('ul', {class: 'groups'}, groups.filter(Boolean).map((drives, index) =>
      h('li', {class: 'group'},
        h('div', {class: 'node small'}, drives[0].mirrored ? `mirror ${index}` : `drive ${index}`),
        h('ul', {class: 'drives'}, drives.map(driveTile))))));
}

// --- Charts ------------------------------------------------------------------------------------------

export function charts(key, isPool) {
  const samples = seriesOf(key);
  return h('div', {class: 'charts'},
    chart({id: `${key}:iops`, title: 'IOPS', samples, least: 10, format: numberOf,
      lines: [{key: 'reads', label: 'read', tone: 'one'}, {key: 'writes', label: 'write', tone: 'two'}]}),
    chart({id: `${key}:bytes`, title: 'Throughput', samples, least: 65536, binary: true,
      format: rate,
      lines: [{key: 'readBytes', label: 'read', tone: 'one'},
        {key: 'writeBytes', label: 'write', tone: 'two'}]}),
    chart({id: `${key}:latency`, title: 'Latency', samples, least: 1e-4, format: latencyOf,
      lines: [isPool ? {key: 'p50', label: 'p50', tone: 'one'} : {key: 'mean', label: 'mean', tone: 'one'},
        {key: 'p99', label: 'p99', tone: 'two'}]}));
}


export function iopsSpark(key) {
  const last = lastOf(key);
  const now = (last.reads || 0) + (last.writes || 0);
  return h('span', {class: 'sparked'},
    spark(seriesOf(key), x => x.reads + x.writes, `IOPS, ${numberOf(now)} now`),
    h('span', null, seriesOf(key).length ? numberOf(now) : '–'));
}

// --- Volumes -----------------------------------------------------------------------------------------

export function volumeFlags(v) {
  return [v.paused ? badge('waits for space', 'failing') : null,
    v.deploy ? badge(v.deploy.state, ['failed', 'refused'].includes(v.deploy.state) ? 'failing' :
      v.deploy.state === 'waiting' ? 'warning' : 'plain') : null,
    v.read_only ? badge('read-only', 'plain') : null];
}

// At most so many: a browser has its limits too.
export function volumesTable(all, most, pool) {
  const list = all.slice(0, most);
  const head = [{text: 'Volume'}, {text: 'Size', number: true}, {text: 'Used'},
    {text: 'Snapshots', number: true}, {text: 'IOPS'}, {text: 'Latency', number: true},
    {text: 'Target'}];
  return [table('Volumes', head, list.map(v => [v.name,
    h('span', {class: 'named'}, h('a', {href: volumeHref(v.name)},
      pool ? v.name.slice(pool.length + 1) : v.name), volumeFlags(v)),
    bytes(v.size_bytes),
    h('span', {class: 'barred'}, volumeBar(v, true),
      h('span', null, `${bytes(v.used_bytes)} · ${percent(v.used_bytes, v.size_bytes)}`)),
    String(v.snapshots), iopsSpark(`volume/${v.name}`), latencyOf(lastOf(`volume/${v.name}`).mean),
    v.target || h('span', {class: 'muted'}, 'none')]),
  'There are no volumes yet.'),
  all.length > most ? h('p', {class: 'muted'}, `${all.length - most} more: see quoin volume list.`) :
    null];
}

// --- Jobs --------------------------------------------------------------------------------------------

const JOB_BYTES = 1024 * 1024; // each checkpoint frees some; more is somebody's wish
const most = new Map(); // what a pool had to free, when it was most

function leftOf(key, left) {
  if (left === 0) most.delete(key);
  else most.set(key, Math.max(left, most.get(key) || 0));
  return {done: (most.get(key) || 0) - left, whole: most.get(key) || 0};
}

function deployJob(v) {
  const d = v.deploy;
  const verifying = d.state === 'verifying';
  return {key: `deploy ${v.name}`, what: 'Deploy', object: v.name, state: d.state,
    done: verifying ? d.verified_bytes : d.here_bytes,
    whole: verifying ? d.verify_bytes : d.image_bytes,
    more: d.problem || [d.source, d.rate ? rate(d.rate) : null,
      d.eta_s !== null ? `${duration(d.eta_s)} left` : null].filter(Boolean).join(' · '),
    bad: ['failed', 'refused'].includes(d.state), slow: d.state === 'waiting'};
}

function exportJob(e) {
  return {key: `export ${e.id}`, what: 'Export', object: e.name, state: e.state, done: e.done_bytes,
    whole: e.state === 'done' ? e.done_bytes : e.data_bytes, more: e.problem || `to ${e.to}`,
    bad: e.state === 'failed'};
}

export function jobs(only) {
  const mine = name => !only || name === only || name.startsWith(`${only}/`) ||
    name.startsWith(`${only}@`);
  const list = (state.volumes || []).filter(v => mine(v.name) && v.deploy &&
      !['done', 'none'].includes(v.deploy.state)).map(deployJob)
    .concat(state.exports.filter(e => mine(e.name)).map(exportJob));
  for (const pool of (state.health?.pools || []).filter(p => !only || p.name === only)) {
    for (const [what, bytesLeft] of [['Free', pool.freeing_bytes], ['Trim', pool.discarding_bytes]]) {
      const progress = leftOf(`${what} ${pool.name}`, bytesLeft);
      if (bytesLeft >= JOB_BYTES)
        list.push({key: `${what} ${pool.name}`, what, object: pool.name, state: 'running', ...progress,
          more: what === 'Free' ? `${bytes(bytesLeft)} to free, of what was destroyed or discarded` :
            `${bytes(bytesLeft)} to tell the drives of`});
    }
  }
  return list;
}

export function jobsTable(only) {
  const list = jobs(only);
  if (list.length === 0) return null;
  return section('Jobs', h('ul', {class: 'jobs'}, list.map(j =>
    h('li', {'data-key': j.key},
      h('div', {class: 'job-head'}, h('b', null, j.what), ' ', h('span', null, j.object), ' ',
        badge(j.state, j.bad ? 'failing' : j.slow ? 'warning' : j.state === 'done' ? 'passed' : 'plain'),
        h('span', {class: 'grow'}),
        j.whole > 0 ? h('span', null, `${bytes(j.done)} of ${bytes(j.whole)} · `,
          h('b', null, percent(j.done, j.whole))) : null),
      bar(j.whole, [{label: 'done', tone: j.bad ? 'wrong' : 'data', value: j.done}],
        `${j.what} of ${j.object}: ${percent(j.done, j.whole)}`, true),
      h('div', {class: 'muted'}, j.more)))));
}

// --- Events ------------------------------------------------------------------------------------------

const SEVERITY_TONES = {notice: 'plain', warning: 'warning', error: 'failing'};

export function eventList(list) {
  return h('ol', {class: 'events'}, list.map(e => h('li', {'data-key': e.number},
    h('time', {datetime: new Date(e.time_ms).toISOString()}, time(e.time_ms)),
    badge(e.severity, SEVERITY_TONES[e.severity]),
    h('div', null, h('div', null, h('b', null, e.object), ' ', e.text,
      e.count > 1 ? h('span', {class: 'muted'}, ` × ${e.count}`) : null,
      h('code', {class: 'type'}, e.type)),
    e.advice ? h('div', {class: 'advice'}, e.advice) : null))));
}
