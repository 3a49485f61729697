// SPDX-License-Identifier: Apache-2.0
// Lines over time, sparklines and bars of space, as SVG and boxes.
import {h, s} from './dom.js';
import {SAMPLES} from './store.js';

const WIDTH = 600; // of the drawing's own units; it is stretched to its place
const HEIGHT = 100;
const SPAN_MS = SAMPLES * 2000;

const pointer = {chart: null, at: 0}; // where it is: 0 left, 1 right
let redraw = () => {};

export function chartInit(changed) {
  redraw = changed;
}

// A number a little above, of which a half is round too; of bytes, in their units.
function ceiling(value, least, binary) {
  if (!(value > least)) return least;
  const unit = binary ? 1024 ** Math.floor(Math.log2(value) / 10) : 1;
  const ten = 10 ** Math.floor(Math.log10(value / unit));
  return unit * [1, 2, 4, 6, 8, 10].map(n => n * ten).find(n => n * unit >= value);
}

const xOf = (ms, now) => WIDTH * (1 - (now - ms) / SPAN_MS);

// Gaps where there is no number: a lone point becomes a short stroke.
function linePath(samples, key, now, top) {
  let path = '';
  let open = false;
  for (const sample of samples) {
    const value = sample[key];
    if (!Number.isFinite(value)) {
      open = false;
      continue;
    }
    const x = xOf(sample.ms, now).toFixed(1);
    const y = (HEIGHT * (1 - Math.min(1, value / top))).toFixed(1);
    path += open ? `L${x} ${y}` : `M${x} ${y}h.1`;
    open = true;
  }
  return path;
}

function nearest(samples, now) {
  const ms = now - SPAN_MS * (1 - pointer.at);
  return samples.reduce((best, sample) =>
    (!best || Math.abs(sample.ms - ms) < Math.abs(best.ms - ms) ? sample : best), null);
}

function pointed(id) {
  return {
    onpointermove: event => {
      const box = event.currentTarget.getBoundingClientRect();
      pointer.chart = id;
      pointer.at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      redraw();
    },
    onpointerleave: () => {
      pointer.chart = null;
      redraw();
    },
  };
}

function grid(now, sample) {
  return [0.5, 50, 99.5].map(y => s('line', {x1: 0, x2: WIDTH, y1: y, y2: y, class: 'grid'}))
    .concat(sample ? s('line', {
      x1: xOf(sample.ms, now), x2: xOf(sample.ms, now), y1: 0, y2: HEIGHT, class: 'cross'}) : []);
}

// what: {id, title, samples, lines: [{key, label, tone}], format, least, binary}
export function chart(what) {
  const {samples, lines, format} = what;
  const now = samples.length ? samples[samples.length - 1].ms : 0;
  const shown = samples.filter(sample => now - sample.ms <= SPAN_MS);
  const values = shown.flatMap(sample => lines.map(line => sample[line.key])).filter(Number.isFinite);
  const top = ceiling(Math.max(0, ...values), what.least, what.binary);
  const sample = pointer.chart === what.id ? nearest(shown, now) : null;
  const told = sample || shown[shown.length - 1] || {};
  const legend = lines.map(line => h('li', {class: line.tone}, h('i'), line.label, ' ',
    h('b', null, format(told[line.key]))));
  const said = lines.map(line => `${line.label} ${format(told[line.key])}`).join(', ');
  return h('figure', {class: 'chart', 'data-key': what.id},
    h('figcaption', null, h('span', null, what.title),
      h('time', null, sample ? new Date(sample.ms).toLocaleTimeString() : '')),
    h('ul', {class: 'legend'}, legend),
    h('div', {class: 'plot', ...pointed(what.id)},
      s('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
        'aria-label': `${what.title}: ${said}`},
      grid(now, sample),
      lines.map(line => s('path', {class: `line ${line.tone}`,
        d: linePath(shown, line.key, now, top)}))),
      h('span', {class: 'top'}, format(top)), h('span', {class: 'half'}, format(top / 2)),
      shown.length ? null : h('span', {class: 'none'}, 'no samples yet')),
    h('div', {class: 'axis', 'aria-hidden': 'true'}, h('span', null, '5 min ago'),
      h('span', null, 'now')));
}

export function spark(samples, values, label) {
  const now = samples.length ? samples[samples.length - 1].ms : 0;
  const numbers = samples.map(sample => ({ms: sample.ms, value: values(sample)}));
  const top = Math.max(1, ...numbers.map(n => n.value).filter(Number.isFinite));
  return s('svg', {class: 'spark', viewBox: `0 -4 ${WIDTH} 108`, preserveAspectRatio: 'none',
    role: 'img', 'aria-label': label},
  s('path', {class: 'line', d: linePath(numbers, 'value', now, top)}));
}

// parts: [{label, value, tone}]; what they leave of `whole` stays empty.
export function bar(whole, parts, label, small) {
  return h('div', {class: small ? 'bar small' : 'bar', role: 'img', 'aria-label': label},
    parts.filter(part => part.value > 0).map(part => h('span', {
      class: part.tone, title: part.title || part.label, 'data-key': part.tone,
      style: {width: `${Math.min(100, 100 * part.value / Math.max(whole, 1))}%`}})));
}
