// @ts-check
// What an edit changes, line by line. Both texts may be megabytes: what they share at both ends is
// cut off first, and only a small rest is compared.
import { h } from './dom.js';
import { Groups, chunksOf, linesOf } from './long.js';
import { visible } from './visible.js';

/** @typedef {'same' | 'removed' | 'added'} Kind */
/** @typedef {[Kind, string]} Run lines of one kind, each with a line break at its end */

/** Pairs of lines that are compared, and characters: a larger rest is shown as removed and added. */
const PAIRS = 1_000_000;
const COMPARED = 400_000;

/** @type {Record<Kind, string>} */
const SIGNS = { same: ' ', removed: '−', added: '+' };

/** Characters that are compared at once. */
const STRIDE = 4096;

/** @param {string} one @param {string} other @returns {number} characters of the lines that both begin with */
function sharedStart(one, other) {
  const most = Math.min(one.length, other.length);
  let at = 0;
  while (at + STRIDE <= most && one.slice(at, at + STRIDE) === other.slice(at, at + STRIDE)) at += STRIDE;
  while (at < most && one.charCodeAt(at) === other.charCodeAt(at)) at += 1;
  return at ? one.lastIndexOf('\n', at - 1) + 1 : 0;
}

/** @param {string} one @param {string} other @returns {number} characters of the lines that both end with */
function sharedEnd(one, other) {
  const most = Math.min(one.length, other.length);
  const [end, otherEnd] = [one.length, other.length];
  let count = 0;
  const isSame = (/** @type {number} */ more) =>
    one.slice(end - count - more, end - count) === other.slice(otherEnd - count - more, otherEnd - count);
  while (count + STRIDE <= most && isSame(STRIDE)) count += STRIDE;
  while (count < most && isSame(1)) count += 1;
  const isWhole = (/** @type {string} */ text) => count === text.length || text[text.length - 1 - count] === '\n';
  if (isWhole(one) && isWhole(other)) return count;
  const start = one.indexOf('\n', end - count) + 1;
  return start ? end - start : 0;
}

/** @param {string} text @returns {string[]} */
const linesIn = (text) => (text ? text.slice(0, -1).split('\n') : []);

/** @param {string[]} before @param {string[]} after @returns {Run[]} with as many lines left as they are as possible */
function compared(before, after) {
  const width = after.length + 1;
  /** How many lines are shared from this pair on. */
  const shared = new Uint32Array((before.length + 1) * width);
  for (let a = before.length - 1; a >= 0; a -= 1) {
    for (let b = after.length - 1; b >= 0; b -= 1) {
      const at = a * width + b;
      shared[at] = before[a] === after[b] ? shared[at + width + 1] + 1 : Math.max(shared[at + width], shared[at + 1]);
    }
  }
  /** @type {Run[]} */ const runs = [];
  const add = (/** @type {Kind} */ kind, /** @type {string} */ line) => {
    const last = runs[runs.length - 1];
    if (last?.[0] === kind) last[1] += `${line}\n`;
    else runs.push([kind, `${line}\n`]);
  };
  let [a, b] = [0, 0];
  while (a < before.length || b < after.length) {
    const at = a * width + b;
    if (a < before.length && b < after.length && before[a] === after[b]) {
      add('same', before[a]);
      [a, b] = [a + 1, b + 1];
    } else if (a < before.length && (b === after.length || shared[at + width] >= shared[at + 1])) {
      add('removed', before[a]);
      a += 1;
    } else {
      add('added', after[b]);
      b += 1;
    }
  }
  return runs;
}

/** @param {string} before @param {string} after @returns {Run[]} those in which nothing is the same, or that are too long, come whole */
function middle(before, after) {
  if (before && after && before.length + after.length <= COMPARED) {
    const [one, other] = [linesIn(before), linesIn(after)];
    if (one.length * other.length <= PAIRS) return compared(one, other);
  }
  return [['removed', before], ['added', after]];
}

/** @param {string} text @returns {boolean} whether each of its lines that ends does so as those of Windows do */
const isOfWindows = (text) => !text.endsWith('\r') && !/(?:^|[^\r])\n/.test(text);

/** @param {string} before @param {string} after @returns {boolean} whether all lines are those of Windows, so that how they end is not worth a word */
export const endsAlike = (before, after) =>
  (before === '' || before.includes('\r\n')) && before.length + after.length <= COMPARED && isOfWindows(before) && isOfWindows(after);

/** @param {string} before @param {string} after @returns {Run[]} */
export function runsOf(before, after) {
  // The break after the last line counts if only one of them has it.
  const isOpen = (/** @type {string} */ text) => text !== '' && !text.endsWith('\n');
  const open = isOpen(before) || isOpen(after);
  const [one, other] = [before, after].map((text) => (text && open ? `${text}\n` : text));
  const start = sharedStart(one, other);
  const end = sharedEnd(one.slice(start), other.slice(start));
  /** @type {Run[]} */ const runs = [
    ['same', one.slice(0, start)],
    ...middle(one.slice(start, one.length - end), other.slice(start, other.length - end)),
    ['same', one.slice(one.length - end)],
  ];
  return runs.filter(([, text]) => text);
}

/**
 * @param {() => Iterable<Run | string>} runs a string is a heading
 * @param {{isNumbered?: boolean, endsAlike?: boolean}} [how] whether lines have their numbers, from 1 on; and whether
 *   how they end says nothing about what has changed
 * @returns {() => import('./long.js').Form}
 */
export const diffForm = (runs, how = {}) => () => {
  const { isNumbered = false, endsAlike: isAlike = false } = how;
  const code = h('code', {});
  const groups = new Groups(code, 'span');
  return {
    element: h('pre', { dir: 'ltr', class: isNumbered ? 'diff numbered' : 'diff', 'data-testid': 'diff' }, code),
    *make() {
      for (const run of runs()) {
        if (typeof run === 'string') {
          const element = h('span', { class: 'diff-head' }, run);
          groups.add(element, run.length);
          yield { element, chars: 0 };
        } else {
          yield* linesOfRun(run, isAlike, groups);
        }
      }
    },
  };
};

/** @param {Run} run @param {boolean} isAlike @param {Groups} groups @returns {Generator<import('./long.js').Made>} */
function* linesOfRun([kind, source], isAlike, groups) {
  let number = 1;
  let isStart = true;
  for (const { text, ends, chars } of linesOf(chunksOf(source))) {
    const props = { class: `diff-line ${kind}`, 'data-line': isStart ? number : null, 'data-continues': isStart ? null : '' };
    const shown = isAlike && chars > text.length && text.endsWith('\r') ? text.slice(0, -1) : text;
    // An empty element would have no height, and could not be copied.
    const element = h('span', props, isStart && `${SIGNS[kind]} `, visible(shown), !shown && ' ');
    groups.add(element, chars);
    yield { element, chars };
    number += ends ? 1 : 0;
    isStart = ends;
  }
}

/** @param {Run[]} runs @returns {string} how much they change, in words */
export function extentOf(runs) {
  const count = (/** @type {Kind} */ kind) => runs.filter(([is]) => is === kind).reduce((sum, [, text]) => sum + linesIn(text).length, 0);
  const parts = [[count('removed'), 'removed'], [count('added'), 'added']].filter(([lines]) => lines);
  const words = parts.map(([lines, what], at) => `${lines.toLocaleString()} ${at ? '' : lines === 1 ? 'line ' : 'lines '}${what}`);
  return words.join(', ') || 'nothing changes';
}
