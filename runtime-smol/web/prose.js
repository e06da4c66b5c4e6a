// @ts-check
// The Markdown that agents write, built as elements, one block after another. Anything not recognised
// stays as it was written.
import { blocksOf } from './blocks.js';
import { h } from './dom.js';
import { copyButton } from './copy.js';
import { Groups, NODE, chunksOf, linesOf } from './long.js';
import { visible } from './visible.js';

/** Characters and lines of one block: a paragraph that is longer continues in the next one. */
const BLOCK = 2000;
const BLOCK_LINES = 100;
/** How many nodes a block that scrolls by itself costs. */
const SCROLLED = 20;
/** Characters without anything to show that are read at once. */
const BLANK = 4000;

/** @typedef {import('./long.js').Line} Line */
/** @typedef {import('./long.js').Made} Made */

/** @typedef {(text: string) => (string | Node)[]} Mark how text is shown */

/** @param {import('./inline.js').Piece | import('./blocks.js').Block} one @returns {string} */
const wordsOf = (one) => (typeof one === 'string' ? one : one.kids.map(wordsOf).join(''));

/** @param {string} words @param {string} href @returns {boolean} whether a link looks as if it led elsewhere */
const isMisleading = (words, href) => /:\/\/|^[\w-]+(?:\.[\w-]+)+/.test(words) && !href.replace(/^https?:\/\//, '').startsWith(words.replace(/^https?:\/\//, ''));

/** @param {{href: string, kids: any[]}} link @param {Mark} mark @returns {(string | Node)[]} */
function link({ href, kids }, mark) {
  const words = kids.map(wordsOf).join('');
  const shown = words === href ? visible(href) : kids.map((kid) => drawn(kid, mark));
  const element = h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, shown);
  return isMisleading(words, href) ? [element, ' (', ...visible(href), ')'] : [element];
}

/** @param {any} one @param {Mark} mark @returns {import('./dom.js').Child} */
function drawn(one, mark) {
  if (typeof one === 'string') return mark(one);
  if (one.tag === 'a') return link(one, mark);
  const kids = one.kids.map((/** @type {any} */ kid) => drawn(kid, mark));
  switch (one.tag) {
    // The page's own headings are above these.
    case 'h1': case 'h2': case 'h3': case 'h4': case 'h5': case 'h6':
      return h('p', { class: `prose-heading of-${one.tag}`, role: 'heading', 'aria-level': Math.min(6, parseInt(one.tag[1], 10) + 2) }, kids);
    case 'table': return h('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Table' }, h('table', {}, kids));
    case 'ol': return h('ol', { start: one.start }, kids);
    case 'li': return h('li', { class: one.done === undefined ? null : 'task' }, one.done !== undefined && [h('span', { 'aria-hidden': 'true' }, one.done ? '☑ ' : '☐ '), h('span', { class: 'sr' }, one.done ? 'Done: ' : 'To do: ')], kids);
    case 'td': case 'th': return h(one.tag, { 'data-align': one.align || null }, kids);
    default: return h(one.tag, {}, kids);
  }
}

/** @param {string} line @returns {{mark: string, indent: number}} the mark that opens or closes a block of code, if it is one */
export function fenceIn(line) {
  const [, spaces = '', mark = ''] = /^( {0,12})(`{3,}|~{3,})/.exec(line.slice(0, 200)) ?? [];
  return { mark, indent: spaces.length };
}

/** @param {string} text @param {number} indent @returns {string} */
const outdented = (text, indent) => (indent ? text.split('\n').map((line) => line.slice(Math.min(indent, /^ */.exec(line)?.[0].length ?? 0))).join('\n') : text);

/** @param {HTMLElement} root @param {Iterable<Line>} lines @param {Mark} mark @returns {Generator<Made>} */
function* blocks(root, lines, mark) {
  /** @type {Line[]} */ let held = [];
  let [heldChars, chars, continues] = [0, 0, false];
  let [fence, within, startsLine] = ['', 0, true];
  /** @type {Groups | null} */ let code = null;
  const groups = new Groups(root, 'div');
  /** @param {boolean} isOver whether the paragraph or the code ends here @returns {Made} */
  const flush = (isOver) => {
    const text = held.map((line) => line.text).join('\n');
    const made = { element: null, chars };
    [held, heldChars, chars] = [[], 0, 0];
    const props = { 'data-continues': continues ? '' : null };
    continues = !isOver;
    if (fence) {
      let nodes = 0;
      if (!code) {
        const inner = h('code', {});
        code = new Groups(inner, 'span');
        groups.add(h('div', { class: 'fenced' }, h('pre', { dir: 'ltr', tabindex: '0' }, inner), copyButton(() => inner.textContent ?? '')), SCROLLED * NODE);
        nodes = SCROLLED;
      }
      const piece = h('span', { class: 'piece', ...props }, mark(outdented(text, within)));
      code.add(piece, made.chars);
      return { ...made, element: piece, nodes };
    }
    if (!text.trim()) return made;
    // What belongs to an item further up is as far to the right.
    const indent = /^ {2,12}(?! )/.exec(text)?.[0].length ?? 0;
    const block = h('div', { class: 'block', 'data-in': Math.floor(indent / 2) || null, ...props }, blocksOf(outdented(text, indent)).map((one) => drawn(one, mark)));
    groups.add(block, made.chars);
    return { ...made, element: block, nodes: block.querySelectorAll('*').length };
  };
  for (const line of lines) {
    const { mark, indent } = startsLine ? fenceIn(line.text) : { mark: '', indent: 0 };
    const isBlank = startsLine && line.ends && !line.text.trim();
    startsLine = line.ends;
    chars += line.chars;
    const opens = mark && !fence;
    const closes = mark && fence && mark[0] === fence[0] && mark.length >= fence.length;
    if (opens || closes) {
      if (held.length || closes) yield flush(true);
      [fence, within, code, continues] = [opens ? mark : '', indent, null, false];
    } else if (isBlank && !fence) {
      if (held.length) yield flush(true);
      else if (chars > BLANK) yield flush(true);
      continues = false;
    } else {
      if (heldChars + line.text.length > BLOCK || held.length >= BLOCK_LINES) yield flush(false);
      held.push(line);
      heldChars += line.text.length;
      if (!line.ends) yield flush(false);
    }
  }
  if (held.length) yield flush(true);
  else if (chars) yield { element: null, chars };
}

/** @param {Mark} mark @returns {() => import('./long.js').Form} */
const formOf = (mark) => () => {
  const element = h('div', { class: 'prose', dir: 'auto' });
  return { element, make: (lines) => blocks(element, lines, mark) };
};

export const proseForm = formOf((text) => [text]);

/** @param {string} text that is short @returns {HTMLElement} */
export function proseOf(text) {
  const { element, make } = proseForm();
  for (const piece of make(linesOf(chunksOf(text)))) if (!piece) break;
  return element;
}

/** The same where a person decides by it: what is hidden is marked. */
export const markedProseForm = formOf(visible);
