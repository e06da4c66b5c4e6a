// @ts-check
// What an agent prints for programs rather than for people is kept out of sight until someone
// wants to see everything. The relay's table says which messages those are.
import { h } from './dom.js';
import { list, record } from './values.js';

export class Housekeeping {
  /** @type {Record<string, any>[]} none before the table has come: then everything is shown */ #rules = [];

  /** @param {HTMLElement} log */
  constructor(log) {
    this.log = log;
    this.toggle = h('button', {
      type: 'button', class: 'link', 'data-testid': 'show-everything', 'aria-pressed': 'false', on: { click: () => this.#toggle() },
    }, 'Show everything');
  }

  /** @param {any} table */
  set table(table) {
    this.#rules = list(record(table).rules).map(record);
  }

  /** @param {any} event @param {HTMLElement} entry @returns {boolean} whether it is for the log */
  shows(event, entry) {
    const { from, message } = event;
    if (from !== 'agent') return true;
    const subtype = message?.response?.subtype ?? message?.request?.subtype ?? message?.subtype;
    const rule = this.#rules.find((one) => one.type === message?.type && (one.subtype === undefined || one.subtype === subtype));
    if (rule?.show === 'quiet') entry.dataset.quiet = '';
    return rule?.show !== 'never';
  }

  #toggle() {
    const all = this.log.classList.toggle('everything');
    this.toggle.setAttribute('aria-pressed', `${all}`);
  }
}
