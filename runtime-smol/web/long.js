// @ts-check
// Texts that may be megabytes long, shown without ever holding the page: they are cut into small
// pieces, a few of which are made between two frames; and what is not on the screen is not laid out.
import { h } from './dom.js';

/** Characters of one piece: a line that is longer continues in the next one. */
const PIECE = 2000;
/** Lines of one piece. */
const PIECE_LINES = 100;
/** What is made between two frames: whichever is reached first. */
const SLICE = { chars: 16_000, nodes: 400, ms: 8 };
/** Characters that are shown at first; a text that is hardly longer is shown whole. */
const SHOWN = 4000;
const HARDLY_LONGER = 1.5;
/** How much more a click shows. */
const STEP = 200_000;
const STEP_PIECES = 4000;

/**
 * A piece of a text that has been made. Without an element, it had nothing to show.
 * @typedef {{element: HTMLElement | null, chars: number, nodes?: number}} Made `nodes` beyond those of the element
 * @typedef {{element: HTMLElement, make: (lines: Iterable<Line>) => Iterable<Made>}} Form how a text is shown
 * @typedef {{text: string, ends: boolean, chars: number}} Line part of a line, or all of it; `ends` if a line break follows
 */

/** Lets the page draw and react. @returns {Promise<void>} */
export const nextFrame = () => new Promise((wake) => {
  const done = () => {
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    wake();
  };
  const frame = requestAnimationFrame(done);
  // A hidden page gets no frames.
  const timer = setTimeout(done, 200);
});

/** @param {string} text @param {number} limit @returns {number} where to cut it: at a space if there is one, and through no character */
function cutOf(text, limit) {
  if (text.length <= limit) return text.length;
  const space = text.lastIndexOf(' ', limit - 1);
  if (space > limit / 2) return space + 1;
  const code = text.charCodeAt(limit - 1);
  return code >= 0xd800 && code < 0xdc00 ? limit - 1 : limit;
}

/** @param {string} text @returns {Generator<string>} */
export function* chunksOf(text) {
  for (let at = 0; at < text.length; at += SLICE.chars) yield text.slice(at, at + SLICE.chars);
}

/** @param {Iterable<string>} chunks @returns {Generator<Line>} no part is longer than a piece */
export function* linesOf(chunks) {
  let rest = '';
  for (const chunk of chunks) {
    rest += chunk;
    let at = 0;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n', at)) {
      while (end - at > PIECE) {
        const text = rest.slice(at, at + cutOf(rest.slice(at, at + PIECE + 1), PIECE));
        at += text.length;
        yield { text, ends: false, chars: text.length };
      }
      yield { text: rest.slice(at, end), ends: true, chars: end - at + 1 };
      at = end + 1;
    }
    while (rest.length - at > PIECE) {
      const text = rest.slice(at, at + cutOf(rest.slice(at, at + PIECE + 1), PIECE));
      at += text.length;
      yield { text, ends: false, chars: text.length };
    }
    rest = rest.slice(at);
  }
  if (rest) yield { text: rest, ends: true, chars: rest.length };
}

/** @param {Iterable<Line>} lines @returns {Generator<{text: string, continues: boolean, chars: number}>} as many as fit, together */
export function* piecesOf(lines) {
  /** @type {string[]} */ let held = [];
  let [chars, continues] = [0, false];
  for (const line of lines) {
    if (held.length && (chars + line.chars > PIECE || held.length >= PIECE_LINES)) {
      yield { text: held.join('\n'), continues, chars };
      [held, chars, continues] = [[], 0, false];
    }
    held.push(line.text);
    chars += line.chars;
    if (!line.ends) {
      yield { text: held.join('\n'), continues, chars };
      [held, chars, continues] = [[], 0, true];
    }
  }
  if (held.length) yield { text: held.join('\n'), continues, chars };
}

/** Characters of one group of pieces. What is not on the screen is left out by groups. */
const GROUP = 8000;
/** How many characters a node counts for. */
export const NODE = 20;

/** Adds pieces to an element, in groups. */
export class Groups {
  #parent;
  #tag;
  #chars = Infinity;
  /** @type {HTMLElement} */ #group;

  /** @param {HTMLElement} parent @param {string} tag */
  constructor(parent, tag) {
    [this.#parent, this.#tag] = [parent, tag];
    this.#group = parent;
  }

  /** @param {HTMLElement} piece @param {number} chars */
  add(piece, chars) {
    if (this.#chars >= GROUP) {
      this.#group = h(this.#tag, { class: 'group' });
      this.#parent.append(this.#group);
      this.#chars = 0;
    }
    this.#chars += Math.max(chars, NODE * (1 + piece.childNodes.length));
    this.#group.append(piece);
  }
}

/** @param {(text: string) => (string | Node)[]} mark @returns {() => Form} preformatted text */
export const preformatted = (mark) => () => {
  const code = h('code', {});
  const groups = new Groups(code, 'span');
  return {
    // It may be longer than its place, and is then scrolled with the keyboard.
    element: h('pre', { dir: 'ltr', tabindex: '0' }, code),
    *make(lines) {
      for (const { text, continues, chars } of piecesOf(lines)) {
        const element = h('span', { class: 'piece', 'data-continues': continues ? '' : null }, mark(text));
        groups.add(element, chars);
        yield { element, chars };
      }
    },
  };
};

export const codeForm = preformatted((text) => [text]);

/**
 * Output can be megabytes, so the rest waits for a click.
 * @param {string | Iterable<string>} source @param {() => Form} formOf @returns {Node[]} empty if there is nothing
 */
export function clipped(source, formOf) {
  const long = new LongText(source, typeof source === 'string' ? source.length : NaN, formOf);
  if (long.isComplete) return long.isEmpty ? [] : [long.element];
  return [long.element, long.button];
}

export class LongText {
  #making;
  #onMore;
  #total;
  #shown = 0;
  isComplete = false;
  isEmpty = true;

  /**
   * @param {string | Iterable<string>} source @param {number} total its length, if that is known
   * @param {() => Form} formOf @param {() => void} [onMore] called when more of it is shown
   */
  constructor(source, total, formOf, onMore = () => {}) {
    const form = formOf();
    const chunks = typeof source === 'string' ? chunksOf(source) : source;
    this.#making = form.make(linesOf(chunks))[Symbol.iterator]();
    this.#total = total;
    this.#onMore = onMore;
    this.element = form.element;
    this.button = h('button', { type: 'button', class: 'link', 'data-testid': 'show-more', on: { click: () => this.#more() } });
    this.#begin();
  }

  /** @returns {number} how many characters are not shown; NaN if it is not known how many */
  get left() {
    return this.isComplete ? 0 : this.#total - this.#shown;
  }

  /** Shows the beginning. */
  #begin() {
    const most = this.#total <= SHOWN * HARDLY_LONGER ? Infinity : SHOWN;
    let nodes = 0;
    while (this.#shown < most && nodes < SLICE.nodes * 2 && this.#one()) nodes += this.#weight;
    // What follows may be nothing.
    if (this.#shown >= this.#total) this.#one();
    this.#name();
  }

  #weight = 0;

  /** @returns {boolean} whether there was one more piece */
  #one() {
    const { value, done } = this.#making.next();
    if (done) {
      this.isComplete = true;
      return false;
    }
    this.#weight = 0;
    if (value.element) {
      this.isEmpty = false;
      this.#weight = 1 + value.element.childNodes.length + (value.nodes ?? 0);
    }
    this.#shown += value.chars;
    return true;
  }

  #name() {
    this.button.hidden = this.isComplete;
    const rest = this.#total - this.#shown;
    this.button.textContent = Number.isNaN(rest) ? 'Show more'
      : rest > STEP ? `Show ${STEP.toLocaleString()} of ${rest.toLocaleString()} more characters`
        : `Show all ${this.#total.toLocaleString()} characters`;
  }

  async #more() {
    if (this.button.getAttribute('aria-disabled') === 'true') return;
    // From here on, what is not on the screen is not laid out.
    this.element.dataset.long = '';
    this.button.setAttribute('aria-disabled', 'true');
    this.button.textContent = 'Showing more…';
    this.element.tabIndex = -1;
    this.element.focus({ preventScroll: true });
    const until = this.#shown + STEP;
    let pieces = 0;
    while (!this.isComplete && this.#shown < until && pieces < STEP_PIECES && this.element.isConnected) {
      const end = performance.now() + SLICE.ms;
      const chars = this.#shown + SLICE.chars;
      let nodes = 0;
      while (this.#shown < chars && nodes < SLICE.nodes && performance.now() < end && this.#one()) nodes += this.#weight;
      pieces += Math.ceil(nodes / 8);
      await nextFrame();
    }
    this.#name();
    this.button.removeAttribute('aria-disabled');
    this.#onMore();
  }
}
