// @ts-check
// The one way to read a value that an agent, a worker or another viewer has written. Any of
// them may put anything anywhere; these functions take whatever comes and never throw.

/** Characters of a value that is shown in place of the text that was expected. */
const STAND_IN = 500;
/** Characters of JSON that are written at once. */
const BATCH = 8000;
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
  return beginningOf(value, STAND_IN);
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

/** @param {unknown} value @returns {Generator<string>} indented as far as that helps, and complete, in parts */
export const prettyParts = (value) => batched(write(value, INDENTATION));

/**
 * @param {unknown} value @param {number} limit
 * @returns {string | null} the same in one text, unless it is longer than this
 */
export const prettyWithin = (value, limit) => within(write(value, INDENTATION), limit);

/** @param {Iterable<string>} parts @param {number} limit @returns {string | null} */
function within(parts, limit) {
  const taken = [];
  let length = 0;
  for (const part of parts) {
    length += part.length;
    if (length > limit) return null;
    taken.push(part);
  }
  return taken.join('');
}

/** @param {unknown} value @param {number} limit @returns {string} its JSON on one line, or the beginning of it */
function beginningOf(value, limit) {
  let taken = '';
  for (const part of write(value, 0)) {
    taken += part;
    if (taken.length > limit) return `${taken.slice(0, limit)}…`;
  }
  return taken;
}

/** @param {Iterable<string>} parts @returns {Generator<string>} fewer ones, which are not short */
function* batched(parts) {
  /** @type {string[]} */ let held = [];
  let length = 0;
  for (const part of parts) {
    held.push(part);
    length += part.length;
    if (length < BATCH) continue;
    yield held.join('');
    [held, length] = [[], 0];
  }
  if (held.length) yield held.join('');
}

/** @param {unknown} value @returns {Generator<string>} */
function* scalar(value) {
  if (typeof value === 'string') {
    if (value.length <= BATCH) {
      yield JSON.stringify(value);
      return;
    }
    yield '"';
    for (let at = 0; at < value.length;) {
      let end = at + BATCH;
      // Not through a pair that is one character.
      const last = value.charCodeAt(end - 1);
      if (last >= 0xd800 && last < 0xdc00) end -= 1;
      yield JSON.stringify(value.slice(at, end)).slice(1, -1);
      at = end;
    }
    yield '"';
    return;
  }
  // Not JSON, but what a number that is too large has been read as.
  yield typeof value === 'object' ? 'null' : `${String(value)}`;
}

/**
 * Not `JSON.stringify`: that fails on deep nesting, whose indentation could also be a
 * thousand times as long as the text.
 * @param {unknown} root @param {number} indentation characters that may be spent on it
 * @returns {Generator<string>}
 */
function* write(root, indentation) {
  if (typeof root !== 'object' || root === null) {
    yield* scalar(root);
    return;
  }
  let spent = 0;
  /** @type {{of: any, keys: string[] | null, next: number}[]} */ const open = [];
  const start = (/** @type {any} */ of) => {
    const keys = Array.isArray(of) ? null : Object.keys(of);
    open.push({ of, keys, next: 0 });
    return keys ? '{' : '[';
  };
  const newLine = (/** @type {number} */ level) => {
    if (level > INDENTED_LEVELS || spent >= indentation) return '';
    spent += 2 * level + 1;
    return `\n${'  '.repeat(level)}`;
  };
  yield start(root);
  while (open.length) {
    const top = open[open.length - 1];
    if (top.next === (top.keys ?? top.of).length) {
      open.pop();
      yield `${top.next ? newLine(open.length) : ''}${top.keys ? '}' : ']'}`;
      continue;
    }
    yield `${top.next ? ',' : ''}${newLine(open.length)}`;
    const key = top.keys ? top.keys[top.next] : top.next;
    if (top.keys) {
      yield* scalar(key);
      yield indentation ? ': ' : ':';
    }
    top.next += 1;
    const value = top.of[key];
    if (typeof value === 'object' && value !== null) yield start(value);
    else yield* scalar(value);
  }
}

/** Values that are compared. */
const COMPARED = 50_000;

/**
 * @param {unknown} one @param {unknown} other
 * @returns {boolean | null} ignoring key order, since a relay may reserialise it; null if there is too much to compare
 */
export function isSame(one, other) {
  const pairs = [[one, other]];
  let count = 0;
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [a, b] = pair;
    count += 1;
    if (count > COMPARED) return null;
    if (a === b) continue;
    if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
    const keys = Object.keys(a);
    if (keys.length !== Object.keys(b).length) return false;
    if (keys.length > COMPARED) return null;
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
