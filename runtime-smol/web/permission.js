// @ts-check
// The agent's permission requests: a card while one is open, a line once anyone has
// answered it. The log decides; until then, this page's own answer is only a guess.
import { Card, ofAnswer } from './card.js';
import { foldedQuestion, isReport } from './entries.js';
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

/** Ids that are still known although nothing under them is open, and what is known under each. */
const REMEMBERED = 1000;
const UNDER_ONE_ID = 100;

/**
 * What is known under one id: agents may use one again, so it may be that of several questions, one
 * after another.
 * @typedef {{cards: Card[], resolutions: Resolution[]}} Known both by `seq`
 */

/** @template {{seq: number}} T @param {T[]} all @param {T} one kept in order, and few */
function insert(all, one) {
  const at = all.findIndex(({ seq }) => seq >= one.seq);
  if (at === -1) all.push(one);
  else if (all[at].seq !== one.seq) all.splice(at, 0, one);
  if (all.length > UNDER_ONE_ID) all.shift();
}

/** @template {{seq: number}} T @param {T[]} all @param {number} seq @returns {T | undefined} the last one before it */
const lastBefore = (all, seq) => all.filter((one) => one.seq < seq).pop();

/** @template {{seq: number}} T @param {T[]} all @param {number} seq @returns {T | undefined} the first one after it */
const firstAfter = (all, seq) => all.find((one) => one.seq > seq);

export class Permissions {
  /** @type {Map<string, Known>} */ #known = new Map();

  /**
   * @param {import('./card.js').Answer} answer @param {() => void} onChange called when a request opens or closes
   * @param {import('./answer-link.js').MakeLink} [link] makes a link by which somebody else can answer
   * @param {import('./kept-answers.js').KeptAnswers} [kept] answers that wait for a connection
   */
  constructor(answer, onChange, link, kept) {
    this.answer = answer;
    this.link = link;
    this.kept = kept;
    this.onChange = onChange;
  }

  /** @returns {Card[]} open requests, oldest first */
  get pending() {
    const all = [...this.#known.values()].flatMap(({ cards }) => cards);
    return all.filter((card) => card.open).sort((a, b) => a.seq - b.seq);
  }

  /** @returns {Card[]} those whose turn goes on, so that the agent waits for an answer */
  get waiting() {
    return this.pending.filter((card) => !card.turnEnded);
  }

  /** @param {any[]} questions the open ones, as the relay knows them */
  learn(questions) {
    const ended = new Set(questions.filter((one) => one.turn_ended === true).map((one) => one.seq));
    const known = new Set(questions.map((one) => one.seq));
    let changed = false;
    for (const card of this.pending) {
      if (known.has(card.seq)) card.resend();
      if (card.turnEnded === ended.has(card.seq)) continue;
      card.turnEnded = ended.has(card.seq);
      changed = true;
    }
    if (changed) this.onChange();
  }

  /** @param {string} id @returns {Known} */
  #of(id) {
    const known = this.#known.get(id) ?? { cards: [], resolutions: [] };
    keep(this.#known, id, known, Infinity);
    if (this.#known.size > 2 * REMEMBERED) this.#forgetOldest();
    return known;
  }

  /**
   * @param {any} event @param {import('./call-card.js').CallCard} [call] what it is about, if that is shown
   * @returns {HTMLElement} the one card for this request, wherever it is shown
   */
  card(event, call) {
    const { cards, resolutions } = this.#of(event.message.request_id);
    const shown = cards.find((card) => card.seq === event.seq);
    if (shown) {
      shown.belongTo(call);
      return shown.element;
    }
    const before = lastBefore(cards, event.seq);
    const closed = before && firstAfter(resolutions, before.seq);
    if (before && (closed ? closed.seq > event.seq : before.open)) {
      return foldedQuestion(event, before.asks(event.message.request)
        ? 'The agent repeated a question that is open; one answer is for both'
        : 'The agent asked another question under the id of one that was open; neither can be answered');
    }
    const card = new Card(event, this.answer, (resolution) => this.#close(card, resolution), call, this.link, this.kept);
    insert(cards, card);
    const next = firstAfter(cards, event.seq);
    const resolution = firstAfter(resolutions, event.seq);
    if (resolution && !(next && next.seq < resolution.seq)) card.resolve(resolution);
    else if (next) card.resolve({ seq: next.seq, outcome: 'withdrawn', detail: 'asked again later with the same id' });
    else this.onChange();
    return card.element;
  }

  /** @param {any} event @returns {boolean} whether the event belongs to a request and is shown on its card */
  take(event) {
    const found = resolutionIn(event);
    if (!found || typeof found[0] !== 'string') return false;
    const [id, resolution] = found;
    const { cards, resolutions } = this.#of(id);
    const before = lastBefore(resolutions, resolution.seq);
    insert(resolutions, resolution);
    const card = lastBefore(cards, resolution.seq);
    // What says that a closed question is closed says nothing new.
    if (card && !(before && before.seq > card.seq)) this.#close(card, resolution);
    return cards.length > 0;
  }

  /** @param {any} event an answer @returns {HTMLElement | undefined} the card of its question */
  cardOf(event) {
    const known = this.#known.get(event.message.response?.request_id);
    return known && lastBefore(known.cards, event.seq)?.element;
  }

  /** @param {Set<number> | null} open shows those of these events only: the answers to others are still to come */
  showOnly(open) {
    for (const card of this.pending) card.element.hidden = open !== null && !open.has(card.seq);
  }

  /** @param {Card} card @param {Resolution} resolution */
  #close(card, resolution) {
    card.element.hidden = false;
    card.resolve(resolution);
    this.onChange();
  }

  #forgetOldest() {
    const over = [...this.#known].filter(([, { cards }]) => !cards.some((card) => card.open));
    for (const [id] of over.slice(0, -REMEMBERED)) this.#known.delete(id);
  }

  /** No one is left to receive an answer. */
  sessionEnded() {
    for (const card of this.pending) {
      this.#close(card, { seq: Infinity, outcome: 'withdrawn', detail: 'the session ended' });
    }
  }

  /** There is a connection: answers that have waited for one are sent. */
  resend() {
    for (const card of this.pending) card.resend();
  }

  /** The page goes elsewhere. */
  leave() {
    for (const card of this.pending) card.leave();
  }

  clear() {
    this.leave();
    this.#known.clear();
    this.onChange();
  }
}
