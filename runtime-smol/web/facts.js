// @ts-check
// An object as lines of names and values, for people: complete, however large it is, and with no
// value that could be taken for a name.
import { h } from './dom.js';
import { Groups, chunksOf, linesOf, piecesOf } from './long.js';
import { text } from './values.js';
import { visible } from './visible.js';

/** Characters of a name and of a value that fit on one line. */
const NAME = 200;
const SHORT = 300;
/** Levels that are indented. */
const LEVELS = 6;

/** @typedef {import('./long.js').Made} Made */

/** @param {unknown} value @returns {value is object} */
const isNested = (value) => typeof value === 'object' && value !== null;

/** @param {object} value @returns {boolean} */
function isEmpty(value) {
  if (Array.isArray(value)) return !value.length;
  for (const name in value) if (Object.hasOwn(value, name)) return false;
  return true;
}

/** @param {unknown} value @returns {string} of one that is not nested */
const wordsOf = (value) => {
  if (value === '') return 'empty text';
  return typeof value === 'string' ? value : value === null || value === undefined ? 'nothing' : text(value);
};

/**
 * @param {Record<string, any>} root @param {Record<string, string>} [labels] names to be shown in place of others at the top
 * @param {string[]} [shown] names at the top that are left out
 * @returns {() => import('./long.js').Form}
 */
export const factsForm = (root, labels = {}, shown = []) => () => {
  const element = h('div', { class: 'facts', dir: 'auto', 'data-testid': 'facts' });
  return { element, make: () => rows(root, labels, shown, new Groups(element, 'div')) };
};

/** @param {any} root @param {Record<string, string>} labels @param {string[]} shown @param {Groups} groups @returns {Generator<Made>} */
function* rows(root, labels, shown, groups) {
  const start = (/** @type {any} */ of) => ({ of, keys: Array.isArray(of) ? null : Object.keys(of), next: 0 });
  const open = [start(root)];
  while (open.length) {
    const top = open[open.length - 1];
    if (top.next === (top.keys ?? top.of).length) {
      open.pop();
      continue;
    }
    const key = top.keys ? top.keys[top.next] : top.next;
    top.next += 1;
    const level = Math.min(open.length - 1, LEVELS);
    if (open.length === 1 && shown.includes(key)) continue;
    const value = top.of[key];
    const known = open.length === 1 && Object.hasOwn(labels, key) ? labels[key] : undefined;
    const name = top.keys ? known ?? text(key, 'empty name') : `${top.next}`;
    const hasMore = isNested(value) && !isEmpty(value);
    yield* row(groups, level, name, hasMore ? null : isNested(value) ? 'empty' : wordsOf(value), typeof value === 'string' && value !== '');
    if (hasMore) open.push(start(value));
  }
}

/** @param {HTMLElement} element @param {number} chars @param {Groups} groups @returns {Made} */
function made(element, chars, groups) {
  groups.add(element, chars);
  const nodes = [...element.children].reduce((sum, child) => sum + child.childNodes.length, 0);
  return { element, chars, nodes };
}

/** @param {Groups} groups @param {number} level @param {string} name @param {string | null} words @param {boolean} isText @returns {Generator<Made>} */
function* row(groups, level, name, words, isText) {
  const props = { 'data-level': level || null };
  const isShort = words !== null && words.length <= SHORT && !words.includes('\n');
  if (name.length > NAME) yield* block(groups, level, name, 'name');
  const shown = name.length > NAME ? 'that is' : name;
  const value = isShort && h('span', { class: isText ? 'value' : 'value muted' }, visible(words));
  const element = h('div', { class: 'fact', ...props }, h('span', { class: 'name' }, visible(shown), ':'), value && ' ', value);
  yield made(element, shown.length + (isShort ? words.length : 0), groups);
  if (words !== null && !isShort) yield* block(groups, level, words, 'value');
}

/** @param {Groups} groups @param {number} level @param {string} words @param {string} part @returns {Generator<Made>} */
function* block(groups, level, words, part) {
  for (const { text: piece, continues, chars } of piecesOf(linesOf(chunksOf(words)))) {
    const element = h('div', { class: `fact-text ${part}`, 'data-level': level || null, 'data-continues': continues ? '' : null }, visible(piece), !piece && ' ');
    yield made(element, chars, groups);
  }
}
