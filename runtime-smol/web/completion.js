// @ts-check
// A list of what a word in the message box may become: the agent's commands after a slash, and files
// that it knows after an at sign.
import { fitting, startedAt } from './agent-facts.js';
import { freshId, h, setAttributes, setText } from './dom.js';
import { visible } from './visible.js';

const MOST = 8;

/** @typedef {{name: string, about: string}} Offer */

export class Completion {
  /** @type {Offer[]} */ #offers = [];
  /** @type {import('./agent-facts.js').Started | null} */ #started = null;
  #at = 0;
  /** What was put away is not offered again while it is typed on. */ #closedFor = '';

  /**
   * @param {HTMLTextAreaElement} box @param {import('./agent-facts.js').AgentFacts} facts @param {() => void} onCommand called when a
   *   command is being typed
   */
  constructor(box, facts, onCommand) {
    this.box = box;
    this.facts = facts;
    this.onCommand = onCommand;
    this.id = freshId('offers');
    this.list = h('ul', { id: this.id, role: 'listbox', class: 'offers', hidden: true, 'aria-label': 'Completions', 'data-testid': 'offers' });
    this.said = h('span', { class: 'sr', role: 'status' });
    setAttributes(box, { 'aria-autocomplete': 'list', 'aria-controls': this.id });
    box.addEventListener('input', () => this.update());
    box.addEventListener('blur', () => setTimeout(() => this.close(), 150));
  }

  get isOpen() {
    return !this.list.hidden;
  }

  update() {
    const { box, facts } = this;
    const started = box.selectionStart === box.selectionEnd ? startedAt(box.value, box.selectionStart) : null;
    if (!started) this.#closedFor = '';
    if (!started || this.#closedFor === started.kind) return this.#show(null, []);
    if (started.kind === '/') this.onCommand();
    const all = started.kind === '/' ? facts.commands : facts.paths.map((name) => ({ name, about: '' }));
    this.#show(started, fitting(all, ({ name }) => name, started.typed, MOST));
  }

  /** @param {import('./agent-facts.js').Started | null} started @param {Offer[]} offers */
  #show(started, offers) {
    [this.#started, this.#offers, this.#at] = [started, offers, 0];
    this.list.hidden = !offers.length;
    this.list.replaceChildren(...offers.map(({ name, about }, at) => h('li', {
      id: `${this.id}-${at}`, role: 'option', on: {
        // The box keeps the focus.
        pointerdown: (/** @type {Event} */ event) => event.preventDefault(), click: () => this.#accept(at),
      },
    }, h('strong', {}, started?.kind, visible(name)), about && h('span', { class: 'muted small' }, ' ', visible(about)))));
    this.#mark();
  }

  #mark() {
    [...this.list.children].forEach((one, at) => one.setAttribute('aria-selected', `${at === this.#at}`));
    setAttributes(this.box, { 'aria-activedescendant': this.isOpen ? `${this.id}-${this.#at}` : null });
    setText(this.said, this.isOpen ? `${this.#offers.length} completions: up and down to choose, Enter to take one` : '');
  }

  close() {
    this.#show(null, []);
  }

  /** @param {number} at */
  #accept(at) {
    const { box } = this;
    const offer = this.#offers[at];
    const started = this.#started;
    if (!offer || !started) return;
    box.setRangeText(`${started.kind}${offer.name} `, started.from, started.to, 'end');
    this.close();
    box.dispatchEvent(new Event('input', { bubbles: true }));
    box.focus();
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it was for the list */
  key(event) {
    if (!this.isOpen || event.isComposing) return false;
    const count = this.#offers.length;
    switch (event.key) {
      case 'ArrowDown': this.#at = (this.#at + 1) % count; break;
      case 'ArrowUp': this.#at = (this.#at + count - 1) % count; break;
      case 'Enter':
        // What is complete already is sent.
        if (event.shiftKey || this.#offers[this.#at]?.name === this.#started?.typed) return false;
        this.#accept(this.#at);
        break;
      case 'Tab':
        if (event.shiftKey) return false;
        this.#accept(this.#at);
        break;
      case 'Escape':
        this.#closedFor = this.#started?.kind ?? '';
        this.close();
        break;
      default: return false;
    }
    event.preventDefault();
    this.#mark();
    return true;
  }
}
