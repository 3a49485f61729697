// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

function digits(value) {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

export function bytes(value) {
  let unit = 0;
  if (!Number.isFinite(value)) return '–';
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${digits(unit === 0 ? Math.round(value) : value)} ${UNITS[unit]}`;
}

export function rate(value) {
  return Number.isFinite(value) ? `${bytes(value)}/s` : '–';
}

export function count(value) {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  if (value >= 1e4) return `${digits(value / 1e3)} k`;
  return value >= 100 || value === 0 ? value.toFixed(0) : digits(Math.round(value * 10) / 10);
}

// Of seconds.
export function latency(value) {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1) return `${digits(value)} s`;
  if (value >= 1e-3) return `${digits(value * 1e3)} ms`;
  return `${Math.round(value * 1e6)} µs`;
}

export function percent(part, whole) {
  if (!(whole > 0)) return '0 %';
  const value = 100 * part / whole;
  return `${value > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

export function duration(seconds) {
  const steps = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']];
  for (const [large, name, small, smallName] of steps) {
    if (seconds < large) continue;
    const rest = Math.floor(seconds % large / small);
    return `${Math.floor(seconds / large)} ${name}${rest ? ` ${rest} ${smallName}` : ''}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

const two = number => String(number).padStart(2, '0');

// Sorts as text, in the reader's own time zone.
export function time(ms) {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ` +
    `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function ago(ms) {
  return `${duration((Date.now() - ms) / 1000)} ago`;
}

export function plural(number, word) {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}

// The last part of a path; what comes before is in the title.
export function leaf(path) {
  return path.slice(path.lastIndexOf('/') + 1) || path;
}
