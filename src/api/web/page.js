// SPDX-License-Identifier: Apache-2.0
// The page: which view the address names, what frames it, and when it is drawn anew.
import {h, morph} from './dom.js';
import {ago, duration, plural, time} from './format.js';
import {chartInit} from './chart.js';
import {events} from './events.js';
import {overview} from './overview.js';
import {pool} from './pool.js';
import {volume} from './volume.js';
import {state, start, tokenForget, tokenIsUsed, tokenSet} from './store.js';

const VERDICTS = {passed: 'All is well', warning: 'Needs attention', failing: 'Failing'};
const OLD_MS = 8000;

// '#/volume/tank/vm1' -> ['volume', 'tank/vm1'].
function route() {
  const words = location.hash.replace(/^#\/?/, '').split('/');
  let name = words.slice(1).join('/');
  try {
    name = decodeURIComponent(name);
  } catch {
    name = '';
  }
  return [words[0] || 'overview', name];
}

function link(here, href, text) {
  return h('a', {href, 'aria-current': here ? 'page' : null}, text);
}

function navigation(view, name) {
  const pools = state.health?.pools || [];
  const current = view === 'volume' ? name.split('/')[0] : name;
  return h('nav', {'aria-label': 'Views'}, link(view === 'overview', '#/', 'Overview'),
    pools.map(p => h('span', {'data-key': p.name},
      link((view === 'pool' || view === 'volume') && current === p.name,
        `#/pool/${encodeURIComponent(p.name)}`, p.name))),
    link(view === 'events', '#/events', 'Events'));
}

function freshness() {
  const old = Date.now() - state.answeredMs > OLD_MS;
  if (state.answeredMs === 0) return h('span', {class: 'live old'}, 'asking …');
  return h('span', {class: old ? 'live old' : 'live', title: time(state.answeredMs)},
    h('i'), old ? `from ${ago(state.answeredMs)}` : 'live');
}

function header(view, name) {
  const verdict = state.health?.verdict;
  return h('header', null,
    h('a', {class: 'skip', href: '#main', onclick: event => {
      event.preventDefault();
      document.getElementById('main').focus();
    }}, 'Skip to the content'),
    h('a', {class: 'brand', href: '#/'}, h('img', {src: 'icon.svg', alt: '', width: 20, height: 20}),
      'Quoin'),
    navigation(view, name),
    h('div', {class: 'status', role: 'status'},
      verdict ? h('a', {class: `pill ${verdict}`, href: '#/'}, h('i'), VERDICTS[verdict]) : null),
    freshness(),
    tokenIsUsed() ? h('button', {class: 'quiet', type: 'button', onclick: () => {
      tokenForget();
      draw();
    }}, 'Sign out') : null);
}

function footer() {
  const d = state.daemon;
  return h('footer', null, d ? [`quoind ${d.version}`, ' · ', plural(d.pools, 'pool'), ' · ',
    plural(d.targets, 'target'), ' · up for ', duration(d.uptime_s)] : '',
  state.verbRunning ? ' · a command is running' : '');
}

function lost() {
  if (!state.problem || state.locked) return null;
  const since = state.answeredMs ? ` What you see is from ${time(state.answeredMs)}.` : '';
  return h('p', {class: 'lost', role: 'alert'}, h('b', null, 'The daemon does not answer. '),
    `${state.problem}.${since}`);
}

function login() {
  return h('main', {id: 'main', class: 'login', tabindex: -1},
    h('form', {onsubmit: event => {
      event.preventDefault();
      tokenSet(new FormData(event.currentTarget).get('token').trim());
      draw();
    }},
    h('h1', null, 'Quoin'),
    h('label', {for: 'token'}, 'Token'),
    h('input', {id: 'token', name: 'token', type: 'password', required: true,
      autocomplete: 'current-password', spellcheck: 'false'}),
    state.refused ? h('p', {class: 'refused', role: 'alert'}, 'This token is not the right one.') : null,
    h('button', {type: 'submit'}, 'Sign in'),
    h('p', {class: 'muted'}, 'It is in the daemon\'s state directory, in the file ',
      h('code', null, 'web.token'), '. This tab keeps it until it is closed.')));
}

const VIEWS = {overview, pool, volume, events};

function body() {
  const [view, name] = route();
  if (state.locked) return [login()];
  return [header(view, name), lost(),
    h('main', {id: 'main', tabindex: -1},
      state.health ? (VIEWS[view] || overview)(name, draw) : h('p', {class: 'muted'}, 'Asking …')),
    footer()];
}

let wanted = false;

// At most once a frame.
function draw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    const tree = h('div', null, body());
    wanted = false;
    morph(document.getElementById('app'), tree);
    const [view, name] = route();
    document.title = [name, view === 'events' ? 'Events' : '', 'Quoin'].filter(Boolean).join(' – ');
  });
}

chartInit(draw);
addEventListener('hashchange', () => {
  draw();
  scrollTo(0, 0);
});
setInterval(draw, 5000); // ages grow while nothing answers
start(draw);
