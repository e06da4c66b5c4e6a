// @ts-check
// What is printed for programs rather than for people is kept together out of the way: in one fold for
// each turn, raw and in order. The relay's table says which of an agent's messages those are.
import { h, setText } from './dom.js';
import { isReport } from './entries.js';
import { list, record } from './values.js';

/** Entries of one fold; older ones are only in the log. */
const KEPT = 200;

/** Reports that say no more than that all is well. */
const QUIET_STATES = new Set(['queued', 'starting', 'running']);

/** @param {any} event @returns {boolean} */
function isQuietReport(event) {
  if (!isReport(event)) return false;
  const { subtype, state, exit_code: code } = event.message;
  return subtype === 'agent_started' || (subtype === 'session_state' && QUIET_STATES.has(state)) || (subtype === 'agent_exited' && code === 0);
}

/** The relay's table. */
export class Housekeeping {
  /** @type {Record<string, any>[]} none before the table has come: then everything is shown */ #rules = [];

  /** @param {any} table */
  set table(table) {
    this.#rules = list(record(table).rules).map(record);
  }

  /** @param {any} event @returns {'shown' | 'quiet' | 'never'} */
  showing(event) {
    const { from, message } = event;
    if (from !== 'agent') return isQuietReport(event) ? 'quiet' : 'shown';
    const subtype = message?.response?.subtype ?? message?.request?.subtype ?? message?.subtype;
    const rule = this.#rules.find((one) => one.type === message?.type && (one.subtype === undefined || one.subtype === subtype));
    return rule?.show === 'quiet' || rule?.show === 'never' ? rule.show : 'shown';
  }
}

/** What has been said for programs since the last turn ended. */
export class QuietFold {
  /** @type {HTMLDetailsElement | null} */ #details = null;
  #count = 0;
  element = h('div', { class: 'quiet-slot' });

  /** @param {HTMLElement} entry */
  add(entry) {
    entry.dataset.quiet = '';
    if (!this.#details) {
      this.summary = h('summary', { 'data-testid': 'show-technical' });
      this.#details = h('details', { class: 'folded quiet' }, this.summary);
      this.element.append(this.#details);
    }
    this.#details.append(entry);
    this.#count += 1;
    if (this.#details.childElementCount > KEPT + 1) this.#details.children[1].remove();
    if (this.summary) setText(this.summary, `${this.#count.toLocaleString('en')} technical ${this.#count === 1 ? 'message' : 'messages'}`);
  }

  /** @param {boolean} isShown whether a turn is under way, for which it is worth a line */
  set isShown(isShown) {
    this.element.hidden = !isShown;
  }

  /** @param {HTMLElement} entry the end of its turn: all of it goes there, into what is folded there, if anything is */
  settleIn(entry) {
    const count = this.#count;
    const details = this.take();
    if (!details) return;
    const summary = entry.querySelector(':scope > details > summary');
    if (summary) summary.append(` · ${count.toLocaleString('en')} technical`);
    (summary?.parentElement ?? entry).append(details);
  }

  /** @returns {HTMLElement | null} all of it */
  take() {
    const details = this.#details;
    details?.remove();
    [this.#details, this.#count] = [null, 0];
    return details;
  }
}
