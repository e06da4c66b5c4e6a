// @ts-check
// The ways to stop something, from the gentlest on, each with what it ends.
import { freshId, h } from './dom.js';
import { visibleText } from './visible.js';

/** Tasks that are offered by name. */
const MOST = 8;

export class Stopping {
  /** @type {{isRunning: boolean, isWorking: boolean, isStopping: boolean}} */ #is = { isRunning: false, isWorking: false, isStopping: false };

  /**
   * @param {{interrupt: () => void, stopTask: (id: string) => void, end: () => void, tasks: () => Map<string, string>}} options `tasks` are those
   *   that run beside the conversation, with what they do
   */
  constructor(options) {
    this.options = options;
    const headId = freshId('stop');
    this.button = h('button', {
      type: 'button', class: 'danger', 'data-testid': 'stop', 'aria-label': 'Stop session', 'aria-haspopup': 'dialog', on: { click: () => this.#open() },
    }, 'Stop…');
    this.steps = h('ul', { class: 'ladder' });
    this.dialog = h('dialog', { 'aria-labelledby': headId },
      h('h3', { id: headId }, 'Stop what?'), this.steps,
      h('form', { method: 'dialog', class: 'actions' }, h('button', { value: 'keep' }, 'Nothing')));
  }

  /** @param {{isRunning: boolean, isWorking: boolean, isStopping: boolean}} is */
  update(is) {
    this.#is = is;
    if (is.isStopping) this.button.setAttribute('aria-disabled', 'true');
    else this.button.removeAttribute('aria-disabled');
  }

  #open() {
    if (this.button.getAttribute('aria-disabled') === 'true') return;
    const { interrupt, stopTask, end, tasks } = this.options;
    const step = (/** @type {string} */ words, /** @type {string} */ what, /** @type {() => void} */ act, more = {}) => h('li', {},
      h('button', { type: 'button', ...more, on: { click: () => { this.dialog.close(); act(); } } }, words), h('p', { class: 'muted small' }, what));
    this.steps.replaceChildren(
      ...(this.#is.isRunning ? [step(this.#is.isWorking ? 'Interrupt the turn' : 'Interrupt',
        'Ends what the agent is doing now, and the tool that it runs. The conversation continues with your next message.', interrupt)] : []),
      ...[...tasks()].slice(-MOST).map(([id, what]) => step(`Stop “${visibleText(what).slice(0, 80)}”`, 'Ends only this, which runs in the background. The agent continues.', () => stopTask(id))),
      step('End the agent', 'Ends its process and all that it has started, even if it hangs. The transcript stays. Many agents can continue the conversation afterwards, in a new session.',
        end, { class: 'danger', 'data-testid': 'stop-confirm' }));
    this.dialog.showModal();
  }

  close() {
    this.dialog.close();
  }
}
