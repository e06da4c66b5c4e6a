// @ts-check
// The bit of Markdown that agents write, built as elements, one block after another. Anything not
// recognised stays as it was written.
import { h } from './dom.js';
import { Groups, NODE } from './long.js';
import { visible } from './visible.js';

const INLINE = /`([^`\n]{1,500})`|\*\*([^*\n]{1,500})\*\*|(https?:\/\/[^\s<>"'`)\]]{1,2000})/g;

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

/** @param {string} text @param {Mark} mark @returns {(string | Node)[]} */
function inline(text, mark) {
  const parts = [];
  let done = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(...mark(text.slice(done, match.index)));
    if (match[1] !== undefined) parts.push(h('code', {}, mark(match[1])));
    else if (match[2] !== undefined) parts.push(h('strong', {}, mark(match[2])));
    else parts.push(h('a', { href: match[3], target: '_blank', rel: 'noopener noreferrer' }, visible(match[3])));
    done = match.index + match[0].length;
  }
  parts.push(...mark(text.slice(done)));
  return parts;
}

/** @param {Line} line @returns {string} the mark that opens or closes a block of code, if it is one */
const fenceIn = ({ text }) => /^ {0,3}(`{3,}|~{3,})/.exec(text.slice(0, 200))?.[1] ?? '';

/** @param {HTMLElement} root @param {Iterable<Line>} lines @param {Mark} mark @returns {Generator<Made>} */
function* blocks(root, lines, mark) {
  /** @type {Line[]} */ let held = [];
  let [heldChars, chars, continues] = [0, 0, false];
  let [fence, startsLine] = ['', true];
  /** @type {Groups | null} */ let code = null;
  const groups = new Groups(root, 'div');
  /** @param {boolean} isOver whether the paragraph or the code ends here @returns {Made} */
  const flush = (isOver) => {
    const text = held.map((line) => line.text).join('\n');
    const made = { element: null, chars };
    const only = held.length === 1 && !continues && isOver;
    [held, heldChars, chars] = [[], 0, 0];
    const props = { 'data-continues': continues ? '' : null };
    continues = !isOver;
    if (fence) {
      let nodes = 0;
      if (!code) {
        const inner = h('code', {});
        code = new Groups(inner, 'span');
        groups.add(h('pre', { dir: 'ltr' }, inner), SCROLLED * NODE);
        nodes = SCROLLED;
      }
      const piece = h('span', { class: 'piece', ...props }, mark(text));
      code.add(piece, made.chars);
      return { ...made, element: piece, nodes };
    }
    if (!text.trim()) return made;
    const heading = only && /^#{1,6} (.*)$/.exec(text.trim());
    const block = heading
      ? h('p', { class: 'prose-heading' }, h('strong', {}, inline(heading[1], mark)))
      : h('p', props, inline(text, mark));
    groups.add(block, made.chars);
    return { ...made, element: block };
  };
  for (const line of lines) {
    const mark = startsLine ? fenceIn(line) : '';
    const isBlank = startsLine && line.ends && !line.text.trim();
    startsLine = line.ends;
    chars += line.chars;
    const opens = mark && !fence;
    const closes = mark && fence && mark[0] === fence[0] && mark.length >= fence.length;
    if (opens || closes) {
      if (held.length || closes) yield flush(true);
      [fence, code, continues] = [opens ? mark : '', null, false];
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

/** The same where a person decides by it: what is hidden is marked. */
export const markedProseForm = formOf(visible);
