// @ts-check
// Finds words in the whole log of a session, not only in what of it is on the page.
import { h, setText } from './dom.js';
import { list, record, text } from './values.js';
import { visibleText } from './visible.js';

/** Events that are read at once, hits that are shown, characters around one, and of one text that are searched. */
const PAGE = 1000;
const HITS = 100;
const AROUND = 60;
const SEARCHED = 1_000_000;
/** Strings of one event, and levels of what a tool is given. */
const STRINGS = 2000;

/** @param {unknown} value @returns {Generator<string>} all texts in it */
function* stringsIn(value) {
  const open = [value];
  for (let count = 0; open.length && count < STRINGS; count += 1) {
    const one = open.pop();
    if (typeof one === 'string') yield one;
    else if (typeof one === 'object' && one !== null) open.push(...Object.values(one).slice(0, STRINGS).reverse());
  }
}

/** @param {any} event @returns {Generator<string>} what people read of it */
export function* wordsIn({ message: said }) {
  const message = record(said);
  switch (message.type) {
    case 'user': case 'assistant': {
      const { content } = record(message.message);
      if (typeof content === 'string') yield content;
      for (const block of list(content).slice(0, STRINGS).map(record)) {
        if (block.type === 'tool_use') yield* stringsIn([block.name, block.input]);
        else if (block.type === 'tool_result') yield* stringsIn(typeof block.content === 'string' ? block.content : list(block.content).map((part) => record(part).text));
        else yield* stringsIn([block.text, block.thinking]);
      }
      break;
    }
    case 'result': if (message.is_error) yield* stringsIn([message.result, message.errors]); break;
    case 'footbridge': yield* stringsIn([message.message, message.reason, message.text]); break;
    default:
  }
}

/** @param {any} event @param {string} wanted in lower case @returns {string | null} the words around the first place where it is */
export function hitIn(event, wanted) {
  for (const words of wordsIn(event)) {
    const part = words.slice(0, SEARCHED);
    const at = part.toLowerCase().indexOf(wanted);
    if (at === -1) continue;
    const [from, to] = [Math.max(0, at - AROUND), at + wanted.length + AROUND];
    return `${from ? '…' : ''}${part.slice(from, to).replace(/\s+/g, ' ').trim()}${to < words.length ? '…' : ''}`;
  }
  return null;
}

export class Search {
  #run = 0;

  /** @param {{load: (after: number, limit: number) => Promise<{events: any[], last_seq: number}>, goTo: (seq: number) => void}} options */
  constructor(options) {
    this.options = options;
    this.toggle = h('button', { type: 'button', class: 'icon', 'aria-label': 'Search', title: 'Search', 'aria-expanded': 'false', 'data-testid': 'search', on: { click: () => (this.element.hidden ? this.open() : this.close()) } },
      h('span', { 'aria-hidden': 'true' }, '⌕'));
    this.field = h('input', { type: 'search', 'aria-label': 'Search this session', placeholder: 'Search this session', autocomplete: 'off', enterkeyhint: 'search', 'data-testid': 'search-field' });
    this.said = h('p', { class: 'muted small', role: 'status' });
    this.hits = h('ul', { class: 'hits' });
    this.element = h('search', { class: 'search', hidden: true }, h('form', { on: { submit: (/** @type {Event} */ event) => this.#submit(event) } }, this.field), this.said, this.hits);
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key === 'Escape') this.close();
    });
  }

  open() {
    this.element.hidden = false;
    this.toggle.setAttribute('aria-expanded', 'true');
    this.field.focus();
  }

  close() {
    const hadFocus = this.element.contains(document.activeElement);
    this.#run += 1;
    this.element.hidden = true;
    this.toggle.setAttribute('aria-expanded', 'false');
    if (hadFocus) this.toggle.focus();
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    const wanted = this.field.value.trim().toLowerCase();
    this.#run += 1;
    const run = this.#run;
    this.hits.replaceChildren();
    if (!wanted) return setText(this.said, '');
    let [count, last] = [0, 1];
    try {
      for (let after = 0; after < last && count < HITS; ) {
        const page = await this.options.load(after, PAGE);
        if (run !== this.#run) return;
        last = page.last_seq;
        if (!page.events.length) break;
        for (const one of page.events) {
          const words = count < HITS ? hitIn(one, wanted) : null;
          if (words === null) continue;
          count += 1;
          this.hits.append(h('li', {}, h('button', { type: 'button', on: { click: () => this.#go(one.seq) } },
            h('span', { class: 'muted small' }, one.from === 'viewer' ? 'You' : one.from === 'agent' ? 'Agent' : 'Session'), ' ', h('span', { dir: 'auto' }, visibleText(words)))));
        }
        after = page.events[page.events.length - 1].seq;
        setText(this.said, `Searching… ${Math.floor((100 * after) / Math.max(1, last))} %`);
      }
      setText(this.said, count >= HITS ? `The first ${HITS} places` : count === 1 ? '1 place' : count ? `${count} places` : 'Nothing found');
    } catch (error) {
      if (run === this.#run) setText(this.said, `The search failed. ${text(record(error).message)}`);
    }
  }

  /** @param {number} seq */
  #go(seq) {
    if (matchMedia('(max-width: 51.99rem)').matches) this.close();
    this.options.goTo(seq);
  }
}
