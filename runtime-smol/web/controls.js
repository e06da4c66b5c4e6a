// @ts-check
// How the agent works from here on: in which mode, and with which model. What is chosen is asked of the
// agent; what is shown is what it has agreed to.
import { MODES, modeName } from './agent-facts.js';
import { h, setText } from './dom.js';
import { visibleText } from './visible.js';

/** @typedef {[string, string][]} Choices values, each with its words */

/** @param {HTMLSelectElement} select @param {Choices} choices @param {string} value */
function fill(select, choices, value) {
  const known = choices.some(([one]) => one === value) ? choices : [[value, visibleText(value)], ...choices];
  const said = JSON.stringify(known);
  if (select.dataset.said !== said) {
    select.dataset.said = said;
    select.replaceChildren(...known.map(([one, words]) => h('option', { value: one }, words)));
  }
  if (select.value !== value) select.value = value;
}

export class Controls {
  /** @param {{facts: import('./agent-facts.js').AgentFacts, ask: (request: any) => Promise<boolean>}} options */
  constructor({ facts, ask }) {
    this.facts = facts;
    this.ask = ask;
    this.mode = h('select', { 'aria-label': 'Mode', 'data-testid': 'mode-select', on: { change: () => this.#choose(this.mode, { subtype: 'set_permission_mode', mode: this.mode.value }) } });
    this.model = h('select', {
      'aria-label': 'Model', 'data-testid': 'model-select', hidden: true, on: {
        focus: () => this.introduce(), pointerdown: () => this.introduce(), change: () => this.#choose(this.model, { subtype: 'set_model', model: this.model.value }),
      },
    });
    this.said = h('span', { class: 'sr', role: 'status' });
    this.element = h('div', { class: 'controls' }, this.mode, this.model, this.said);
    this.update();
  }

  #isIntroducing = false;

  /** The agent is asked for what it does not say by itself: what its commands do, and which models it knows. */
  async introduce() {
    const { facts } = this;
    // Others may take a question for something else.
    if (facts.isIntroduced || this.#isIntroducing || !facts.commands.length) return;
    this.#isIntroducing = true;
    this.#isIntroducing = await this.ask({ subtype: 'initialize' });
  }

  /** Shows what is known now. */
  update() {
    const { mode, model, models } = this.facts;
    fill(this.mode, /** @type {Choices} */ (mode ? MODES.map(([one, words]) => [one, words]) : [['', 'Mode'], ...MODES]), mode);
    if (mode && !MODES.some(([one]) => one === mode)) setText(this.mode.options[0], modeName(mode));
    this.model.hidden = !model;
    fill(this.model, models.map(({ id, name }) => [id, visibleText(name)]), model);
  }

  /** @param {HTMLSelectElement} select @param {any} request */
  async #choose(select, request) {
    const words = select.selectedOptions[0]?.textContent ?? '';
    select.setAttribute('aria-busy', 'true');
    const isSent = await this.ask(request);
    select.removeAttribute('aria-busy');
    setText(this.said, isSent ? `Asked the agent for: ${words}` : 'Not sent.');
    // Until the agent has agreed, it is what it was.
    this.update();
  }
}
