// @ts-check
// The bit of Markdown that agents write, built as elements. Anything not recognised
// stays as it was written.
import { h } from './dom.js';
import { visible } from './visible.js';

const INLINE = /`([^`\n]{1,500})`|\*\*([^*\n]{1,500})\*\*|(https?:\/\/[^\s<>"'`)\]]{1,2000})/g;

/** @param {string} text @returns {(string | Node)[]} */
function inline(text) {
  const parts = [];
  let done = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(done, match.index));
    if (match[1] !== undefined) parts.push(h('code', {}, match[1]));
    else if (match[2] !== undefined) parts.push(h('strong', {}, match[2]));
    else parts.push(h('a', { href: match[3], target: '_blank', rel: 'noopener noreferrer' }, visible(match[3])));
    done = match.index + match[0].length;
  }
  parts.push(text.slice(done));
  return parts;
}

/** @param {string} text @returns {Node[]} paragraphs, headings and list items, one block each */
function blocks(text) {
  return text.split(/\n{2,}/).flatMap((block) => {
    if (!block.trim()) return [];
    const heading = /^#{1,6} (.*)$/.exec(block.trim());
    if (heading) return [h('p', { class: 'prose-heading' }, h('strong', {}, inline(heading[1])))];
    return [h('p', {}, inline(block.replace(/^\n+|\n+$/g, '')))];
  });
}

/**
 * @param {string} text @returns {HTMLElement}
 */
export function prose(text) {
  const root = h('div', { class: 'prose', dir: 'auto' });
  /** @type {string[]} */ let lines = [];
  let fence = '';
  const flush = () => {
    const body = lines.join('\n');
    lines = [];
    if (fence) root.append(codeBlock(body));
    else root.append(...blocks(body));
  };
  for (const line of text.split('\n')) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && !fence) {
      flush();
      fence = mark;
    } else if (mark && mark[0] === fence[0] && mark.length >= fence.length) {
      flush();
      fence = '';
    } else {
      lines.push(line);
    }
  }
  flush();
  return root;
}

/** @param {string} text @returns {HTMLElement} */
export const codeBlock = (text) => h('pre', { dir: 'ltr' }, h('code', {}, text));

const SHOWN = 4000;
/** How much more a click shows. */
const STEP = 200_000;

/**
 * Output can be megabytes, and a browser lays out all of it even if most is clipped,
 * so the rest waits for a click.
 * @param {string} text @param {(text: string) => Node} build @returns {Node[]}
 */
export function clipped(text, build) {
  if (text.length <= SHOWN * 1.5) return [build(text)];
  let shown = SHOWN;
  const holder = h('div', {}, build(text.slice(0, shown)));
  const more = h('button', { type: 'button', class: 'link', on: { click: () => showMore() } });
  const nameButton = () => {
    const rest = text.length - shown;
    more.textContent = rest > STEP
      ? `Show ${STEP.toLocaleString()} of ${rest.toLocaleString()} more characters`
      : `Show all ${text.length.toLocaleString()} characters`;
  };
  const showMore = () => {
    shown += STEP;
    if (shown >= text.length) more.remove();
    else nameButton();
    holder.replaceChildren(build(text.slice(0, shown)));
    holder.tabIndex = -1;
    holder.focus();
  };
  nameButton();
  return [holder, more];
}
