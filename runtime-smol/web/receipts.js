// @ts-check
// How far what was sent from here or elsewhere has come: a quiet mark on each message,
// answer and request until the agent has read it, and a loud one if it never will.
import { h } from './dom.js';
import { uuid } from './api.js';
import { isReport } from './entries.js';
import { list, text } from './values.js';

/**
 * @typedef {{stored: number, sent: number, with_worker: number, delivered: number, seen: number}} Cursors
 * @typedef {{stage: string, reason: string}} Failure
 * @typedef {{element: HTMLElement, names: string[], message: any}} Mark
 */

/** Marks beyond which those that have left the page are forgotten. */
const KEPT = 4000;

/** @type {Record<string, string>} */
const WORDS = {
  stored: 'Waiting for the worker',
  sent: 'On its way',
  with_worker: 'Waiting for the agent',
  delivered: 'Delivered',
  seen: 'Read',
  indeterminate: 'Not known whether the agent read this',
  undelivered: 'Not delivered',
  expired: 'Not delivered: the worker did not come back',
};

/** @type {Map<unknown, string>} */
const FAILURES = new Map([
  ['messages_indeterminate', 'indeterminate'], ['messages_undelivered', 'undelivered'], ['messages_expired', 'expired'],
]);

/** @param {Cursors | null} cursors @param {number} seq @returns {string} */
function stageOf(cursors, seq) {
  if (!cursors) return '';
  if (seq <= cursors.seen) return 'seen';
  if (seq <= cursors.delivered) return 'delivered';
  if (seq <= cursors.with_worker) return 'with_worker';
  return seq <= cursors.sent ? 'sent' : 'stored';
}

/** @param {any} event @returns {string[]} what a report may call it by */
function namesOf({ seq, message }) {
  const names = [`seq ${seq}`];
  if (message.type === 'user') names.push(`message ${text(message.uuid)}`);
  if (message.type === 'control_request') names.push(`request ${text(message.request_id)}`);
  if (message.type === 'control_response') names.push(`answer ${text(message.response?.request_id)}`);
  return names;
}

export class Receipts {
  /** @type {Cursors | null} */ #cursors = null;
  /** @type {Map<string, Failure>} */ #failures = new Map();
  /** @type {Map<number, Mark>} those that are shown */ #marks = new Map();
  /** @type {Set<number>} the ones that have not come to an end */ #open = new Set();
  #sessionEnded = false;

  /**
   * @param {(text: string) => void} onFailure
   * @param {(message: any, key: string) => Promise<boolean>} sendAgain a user message, to this session or to a new one, which is made under the key
   */
  constructor(onFailure, sendAgain = () => Promise.resolve(false)) {
    this.onFailure = onFailure;
    this.sendAgain = sendAgain;
  }

  /** Whether only a new session could have a message sent again. */
  set sessionEnded(ended) {
    if (ended === this.#sessionEnded) return;
    this.#sessionEnded = ended;
    for (const { element } of this.#marks.values()) {
      const button = element.querySelector('button');
      if (button) button.textContent = this.#again;
    }
  }

  get #again() {
    return this.#sessionEnded ? 'Send again in a new session' : 'Send again';
  }

  clear() {
    this.#cursors = null;
    this.#failures.clear();
    this.#marks.clear();
    this.#open.clear();
  }

  /** @param {Cursors | undefined} cursors */
  show(cursors) {
    if (!cursors) return;
    this.#cursors = cursors;
    for (const seq of this.#open) this.#update(seq);
    if (this.#marks.size > KEPT) this.#prune();
  }

  /** What has left the page. */
  #prune() {
    for (const [seq, { element }] of this.#marks) {
      if (!element.isConnected && !this.#open.has(seq)) this.#marks.delete(seq);
    }
  }

  /** @param {any} event @param {HTMLElement | undefined} entry what shows it */
  mark(event, entry) {
    if (event.from !== 'viewer' || !entry) return;
    for (const old of entry.querySelectorAll('[data-testid="receipt"]')) old.remove();
    const element = h('p', { class: 'receipt', 'data-testid': 'receipt' });
    entry.append(element);
    const message = event.message.type === 'user' ? event.message : null;
    this.#marks.set(event.seq, { element, names: namesOf(event), message });
    this.#open.add(event.seq);
    this.#update(event.seq);
  }

  /** @param {any} event takes in what did not end well, if the event says so */
  take(event) {
    const stage = isReport(event) && FAILURES.get(event.message.subtype);
    if (!stage) return;
    const { uuids, request_ids: requests, answers, seqs, reason } = event.message;
    const named = (/** @type {string} */ kind, /** @type {any} */ all) => list(all).map((id) => `${kind} ${text(id)}`);
    // Numbers are exact; a request's id may have been used before.
    const bySeq = named('seq', seqs);
    const names = bySeq.length ? bySeq : [...named('message', uuids), ...named('request', requests), ...named('answer', answers)];
    for (const name of names) {
      if (!this.#failures.has(name)) this.#failures.set(name, { stage, reason: text(reason) });
    }
    if (named('answer', answers).length) this.onFailure('An answer of yours was not delivered to the agent.');
    else if (names.length) this.onFailure('A message was not delivered to the agent.');
    // While a log is replayed, what it says about older messages comes after them.
    for (const [seq, mark] of this.#marks) if (mark.names.some((name) => names.includes(name))) this.#update(seq);
  }

  /** @param {any} message @returns {HTMLButtonElement} */
  #againButton(message) {
    const button = h('button', { type: 'button', class: 'link', 'data-testid': 'send-again' }, this.#again);
    // Made once, so that trying again after a lost answer does no harm.
    const [name, key] = [uuid(), uuid()];
    button.addEventListener('click', async () => {
      if (button.getAttribute('aria-disabled') === 'true') return;
      button.setAttribute('aria-disabled', 'true');
      if (await this.sendAgain({ ...message, uuid: name }, key)) button.replaceWith('Sent again.');
      else button.removeAttribute('aria-disabled');
    });
    return button;
  }

  /** @param {number} seq */
  #update(seq) {
    const mark = this.#marks.get(seq);
    if (!mark) return;
    const { element, names, message } = mark;
    const failure = names.map((name) => this.#failures.get(name)).find(Boolean);
    const stage = failure?.stage ?? stageOf(this.#cursors, seq);
    if (element.dataset.stage !== stage) {
      element.dataset.stage = stage;
      element.textContent = WORDS[stage] ?? '';
      if (failure?.reason) element.append(h('span', { class: 'why' }, ` · ${failure.reason}`));
      if (failure && message) element.append(' ', this.#againButton(message));
    }
    if (failure || stage === 'seen') this.#open.delete(seq);
  }
}
