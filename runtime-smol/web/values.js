// @ts-check
// The one way to read a value that an agent, a worker or another viewer has written. Any of
// them may put anything anywhere; these functions take whatever comes and never throw.

/** Characters of a value that is shown in place of the text that was expected. */
const STAND_IN = 500;
/** Levels that are indented; deeper ones are written on one line. */
const INDENTED_LEVELS = 24;
/** Characters of indentation in one text: the rest is written on one line. */
const INDENTATION = 200_000;

/**
 * @param {unknown} value @param {string} [otherwise] if there is none
 * @returns {string} a string as it is, anything else as the beginning of its JSON
 */
export function text(value, otherwise = '') {
  if (typeof value === 'string') return value || otherwise;
  if (value === undefined || value === null) return otherwise;
  if (typeof value === 'number' || typeof value === 'boolean') return `${value}`;
  return clip(json(value), STAND_IN);
}

/** @param {unknown} value @returns {number} NaN unless it is a number */
export const number = (value) => (typeof value === 'number' ? value : NaN);

/** @param {unknown} value @returns {any[]} empty unless it is a list */
export const list = (value) => (Array.isArray(value) ? value : []);

/** @param {unknown} value @returns {value is Record<string, any>} */
const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param {unknown} value @returns {Record<string, any>} empty unless it is an object */
export const record = (value) => (isRecord(value) ? value : {});

/** @param {string} full @param {number} limit @returns {string} its beginning, and how much is missing */
export const clip = (full, limit) =>
  (full.length <= limit ? full : `${full.slice(0, limit)}… (${(full.length - limit).toLocaleString()} more characters)`);

/** @param {unknown} value @returns {string} indented as far as that helps, and complete */
export const pretty = (value) => write(value, INDENTATION);

/** @param {unknown} value @returns {string} on one line */
export const json = (value) => write(value, 0);

/** @param {unknown} value @returns {string} */
function scalar(value) {
  if (typeof value === 'string') return JSON.stringify(value);
  // Not JSON, but what a number that is too large has been read as.
  return typeof value === 'object' ? 'null' : `${String(value)}`;
}

/**
 * Not `JSON.stringify`: that fails on deep nesting, whose indentation could also be a
 * thousand times as long as the text.
 * @param {unknown} root @param {number} indentation characters that may be spent on it
 */
function write(root, indentation) {
  if (typeof root !== 'object' || root === null) return scalar(root);
  const parts = [];
  let spent = 0;
  /** @type {{of: any, keys: string[] | null, next: number}[]} */ const open = [];
  const start = (/** @type {any} */ of) => {
    const keys = Array.isArray(of) ? null : Object.keys(of);
    parts.push(keys ? '{' : '[');
    open.push({ of, keys, next: 0 });
  };
  const newLine = (/** @type {number} */ level) => {
    if (level > INDENTED_LEVELS || spent >= indentation) return;
    spent += 2 * level + 1;
    parts.push(`\n${'  '.repeat(level)}`);
  };
  start(root);
  while (open.length) {
    const top = open[open.length - 1];
    if (top.next === (top.keys ?? top.of).length) {
      open.pop();
      if (top.next) newLine(open.length);
      parts.push(top.keys ? '}' : ']');
      continue;
    }
    if (top.next) parts.push(',');
    newLine(open.length);
    const key = top.keys ? top.keys[top.next] : top.next;
    if (top.keys) parts.push(JSON.stringify(key), indentation ? ': ' : ':');
    top.next += 1;
    const value = top.of[key];
    if (typeof value === 'object' && value !== null) start(value);
    else parts.push(scalar(value));
  }
  return parts.join('');
}

/** @param {unknown} one @param {unknown} other @returns {boolean} ignoring key order, since a relay may reserialise it */
export function isSame(one, other) {
  const pairs = [[one, other]];
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [a, b] = pair;
    if (a === b) continue;
    if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
    const keys = Object.keys(a);
    if (keys.length !== Object.keys(b).length) return false;
    for (const key of keys) {
      if (!Object.hasOwn(b, key)) return false;
      pairs.push([/** @type {any} */ (a)[key], /** @type {any} */ (b)[key]]);
    }
  }
  return true;
}

/**
 * Adds to a map or set that holds what an agent names, and forgets the oldest beyond a limit.
 * @template K, V @param {Map<K, V>} map @param {K} key @param {V} value @param {number} limit
 */
export function keep(map, key, value, limit) {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) break;
    map.delete(oldest);
  }
}
