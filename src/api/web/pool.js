// SPDX-License-Identifier: Apache-2.0
// One pool: its layout, space, load, volumes and jobs.
import {h} from './dom.js';
import {ago, bytes, duration, latency, plural, time} from './format.js';
import {badge, charts, eventList, facts, jobsTable, layout, problems, section, space, volumesOf,
  volumesTable} from './parts.js';
import {state} from './store.js';

const RECENT = 8;
const VOLUMES = 300;

const isOf = (name, object) => object === name || object.startsWith(`${name}/`) ||
  object.startsWith(`${name}:`);

function worst(pool) {
  const w = pool.worst_of_the_hour;
  if (!w) return 'none';
  const when = w.minutes_ago ? `${plural(w.minutes_ago, 'minute')} ago` : 'just now';
  return `${latency(w.ns / 1e9)}, a ${w.kind} ${when}` +
    (w.during_checkpoint ? ', during a checkpoint' : '');
}

function details(pool) {
  const errors = pool.read_errors + pool.write_errors + pool.check_errors;
  return facts([
    ['Last checkpoint', pool.checkpoint_s ? ago(1000 * pool.checkpoint_s) : '–'],
    ['In the log since', bytes(pool.pending_bytes)],
    ['Slowest of the hour', worst(pool)],
    ['Kept back', `${pool.reserve_permille / 10} %`],
    ['Trim', pool.autotrim ? `on, ${bytes(pool.discarded_bytes)} told` : 'off'],
    ['Saved by sharing', bytes(pool.shared_bytes)],
    ['Errors of drives', errors ? `${pool.read_errors} read, ${pool.write_errors} write, ` +
      `${pool.check_errors} check; ${pool.healed} healed` : 'none'],
    pool.bad_blocks ? ['Unreadable blocks', String(pool.bad_blocks)] : null,
    pool.refused_writes ? ['Writes refused', String(pool.refused_writes)] : null,
    pool.full_in_s !== null ? ['Full in', duration(pool.full_in_s)] : null,
    ['Memory', bytes(pool.memory_bytes)],
    ['Made', time(1000 * pool.created_s)],
  ]);
}

export function pool(name) {
  const found = state.health.pools.find(p => p.name === name);
  if (!found) return [h('h1', null, name), h('p', null, 'There is no such pool here.')];
  const failed = found.health === 'failed';
  const wrong = state.health.problems.filter(p => isOf(name, p.object));
  const happened = state.events.filter(e => isOf(name, e.object)).slice(-RECENT).reverse();
  return [
    h('div', {class: 'title'}, h('h1', null, name), badge(found.health),
      found.read_only ? badge('read-only', 'plain') : null,
      found.full ? badge('full', 'failing') : found.near_full ? badge('nearly full', 'warning') : null,
      found.collector ? badge(found.collector, 'warning') : null),
    wrong.length ? h('section', {class: `banner ${found.verdict}`}, problems(wrong)) : null,
    section('Layout', layout(found)),
    failed ? null : [
      section('Space', space(found)),
      section('Load', charts(`pool/${name}`, true)),
      section('Volumes', state.volumes ? volumesTable(volumesOf(name), VOLUMES, name) :
        h('p', {class: 'muted'}, 'Asking …')),
      jobsTable(name),
      section('Details', details(found))],
    happened.length ? section('Events', eventList(happened)) : null];
}
