// @ts-check
// Answers to a session's questions that wait for a connection, kept over a reload: a phone drops a page
// that is not looked at.
import { PREFIX } from './outbox.js';
import { number, record } from './values.js';

/** An answer that is older is not sent by itself: what it was given for may be long past. */
const FRESH_MS = 12 * 60 * 60 * 1000;
const MOST = 100;

export class KeptAnswers {
  #key;

  /** @param {{sessionId: string, storage: () => Storage, now?: () => number}} options */
  constructor(options) {
    this.options = options;
    this.now = options.now ?? Date.now;
    this.#key = `${PREFIX}answers.${options.sessionId}`;
  }

  /** @returns {Record<string, any>} by the number of the question's event */
  #all() {
    try {
      return record(JSON.parse(this.options.storage().getItem(this.#key) ?? '{}'));
    } catch {
      return {};
    }
  }

  /** @param {Record<string, any>} all */
  #write(all) {
    try {
      const kept = Object.entries(all).slice(-MOST);
      if (kept.length) this.options.storage().setItem(this.#key, JSON.stringify(Object.fromEntries(kept)));
      else this.options.storage().removeItem(this.#key);
    } catch {
      // Then it lasts as long as the page.
    }
  }

  /** @param {number} seq of the question @returns {{answer: any, isOld: boolean} | null} */
  of(seq) {
    const { answer, at } = record(this.#all()[seq]);
    if (typeof answer?.behavior !== 'string') return null;
    return { answer, isOld: !(this.now() - (number(at) || 0) < FRESH_MS) };
  }

  /** @param {number} seq @param {any} answer */
  keep(seq, answer) {
    this.#write({ ...this.#all(), [seq]: { answer, at: this.now() } });
  }

  /** @param {number} seq the question is answered, or its answer has become another one */
  forget(seq) {
    const all = this.#all();
    if (!(seq in all)) return;
    delete all[seq];
    this.#write(all);
  }
}
