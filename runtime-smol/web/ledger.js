// @ts-check
// Which card belongs to which id of a tool's use, so that what is about one call comes together. Ids
// are the agent's: one may be used again, and what belongs together may come, or be loaded, in any order.
import { CallCard, strayResult } from './call-card.js';
import { keep, record, text } from './values.js';

/** @typedef {import('./entries.js').LogEvent} LogEvent */

/** Ids that are known, and cards under one of them. */
const REMEMBERED = 4000;
const UNDER_ONE_ID = 20;
/** Results without a card that are kept until one comes, and that are loaded for a page. */
const STRAYS = 200;

export class Ledger {
  /** @type {Map<string, CallCard[]>} those on the page, by when they were called */ #cards = new Map();
  /** @type {Map<string, {event: LogEvent, block: any, element: HTMLElement}>} */ #strays = new Map();
  /** @type {Map<string, number>} the events of results whose cards have left the page */ #results = new Map();
  /** @type {Set<CallCard>} */ #running = new Set();
  /** @type {WeakMap<Element, {id: string, card: CallCard}>} */ #owners = new WeakMap();

  /** @param {unknown} id @param {number} seq @returns {CallCard | undefined} of the last call under this id before an event */
  before(id, seq) {
    if (typeof id !== 'string') return undefined;
    return this.#cards.get(id)?.filter((card) => card.seq <= seq).pop();
  }

  /** @param {LogEvent} event @param {any} block @returns {HTMLElement} */
  use(event, block) {
    const card = new CallCard(event, block, this.before(event.message.parent_tool_use_id, event.seq) !== undefined);
    this.#running.add(card);
    if (typeof block.id !== 'string') return card.element;
    this.#owners.set(card.element, { id: block.id, card });
    const cards = this.#cards.get(block.id) ?? [];
    cards.push(card);
    cards.sort((a, b) => a.seq - b.seq);
    if (cards.length > UNDER_ONE_ID) cards.shift();
    keep(this.#cards, block.id, cards, REMEMBERED);
    const stray = this.#strays.get(block.id);
    if (stray && stray.event.seq > event.seq && this.before(block.id, stray.event.seq) === card) {
      this.#strays.delete(block.id);
      stray.element.remove();
      this.#finish(card, stray.event, stray.block);
    }
    return card.element;
  }

  /** @param {CallCard} card @param {LogEvent} event @param {any} block */
  #finish(card, event, block) {
    card.finish(event, block);
    if (card.isOver) this.#running.delete(card);
  }

  /** @param {LogEvent} event @param {any} block @returns {HTMLElement | null} null if it is on the card of its call */
  result(event, block) {
    const card = this.before(block.tool_use_id, event.seq);
    if (card && !card.resultSeq) {
      this.#finish(card, event, block);
      return null;
    }
    const element = strayResult(event, block, card?.tool);
    if (!card && typeof block.tool_use_id === 'string') keep(this.#strays, block.tool_use_id, { event, block, element }, STRAYS);
    return element;
  }

  /** @param {LogEvent} event @param {any[]} blocks @returns {boolean} whether it only repeats what another agent was called with */
  isPrompt(event, blocks) {
    const parent = this.before(event.message.parent_tool_use_id, event.seq);
    const { prompt } = record(parent?.input);
    return typeof prompt === 'string' && blocks.length === 1 && blocks[0]?.text === prompt;
  }

  /** @param {LogEvent} event @param {HTMLElement} element @returns {boolean} whether it is a step of another agent, and on the card of that */
  place(event, element) {
    const parent = this.before(event.message?.parent_tool_use_id, event.seq);
    if (!parent || parent.element.contains(element) || element.contains(parent.element)) return false;
    parent.step(element);
    return true;
  }

  /** @param {LogEvent} event @returns {boolean} whether it says how far something is that runs beside the conversation, on its card */
  progress({ seq, message }) {
    const card = this.before(message.tool_use_id, seq);
    if (!card) return false;
    switch (message.subtype) {
      case 'task_started':
        if (message.is_backgrounded !== false && card.resultSeq) card.inBackground();
        return true;
      case 'task_progress':
        card.progress(text(message.last_tool_name ?? message.description).slice(0, 80));
        return true;
      case 'task_notification':
        card.backgroundEnded(text(message.status, 'completed'));
        this.#running.delete(card);
        return true;
      default: return false;
    }
  }

  /** @param {number} seq the turn has ended: what was called before and has no result gets none */
  turnEnded(seq) {
    for (const card of this.#running) {
      if (card.seq > seq || card.state === 'background') continue;
      card.abandon();
      this.#running.delete(card);
    }
  }

  /** @param {Element} element has left the page, with all that is in it */
  left(element) {
    for (const one of [element, ...element.querySelectorAll('[data-part="use"]')]) {
      const owner = this.#owners.get(one);
      if (!owner) continue;
      const { id, card } = owner;
      const others = (this.#cards.get(id) ?? []).filter((other) => other !== card);
      if (others.length) this.#cards.set(id, others);
      else this.#cards.delete(id);
      this.#running.delete(card);
      if (card.resultSeq) keep(this.#results, id, card.resultSeq, REMEMBERED);
    }
  }

  /** @returns {number[]} the events of results that belong to cards which are on the page again */
  get missing() {
    const found = [];
    for (const card of this.#running) {
      const owner = this.#owners.get(card.element);
      const seq = owner && this.#results.get(owner.id);
      if (seq && seq > card.seq && !card.resultSeq) found.push(seq);
    }
    return found.sort((a, b) => a - b).slice(0, STRAYS);
  }
}
