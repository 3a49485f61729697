// SPDX-License-Identifier: Apache-2.0
// What happened, newest first, by severity and by what is in it.
import {h} from './dom.js';
import {plural} from './format.js';
import {eventList} from './parts.js';
import {state} from './store.js';

const SHOWN = 200;
const LEVELS = ['notice', 'warning', 'error'];
const filter = {level: 0, text: ''};

function fits(event) {
  const text = filter.text.toLowerCase();
  return LEVELS.indexOf(event.severity) >= filter.level &&
    (text === '' || `${event.object} ${event.type} ${event.text}`.toLowerCase().includes(text));
}

export function events(name, draw) {
  const found = state.events.filter(fits).reverse();
  return [h('h1', null, 'Events'),
    h('form', {class: 'filter', role: 'search', onsubmit: event => event.preventDefault()},
      h('label', null, 'Severity ', h('select', {id: 'severity', onchange: event => {
        filter.level = LEVELS.indexOf(event.target.value);
        draw();
      }}, LEVELS.map((word, index) => h('option', {value: word,
        selected: index === filter.level},
        index === 0 ? 'all' : index === 1 ? 'warnings and errors' : 'errors')))),
      h('label', null, 'With ', h('input', {id: 'with', type: 'search', value: filter.text,
        placeholder: 'tank/vm1',
        oninput: event => {
          filter.text = event.target.value.trim();
          draw();
        }})),
      h('span', {class: 'muted'}, plural(found.length, 'event'),
        found.length > SHOWN ? `, the newest ${SHOWN} are shown` : '')),
    found.length ? eventList(found.slice(0, SHOWN)) :
      h('p', {class: 'muted'}, state.events.length ? 'None fits.' : 'Nothing happened yet.')];
}
