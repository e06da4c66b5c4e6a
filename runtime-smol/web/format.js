// @ts-check
// Words for times, ids and states, the same everywhere on the page.
import { h } from './dom.js';
import { text } from './values.js';

/** @param {string} id @returns {string} enough of an id to tell sessions apart */
export const shortId = (id) => id.slice(id.lastIndexOf('_') + 1).slice(-6);

/** @param {any} session @returns {string} */
export const titleOf = (session) => text(session.title) || `Session ${shortId(session.id)}`;

/** @param {string} at @param {number} [now] @returns {string} */
export function ago(at, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(at)) / 1000);
  if (Number.isNaN(seconds)) return '';
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(at).toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
}

/** @param {string} at @returns {HTMLTimeElement} the time of day; the full date is a tooltip */
export function clock(at) {
  const date = new Date(at);
  const valid = !Number.isNaN(date.getTime());
  const text = valid ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' }) : '';
  return h('time', { datetime: at, title: valid ? date.toLocaleString() : null }, text);
}

/** @param {number} ms @returns {string} */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

/**
 * @param {any} result a session's result @returns {string} how its process ended
 */
export function exitOf(result) {
  const parts = [];
  if (Number.isInteger(result?.exit_code)) parts.push(`exit code ${result.exit_code}`);
  const signal = text(result?.signal);
  if (signal) parts.push(`signal ${signal}`);
  return parts.join(', ');
}

/** A terminal's codes: for colours and moves, and for its title. */
const CODES = /\x1b\[[0-9;?]{0,50}[A-Za-z]|\x1b\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)/g;
/** Characters that are searched for them at once, and of the longest code. */
const SEARCHED = 16_000;
const LONGEST_CODE = 504;

/** @param {string} text @returns {string} without the terminal's colour codes */
export const withoutColour = (text) => text.replace(CODES, '');

/** @param {string} text @returns {Generator<string>} the same in parts, for a text that may be long */
export function* withoutColours(text) {
  for (let at = 0; at < text.length;) {
    let part = text.slice(at, at + SEARCHED);
    const code = part.lastIndexOf('\x1b');
    // One that may continue after this part is left for the next.
    if (at + part.length < text.length && code > SEARCHED - LONGEST_CODE) part = part.slice(0, code);
    at += part.length;
    yield withoutColour(part);
  }
}
