// @ts-check
// Finds words in all sessions: in their titles at once, and then in their logs, the newest first, for as long
// as somebody wants to wait.
import { h, freshId, setText } from './dom.js';
import { shortId, titleOf } from './format.js';
import { hitIn } from './search.js';
import { record, text } from './values.js';
import { visibleText } from './visible.js';

/** Events that are read at once, and until somebody asks for more; hits of one session, and in all. */
const PAGE = 1000;
const ROUND = 20_000;
const OF_ONE = 5;
const HITS = 100;

/**
 * The pages of a session's log, the newest first.
 * @param {any} session @returns {Generator<{after: number, limit: number}>}
 */
export function* pagesOf({ first_seq: first, last_seq: last }) {
  for (let end = last; end >= first; ) {
    const after = Math.max(first - 1, end - PAGE);
    yield { after, limit: end - after };
    end = after;
  }
}

/**
 * @typedef {{session: any, seq: number | null, words: string}} Hit `seq` is null for a title
 * @typedef {{load: (id: string, after: number, limit: number) => Promise<{events: any[]}>, sessions: any[]}} Source
 */

/**
 * Everything in which the words are found, and after each page how many events were read.
 * @param {Source} source @param {string} wanted in lower case @returns {AsyncGenerator<Hit | number>}
 */
export async function* find({ load, sessions }, wanted) {
  const newest = [...sessions].sort((a, b) => text(b.updated_at).localeCompare(text(a.updated_at)));
  for (const session of newest) if (titleOf(session).toLowerCase().includes(wanted)) yield { session, seq: null, words: '' };
  for (const session of newest) {
    let count = 0;
    for (const { after, limit } of pagesOf(session)) {
      // One that is gone by now has nothing to be found in.
      const { events } = await load(session.id, after, limit).catch((error) => {
        if (record(error).status === 404) return { events: [] };
        throw error;
      });
      for (const event of [...events].reverse()) {
        const words = count < OF_ONE ? hitIn(event, wanted) : null;
        if (words === null) continue;
        count += 1;
        yield { session, seq: event.seq, words };
      }
      yield limit;
      if (count >= OF_ONE) break;
    }
  }
}

export class SearchAll {
  #run = 0;

  /** @param {Source | (() => Source)} source */
  constructor(source) {
    this.source = source;
    const fieldId = freshId('search-all');
    this.field = h('input', { id: fieldId, type: 'search', autocomplete: 'off', enterkeyhint: 'search', placeholder: 'Search all sessions', 'aria-label': 'Search all sessions', 'data-testid': 'search-all' });
    this.said = h('p', { class: 'muted small', role: 'status' });
    this.hits = h('ul', { class: 'hits' });
    this.more = h('button', { type: 'button', class: 'link', hidden: true, 'data-testid': 'search-on' }, 'Search further back');
    this.clear = h('button', { type: 'button', class: 'link', hidden: true, on: { click: () => this.#reset() } }, 'Done');
    this.element = h('search', { class: 'search-all' },
      h('form', { on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); void this.#begin(); } } }, this.field),
      this.said, this.hits, h('p', {}, this.more, this.clear));
    this.field.addEventListener('input', () => { if (!this.field.value) this.#reset(); });
  }

  #reset() {
    this.#run += 1;
    this.field.value = '';
    this.hits.replaceChildren();
    setText(this.said, '');
    this.more.hidden = true;
    this.clear.hidden = true;
  }

  async #begin() {
    const wanted = this.field.value.trim().toLowerCase();
    if (!wanted) return this.#reset();
    this.#run += 1;
    this.hits.replaceChildren();
    this.clear.hidden = false;
    const source = typeof this.source === 'function' ? this.source() : this.source;
    await this.#go(find(source, wanted), this.#run);
  }

  /** @param {AsyncGenerator<Hit | number>} found @param {number} run */
  async #go(found, run) {
    this.more.hidden = true;
    let read = 0;
    try {
      for (;;) {
        const { value, done } = await found.next();
        if (run !== this.#run) return;
        const shown = this.hits.children.length;
        if (done || shown >= HITS) return setText(this.said, shown >= HITS ? `The first ${HITS} places` : shown ? `${shown} found` : 'Nothing found');
        if (typeof value === 'number') {
          read += value;
          setText(this.said, `Searching… ${shown} found`);
          if (read >= ROUND) break;
        } else this.hits.append(hit(value));
      }
      const shown = this.hits.children.length;
      setText(this.said, `${shown || 'Nothing'} found in the newest ${read.toLocaleString()} events`);
      this.more.hidden = false;
      this.more.onclick = () => void this.#go(found, run);
    } catch (error) {
      if (run === this.#run) setText(this.said, `The search failed. ${text(record(error).message)}`);
    }
  }
}

/** @param {Hit} found */
function hit({ session, seq, words }) {
  const place = `#/session/${encodeURIComponent(session.id)}${seq === null ? '' : `/${seq}`}`;
  return h('li', {}, h('a', { href: place }, h('span', { class: 'item-title', dir: 'auto' }, visibleText(titleOf(session) || shortId(session.id))),
    words && h('span', { class: 'muted small', dir: 'auto' }, visibleText(words))));
}
