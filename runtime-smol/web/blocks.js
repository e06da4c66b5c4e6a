// @ts-check
// Markdown between two blank lines, as a tree: headings, lists, quotes, tables, paragraphs.
import { inlineOf } from './inline.js';

/**
 * @typedef {import('./inline.js').Piece} Piece
 * @typedef {{tag: string, kids: (Piece | Block)[], start?: number, align?: string, done?: boolean}} Block `done` of a task's item
 */

/** Levels of lists and quotes; what is deeper is shown at the last one. */
const LEVELS = 8;
/** Columns of a table. */
const COLUMNS = 40;

const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?: +(.*)|$)/;
const TASK = /^\[([ xX])\] +(.*)$/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const HEADING = /^ {0,3}(#{1,6})(?: +(.*?))?(?: +#+)? *$/;
const DIVIDER = /^ *\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$/;

/** @param {string} line @returns {string[]} */
function cellsIn(line) {
  const inner = line.trim().replace(/^\|/, '').replace(/\|$/, (end, at, all) => (all[at - 1] === '\\' ? end : ''));
  /** @type {string[]} */ const cells = [''];
  let isCode = false;
  for (let at = 0; at < inner.length; at += 1) {
    if (inner[at] === '\\' && inner[at + 1] === '|') {
      cells[cells.length - 1] += '|';
      at += 1;
    } else if (inner[at] === '|' && !isCode) cells.push('');
    else {
      if (inner[at] === '`') isCode = !isCode;
      cells[cells.length - 1] += inner[at];
    }
  }
  return cells.map((cell) => cell.trim());
}

/** @param {string} line @param {string | undefined} next */
const isTable = (line, next) => next !== undefined && line.includes('|') && next.includes('-') && DIVIDER.test(next)
  && cellsIn(line).length === cellsIn(next).length && cellsIn(line).length <= COLUMNS;

/** @param {string[]} lines @returns {Block} */
function table(lines) {
  const [head, divider, ...rows] = lines.map(cellsIn);
  const aligns = divider.map((cell) => (cell.endsWith(':') ? (cell.startsWith(':') ? 'center' : 'end') : ''));
  const row = (/** @type {string[]} */ cells, /** @type {string} */ tag) => ({
    tag: 'tr', kids: head.map((_, at) => ({ tag, align: aligns[at], kids: inlineOf(cells[at] ?? '') })),
  });
  return { tag: 'table', kids: [{ tag: 'thead', kids: [row(head, 'th')] }, ...(rows.length ? [{ tag: 'tbody', kids: rows.map((cells) => row(cells, 'td')) }] : [])] };
}

/** @param {string[]} lines that begin with an item @param {number} level @returns {Block[]} */
function lists(lines, level) {
  /** @type {Block[]} */ const found = [];
  let kind = '';
  for (let at = 0; at < lines.length;) {
    const [, indent, sign, first = ''] = /** @type {RegExpExecArray} */ (ITEM.exec(lines[at]));
    const width = indent.length + sign.length + 1;
    const own = [first];
    for (at += 1; at < lines.length; at += 1) {
      const item = ITEM.exec(lines[at]);
      if (item && item[1].length < Math.min(width, indent.length + 2)) break;
      own.push(lines[at].slice(Math.min(/^ */.exec(lines[at])?.[0].length ?? 0, width)));
    }
    const isOrdered = /\d/.test(sign);
    const nowKind = isOrdered ? sign.slice(-1) : sign;
    if (nowKind !== kind) found.push({ tag: isOrdered ? 'ol' : 'ul', kids: [], ...(isOrdered && parseInt(sign, 10) !== 1 ? { start: parseInt(sign, 10) } : {}) });
    kind = nowKind;
    const task = TASK.exec(own[0]);
    if (task) own[0] = task[2];
    const kids = blocksOf(own.join('\n'), level + 1);
    // An item of one paragraph has no paragraph in it.
    const inner = kids[0]?.tag === 'p' ? [...kids[0].kids, ...kids.slice(1)] : kids;
    found[found.length - 1].kids.push({ tag: 'li', kids: inner, ...(task ? { done: task[1] !== ' ' } : {}) });
  }
  return found;
}

/** @param {string} text without blank lines @param {number} [level] @returns {Block[]} */
export function blocksOf(text, level = 0) {
  const lines = text.split('\n');
  /** @type {Block[]} */ const blocks = [];
  /** @type {string[]} */ let held = [];
  const flush = () => {
    if (held.some((line) => line.trim())) blocks.push({ tag: 'p', kids: inlineOf(held.join('\n')) });
    held = [];
  };
  if (level > LEVELS) return text.trim() ? [{ tag: 'p', kids: [text] }] : [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const heading = HEADING.exec(line);
    const under = held.length && /^ {0,3}(=+|-+) *$/.exec(line);
    const item = ITEM.exec(line);
    const from = at;
    at += 1;
    if (under) {
      blocks.push({ tag: under[1][0] === '=' ? 'h1' : 'h2', kids: inlineOf(held.join('\n').trim()) });
      held = [];
    } else if (heading && (heading[2] || line.trim() === heading[1])) {
      flush();
      blocks.push({ tag: `h${heading[1].length}`, kids: inlineOf(heading[2] ?? '') });
    } else if (RULE.test(line)) {
      flush();
      blocks.push({ tag: 'hr', kids: [] });
    } else if (/^ {0,3}>/.test(line)) {
      flush();
      while (at < lines.length && /^ {0,3}>/.test(lines[at])) at += 1;
      const inner = lines.slice(from, at).map((one) => one.replace(/^ {0,3}> ?/, ''));
      // A blank line inside parts its paragraphs.
      const parts = inner.join('\n').split(/\n\s*\n/);
      blocks.push({ tag: 'blockquote', kids: parts.flatMap((part) => blocksOf(part, level + 1)) });
    } else if (isTable(line, lines[at])) {
      flush();
      at += 1;
      while (at < lines.length && lines[at].includes('|')) at += 1;
      blocks.push(table(lines.slice(from, at)));
    } else if (item && (!held.length || item[3]) && !(held.length && /^\d/.test(item[2]) && parseInt(item[2], 10) !== 1)) {
      flush();
      while (at < lines.length && !/^ {0,3}(?:>|#{1,6} )/.test(lines[at])) at += 1;
      blocks.push(...lists(lines.slice(from, at), level));
    } else {
      held.push(line);
    }
  }
  flush();
  return blocks;
}
