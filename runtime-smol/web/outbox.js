// @ts-check
// Messages that are not in the log yet: sent one after another, kept over a reload, and kept while there
// is no connection. A uuid made before the first attempt makes every other one harmless.
import { ApiError, uuid } from './api.js';
import { blockOf } from './pictures.js';
import { list, number, record, text } from './values.js';

/**
 * @typedef {import('./pictures.js').Picture} Picture
 * @typedef {'sending' | 'sent' | 'queued' | 'unsent'} State `queued` until there is a connection, `unsent` until somebody says so
 * @typedef {{uuid: string, text: string, pictures: Picture[], at: number, state: State, error: string, seq?: number}} Item
 */

/** After so long, nobody expects a message to leave by itself. */
const FRESH_MS = 12 * 60 * 60 * 1000;
const MOST = 200;
/** What everything that waits in this browser is kept under. */
export const PREFIX = 'footbridge.unsent.';

/** @param {Item} item @returns {any} */
function messageOf(item) {
  const content = item.pictures.length
    ? [...item.pictures.map(blockOf), ...(item.text ? [{ type: 'text', text: item.text }] : [])] : item.text;
  return { type: 'user', message: { role: 'user', content }, parent_tool_use_id: null, session_id: '', uuid: item.uuid };
}

/** @param {Storage} storage everything that waits in this browser is forgotten */
export function forgetAll(storage) {
  try {
    for (const key of Object.keys(storage)) if (key.startsWith(PREFIX)) storage.removeItem(key);
  } catch {
    // Then nothing was kept.
  }
}

export class Outbox {
  /** @type {Item[]} */ items = [];
  #key;
  #pumping = false;
  #lastSeq = 0;

  /**
   * @param {{sessionId: string, send: (message: any) => Promise<any>, onChange: () => void, storage: () => Storage, now?: () => number}} options
   */
  constructor(options) {
    this.options = options;
    this.now = options.now ?? Date.now;
    this.#key = `${PREFIX}${options.sessionId}`;
    this.#recall();
  }

  #recall() {
    try {
      const kept = list(JSON.parse(this.options.storage().getItem(this.#key) ?? '[]')).map(record);
      this.items = kept.slice(0, MOST).map((one) => {
        const at = number(one.at) || 0;
        const isFresh = this.now() - at < FRESH_MS;
        return {
          uuid: text(one.uuid), text: text(one.text), pictures: list(one.pictures).map(record).map(({ type, data }) => ({ type: text(type), data: text(data) })), at,
          state: isFresh ? 'queued' : 'unsent', error: isFresh ? '' : 'It was written a long time ago.',
        };
      });
    } catch {
      this.items = [];
    }
  }

  #changed() {
    const { storage, onChange } = this.options;
    try {
      if (this.items.length) storage().setItem(this.#key, JSON.stringify(this.items));
      else storage().removeItem(this.#key);
    } catch {
      // It lasts as long as the page. What is kept from before would be too old.
      try {
        storage().setItem(this.#key, JSON.stringify(this.items.filter(({ pictures }) => !pictures.length)));
      } catch {
        // There is no storage at all.
      }
    }
    onChange();
  }

  /** @param {string} words @param {Picture[]} pictures */
  add(words, pictures) {
    this.items.push({ uuid: uuid(), text: words, pictures, at: this.now(), state: 'sending', error: '' });
    this.#changed();
    this.#pump();
  }

  /** There is a connection: what waits for one is sent. */
  connected() {
    let isAny = false;
    for (const item of this.items) {
      if (item.state !== 'queued') continue;
      item.state = 'sending';
      isAny = true;
    }
    if (!isAny) return;
    this.#changed();
    this.#pump();
  }

  /** @param {Item} item */
  retry(item) {
    item.state = 'sending';
    this.#changed();
    this.#pump();
  }

  /** @param {any} event of the log */
  saw(event) {
    this.#lastSeq = event.seq;
    const { type, uuid: id } = record(event.message);
    if (type === 'user' && typeof id === 'string') this.forget(id);
  }

  /** @param {string} id */
  forget(id) {
    const before = this.items.length;
    this.items = this.items.filter((item) => item.uuid !== id);
    if (this.items.length !== before) this.#changed();
  }

  /** One at a time: the order of messages is part of what they say. */
  async #pump() {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let item = this.#next(); item; item = this.#next()) {
      try {
        const { accepted } = await this.options.send(messageOf(item));
        item.state = 'sent';
        item.seq = accepted?.[0]?.seq;
        if (item.seq !== undefined && item.seq <= this.#lastSeq) this.forget(item.uuid);
      } catch (error) {
        this.#failed(item, error);
      }
      this.#changed();
    }
    this.#pumping = false;
  }

  /** @param {Item} item @param {unknown} error */
  #failed(item, error) {
    // Nothing has answered: it waits for something that does.
    const isAway = error instanceof ApiError && error.status === 0;
    const reason = error instanceof ApiError ? error.message : text(record(error).message, 'something failed');
    for (const one of this.items) {
      if (one.state !== 'sending') continue;
      one.state = isAway ? 'queued' : 'unsent';
      one.error = isAway ? '' : one === item ? reason : 'It is waiting for the message before it.';
    }
  }

  #next() {
    return this.items.find((item) => item.state === 'sending');
  }
}
