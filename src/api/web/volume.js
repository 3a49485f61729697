// SPDX-License-Identifier: Apache-2.0
// One volume: its space, load and snapshots.
import {h} from './dom.js';
import {bytes, percent, plural, time} from './format.js';
import {bar} from './chart.js';
import {charts, facts, jobsTable, key, poolHref, section, table, volumeBar, volumeFlags, volumeParts}
  from './parts.js';
import {snapshotsAsk, state} from './store.js';

const asked = new Map(); // volume -> how many snapshots it had when its list was asked for

// Again when there are more or fewer of them.
function snapshotsNeed(v, draw) {
  if (asked.get(v.name) === v.snapshots) return;
  asked.set(v.name, v.snapshots);
  if (v.snapshots === 0) state.snapshots.delete(v.name);
  else snapshotsAsk(v.name).then(draw);
}

function snapshotRow(snapshot, most) {
  const numbers = snapshot.counted;
  return [snapshot.name, h('b', null, snapshot.name.slice(snapshot.name.indexOf('@'))),
    time(1000 * snapshot.created_s),
    numbers ? bytes(snapshot.referenced_bytes) : '–',
    numbers ? h('span', {class: 'barred'}, bar(most,
      [{label: 'Only here', tone: 'snap', value: snapshot.unique_bytes}],
      `${bytes(snapshot.unique_bytes)} only here`, true), h('span', null, bytes(snapshot.unique_bytes))) :
      h('span', {class: 'muted'}, 'after the next checkpoint'),
    numbers ? bytes(snapshot.written_bytes) : '–',
    [snapshot.holds.length ? `held: ${snapshot.holds.join(', ')}` : '',
      snapshot.clones ? ` ${plural(snapshot.clones, 'clone')}` : '']];
}

function snapshots(v) {
  const found = state.snapshots.get(v.name);
  const head = [{text: 'Snapshot'}, {text: 'Made'}, {text: 'Refers to', number: true},
    {text: 'Only here'}, {text: 'Written since the one before', number: true}, {text: 'Kept by'}];
  if (v.snapshots === 0)
    return h('p', {class: 'muted'}, 'None. ', h('code', null, `quoin volume snapshot ${v.name}@before`),
      ' makes one; it costs nothing until something is written.');
  if (!found) return h('p', {class: 'muted'}, 'Asking …');
  if (found.problem) return h('p', null, found.problem);
  const most = Math.max(1, ...found.list.map(x => x.unique_bytes));
  return [table('Snapshots', head, [...found.list].reverse().map(x => snapshotRow(x, most)), 'None.'),
    found.more ? h('p', {class: 'muted'}, 'There are more: see quoin snapshot list.') : null];
}

const limit = value => (value ? bytes(value) : 'none');

function details(v) {
  return facts([
    ['Size', bytes(v.size_bytes)],
    ['Refers to', bytes(v.referenced_bytes)],
    ['Of that its own', bytes(v.unique_bytes)],
    ['Snapshots alone', bytes(v.snapshots_bytes)],
    ['Since the checkpoint', bytes(v.pending_bytes)],
    ['Can still have', bytes(v.available_bytes)],
    ['Quota', `${limit(v.quota_bytes)}, without snapshots ${limit(v.refquota_bytes)}`],
    ['Reservation', `${limit(v.reservation_bytes)}, without snapshots ${limit(v.refreservation_bytes)}`],
    ['When there is no space', v.full === 'pause' ? 'writes wait' : 'writes fail'],
    ['Target', v.target || 'none'],
    v.origin ? ['Clone of', v.origin] : null,
    ['Made', time(1000 * v.created_s)],
  ]);
}

export function volume(name, draw) {
  const v = (state.volumes || []).find(x => x.name === name);
  const pool = name.split('/')[0];
  const head = h('p', {class: 'path'}, h('a', {href: poolHref(pool)}, pool), ' /');
  if (!state.volumes) return [head, h('p', {class: 'muted'}, 'Asking …')];
  if (!v) return [head, h('h1', null, name), h('p', null, 'There is no such volume.')];
  snapshotsNeed(v, draw);
  return [head,
    h('div', {class: 'title'}, h('h1', null, name.slice(pool.length + 1)), volumeFlags(v)),
    section('Space', volumeBar(v), key(volumeParts(v)), h('p', null,
      h('b', null, bytes(v.used_bytes)), ' used, ',
      `${percent(v.used_bytes, v.size_bytes)} of its size, snapshots included`)),
    section('Load', charts(`volume/${name}`, false)),
    jobsTable(name),
    section('Snapshots', snapshots(v)),
    section('Details', details(v))];
}
