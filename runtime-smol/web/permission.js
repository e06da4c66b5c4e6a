// @ts-check
// The agent's permission requests: a card while one is open, a line once anyone has
// answered it. The log decides; until then, this page's own answer is only a guess.
import { Card, ofAnswer } from './card.js';
import { isReport, repeatEntry } from './messages.js';
import { keep, text } from './values.js';

/** @typedef {import('./card.js').Resolution} Resolution */

/** @param {any} event @returns {boolean} */
export const isQuestion = (event) =>
  event.from === 'agent' && event.message?.type === 'control_request'
  && event.message.request?.subtype === 'can_use_tool' && typeof event.message.request_id === 'string';

/** @param {any} event @returns {[string, Resolution] | null} what an event says about a request */
function resolutionIn(event) {
  const { seq, from, message } = event;
  if (message?.type === 'control_cancel_request') {
    return [message.request_id, { seq, outcome: 'withdrawn', detail: 'the agent withdrew its question' }];
  }
  if (isReport(event, 'permission_withdrawn')) {
    return [message.request_id, { seq, outcome: 'withdrawn', detail: text(message.reason) }];
  }
  if (message?.type !== 'control_response' || from === 'agent') return null;
  const { response } = message;
  if (response?.subtype === 'error') {
    return [response.request_id, { seq, outcome: 'failed', detail: text(response.error) }];
  }
  return [response?.request_id, { seq, ...ofAnswer(response?.response) }];
}

/** Requests that are over and still known, and what is known about requests by their ids. */
const REMEMBERED = 1000;

export class Permissions {
  /** @type {Map<string, Resolution>} */ #resolutions = new Map();
  /** @type {Map<string, Card>} */ #cards = new Map();

  /** @param {import('./card.js').Answer} answer @param {() => void} onChange called when a request opens or closes */
  constructor(answer, onChange) {
    this.answer = answer;
    this.onChange = onChange;
  }

  /** @returns {Card[]} open requests, oldest first */
  get pending() {
    return [...this.#cards.values()].filter((card) => card.open).sort((a, b) => a.seq - b.seq);
  }

  /** @param {any} event @returns {HTMLElement} the one card for this request, wherever it is shown */
  card(event) {
    const id = event.message.request_id;
    const known = this.#cards.get(id);
    if (known && known.seq === event.seq) return known.element;
    if (known && known.seq > event.seq) {
      // A restarted agent may number its requests from the start again.
      const old = new Card(event, this.answer, () => {});
      old.resolve({ seq: known.seq, outcome: 'withdrawn', detail: 'asked again later with the same id' });
      return old.element;
    }
    // An answer names only the id, and is one to the question that was asked first.
    if (known?.open) return repeatEntry(event);
    const card = new Card(event, this.answer, (resolution) => this.resolve(id, resolution));
    this.#cards.set(id, card);
    if (this.#cards.size > 2 * REMEMBERED) this.#forgetOldest();
    const resolution = this.#resolutions.get(id);
    if (resolution && resolution.seq > event.seq) card.resolve(resolution);
    else this.onChange();
    return card.element;
  }

  /** @param {any} event @returns {boolean} whether the event belongs to a request and is shown on its card */
  take(event) {
    const found = resolutionIn(event);
    if (!found || typeof found[0] !== 'string') return false;
    this.resolve(...found);
    return this.#cards.has(found[0]);
  }

  /** @param {any} event an answer @returns {HTMLElement | undefined} the card of its question */
  cardOf(event) {
    return this.#cards.get(event.message.response?.request_id)?.element;
  }

  /** @param {string} id @param {Resolution} resolution */
  resolve(id, resolution) {
    keep(this.#resolutions, id, resolution, 2 * REMEMBERED);
    const card = this.#cards.get(id);
    if (!card || resolution.seq <= card.seq) return;
    card.resolve(resolution);
    this.onChange();
  }

  #forgetOldest() {
    const over = [...this.#cards].filter(([, card]) => !card.open);
    for (const [id] of over.slice(0, -REMEMBERED)) this.#cards.delete(id);
  }

  /** No one is left to receive an answer. */
  sessionEnded() {
    for (const card of this.pending) {
      this.resolve(card.id, { seq: Infinity, outcome: 'withdrawn', detail: 'the session ended' });
    }
  }

  /** The page goes elsewhere. */
  leave() {
    for (const card of this.pending) card.leave();
  }

  clear() {
    this.leave();
    this.#cards.clear();
    this.#resolutions.clear();
    this.onChange();
  }
}
