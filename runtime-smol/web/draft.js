// @ts-check
// Markdown that is still being written. What is complete is shown once and stays as it is; only the
// last paragraph is shown anew as it grows, without the marks that have not been closed yet.
import { h } from './dom.js';
import { fenceIn, proseOf } from './prose.js';

/** Characters that are shown anew with each frame, and blocks that are kept; the message shows all of it once it is complete. */
const SHOWN_ANEW = 3000;
const KEPT = 60;

/** @param {string} text @returns {{end: number, fence: string}} where what is complete ends; and the line that opened a block of code which goes on after the text */
export function completeIn(text) {
  let [end, at, mark, fence] = [0, 0, '', ''];
  while (at < text.length) {
    const next = text.indexOf('\n', at);
    if (next === -1) break;
    const line = text.slice(at, next);
    const found = fenceIn(line).mark;
    at = next + 1;
    if (mark) {
      if (found && found[0] === mark[0] && found.length >= mark.length) [mark, fence, end] = ['', '', at];
    } else if (found) [mark, fence] = [found, line];
    else if (!line.trim()) end = at;
  }
  return { end, fence };
}

/** @param {string} text of the last paragraph @returns {string} the same with its open marks closed */
export function closed(text) {
  const shown = text.replace(/(?:\*{1,3}|_{1,3}|~{1,2}|`{1,2}|\[|!\[)$/, '');
  const count = (/** @type {string} */ mark) => shown.split(mark).length - 1;
  if (count('`') % 2) return `${shown}\``;
  const link = /!?\[([^\]\n]*)(?:\](?:\([^)\n]*)?)?$/.exec(shown);
  const plain = link ? shown.slice(0, link.index) + link[1] : shown;
  if (count('**') % 2) return `${plain.trimEnd()}**`;
  return plain;
}

export class Draft {
  element = h('div', { class: 'draft-prose' });
  #rest = '';
  #last = h('div', { class: 'prose' });

  constructor() {
    this.element.append(this.#last);
  }

  /** @param {string} more */
  add(more) {
    this.#rest += more;
    const { end, fence } = completeIn(this.#rest);
    if (end) this.#settle(this.#rest.slice(0, end), this.#rest.slice(end));
    else if (this.#rest.length > SHOWN_ANEW) {
      const cut = this.#rest.lastIndexOf('\n') + 1 || this.#rest.length;
      // A block of code continues in another one.
      this.#settle(this.#rest.slice(0, cut), `${fence && `${fence}\n`}${this.#rest.slice(cut)}`);
    }
    const isCode = completeIn(`${this.#rest}\n`).fence !== '';
    const shown = proseOf(isCode ? this.#rest : closed(this.#rest));
    this.#last.replaceWith(shown);
    this.#last = shown;
  }

  /** @param {string} done @param {string} rest */
  #settle(done, rest) {
    this.#rest = rest;
    this.#last.before(proseOf(done));
    while (this.element.childElementCount > KEPT) this.element.firstElementChild?.remove();
  }
}
