// SPDX-License-Identifier: Apache-2.0
// The first view: how everything is, and each pool at a glance.
import {h} from './dom.js';
import {bytes, count, duration, latency, percent, plural, rate} from './format.js';
import {badge, eventList, iopsSpark, jobsTable, lastOf, layout, poolHref, problems, section, space,
  table, volumesTable} from './parts.js';
import {state} from './store.js';

const RECENT = 8;
const VOLUMES = 25;

function banner(health) {
  const number = health.problems.length;
  if (number === 0) return null;
  return h('section', {class: `banner ${health.verdict}`},
    h('h2', null, health.verdict === 'failing' ? 'Failing: ' : 'Needs attention: ',
      plural(number, 'problem')),
    problems(health.problems));
}

function figure(label, value, more) {
  return h('div', {class: 'figure'}, h('dt', null, label), h('dd', null, value,
    more ? h('small', null, more) : null));
}

function figures(pools) {
  const sum = of => pools.reduce((all, pool) => all + (of(pool) || 0), 0);
  const last = key => sum(pool => lastOf(`pool/${pool.name}`)[key]);
  const worst = Math.max(...pools.map(p => lastOf(`pool/${p.name}`).p99).filter(Number.isFinite));
  const size = sum(p => p.size_bytes);
  const used = sum(p => p.allocated_bytes);
  return h('dl', {class: 'figures'},
    figure('Used', percent(used, size), `${bytes(used)} of ${bytes(size)}`),
    figure('Free to guests', bytes(sum(p => p.available_bytes)),
      `${plural(sum(p => p.volumes), 'volume')}, ${plural(sum(p => p.snapshots), 'snapshot')}`),
    figure('Reads', count(last('reads')), `IOPS · ${rate(last('readBytes'))}`),
    figure('Writes', count(last('writes')), `IOPS · ${rate(last('writeBytes'))}`),
    figure('Latency p99', latency(worst), 'of the last seconds'));
}

function fullSoon(pool) {
  return pool.full_in_s !== null ? h('span', {class: 'muted'},
    `full in ${duration(pool.full_in_s)} at this rate`) : null;
}

function card(pool) {
  const last = lastOf(`pool/${pool.name}`);
  const failed = pool.health === 'failed';
  return h('article', {class: 'card', 'data-key': pool.name},
    h('header', null, h('h3', null, h('a', {href: poolHref(pool.name)}, pool.name)),
      badge(pool.health), pool.full ? badge('full', 'failing') :
        pool.near_full ? badge('nearly full', 'warning') : null, fullSoon(pool),
      h('span', {class: 'grow'}),
      failed ? null : h('span', {class: 'muted'}, `p50 ${latency(last.p50)} · p99 ${latency(last.p99)}`),
      failed ? null : iopsSpark(`pool/${pool.name}`)),
    failed ? h('p', null, pool.problem) : space(pool),
    layout(pool));
}

function first() {
  const commands = [
    ['Make a pool of your drives. Two drives after "mirror" hold the same.',
      'quoin pool create tank mirror /dev/nvme0n1 /dev/nvme1n1'],
    ['Make a volume in it. It takes space as it is written.', 'quoin volume create tank/vm1 --size 20G'],
    ['Let a virtual machine have it, as an NVMe disk.', 'quoin target create vm1 tank/vm1'],
  ];
  return h('section', {class: 'first'}, h('h2', null, 'No pool yet'),
    h('p', null, 'Quoin keeps volumes in pools of drives. On the host, as the user that runs the daemon:'),
    h('ol', null, commands.map(([text, command]) =>
      h('li', null, text, h('pre', null, h('code', null, command))))),
    h('p', {class: 'muted'}, 'Drives that hold a pool already are looked for by ',
      h('code', null, 'quoin pool import'), '.'));
}

function targets() {
  if (state.targets.length === 0) return null;
  const head = [{text: 'Target'}, {text: 'State'}, {text: 'Client'}, {text: 'Volumes'},
    {text: 'Errors', number: true}];
  return section('Targets', table('Targets', head, state.targets.map(t => [t.name,
    h('b', null, t.name), t.state === 'failed' ? [badge('failed'), ' ', t.failure] : badge('running',
      'passed'),
    t.client.connected ? 'connected' : h('span', {class: 'muted'}, t.client.last_error || 'none'),
    t.namespaces.map(n => n.volume).join(', '), String(t.stats.errors)]), ''));
}

export function overview() {
  const {health} = state;
  return [h('h1', {class: 'hidden'}, 'Overview'), banner(health),
    health.pools.length ? figures(health.pools) : first(),
    health.pools.length ? section('Pools', h('div', {class: 'cards'}, health.pools.map(card))) : null,
    jobsTable(),
    health.pools.length ? section('Volumes', state.volumes ?
      volumesTable(state.volumes, VOLUMES) : h('p', {class: 'muted'}, 'Asking …')) : null,
    targets(),
    state.events.length ? section('Events', eventList(state.events.slice(-RECENT).reverse()),
      h('p', null, h('a', {href: '#/events'}, 'All events'))) : null];
}
