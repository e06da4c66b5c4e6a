// @ts-check
// Where a person says whether this browser is told of what waits: on, off, when, of which machines, and
// whether it works.
import { h, freshId, setText } from './dom.js';
import { ApiError } from './api.js';
import { ago } from './format.js';
import { obstacle } from './push.js';
import { list, text } from './values.js';
import { visibleText } from './visible.js';

/** @param {number} minutes @returns {string} as a time field has it */
export const timeOf = (minutes) => `${`${Math.floor(minutes / 60)}`.padStart(2, '0')}:${`${minutes % 60}`.padStart(2, '0')}`;

/** @param {string} time @returns {number} */
export function minutesOf(time) {
  const [hours, minutes] = time.split(':').map((part) => parseInt(part, 10));
  return ((hours || 0) * 60 + (minutes || 0)) % 1440;
}

/** @param {{accepted: boolean, arrived: boolean, detail: string}} result @returns {string} what came of a test, and what to try */
export function verdict({ accepted, arrived, detail }) {
  if (arrived) return 'It has arrived. If you saw nothing, look whether your system lets this browser show notifications, and for a mode like Do Not Disturb.';
  if (accepted) return 'The push service has taken it, but it has not arrived within 15 seconds. Is this device online? A battery saver may hold it back: let this browser run in the background. Otherwise turn notifications off and on again.';
  return `It was not sent: ${detail || 'the push service has refused it'}. If that goes on, turn notifications off and on again.`;
}

/** @param {unknown} error @returns {string} */
const why = (error) => (error instanceof ApiError || error instanceof Error ? error.message : 'Something went wrong: reload the page.');

/** Usual quiet hours: from ten in the evening to seven in the morning. */
const NIGHT = { from: 22 * 60, until: 7 * 60 };

export class Notifications {
  /** @param {{push: import('./push.js').Push, machines: () => string[]}} options */
  constructor({ push, machines }) {
    this.push = push;
    this.machines = machines;
    const headId = freshId('notifications');
    this.button = h('button', { type: 'button', class: 'link', 'data-testid': 'notifications', on: { click: () => this.#open() } }, 'Notifications');
    this.body = h('div', { class: 'notifications' });
    this.said = h('p', { role: 'status', 'data-testid': 'notifications-said' });
    this.error = h('p', { class: 'error', role: 'alert' });
    this.dialog = h('dialog', { 'aria-labelledby': headId, 'data-testid': 'notifications-dialog' },
      h('h3', { id: headId }, 'Notifications'),
      h('p', { class: 'muted' }, 'When an agent asks you something, ends its turn or fails, and you are not looking at it, this browser tells you, also while this page is closed.'),
      this.body, this.said, this.error,
      h('form', { method: 'dialog', class: 'actions' }, h('button', {}, 'Close')));
  }

  #open() {
    if (!this.dialog.isConnected) document.body.append(this.dialog);
    setText(this.said, '');
    setText(this.error, '');
    this.#show();
    this.dialog.showModal();
  }

  destroy() {
    this.dialog.remove();
  }

  /** @param {string} doing @param {() => Promise<string>} act which says what came of it */
  async #run(doing, act) {
    if (this.body.getAttribute('aria-busy') === 'true') return;
    this.body.setAttribute('aria-busy', 'true');
    setText(this.error, '');
    setText(this.said, doing);
    try {
      setText(this.said, await act());
    } catch (error) {
      setText(this.said, '');
      setText(this.error, why(error));
    } finally {
      this.body.removeAttribute('aria-busy');
    }
  }

  #show() {
    const problem = obstacle();
    if (problem) return this.body.replaceChildren(h('p', { 'data-testid': 'notifications-obstacle' }, problem));
    const { known } = this.push;
    const isOn = known !== null;
    const toggle = h('button', {
      type: 'button', class: isOn ? '' : 'primary', 'data-testid': 'notifications-toggle',
      on: { click: () => this.#run(isOn ? 'Turning off…' : 'Turning on…', async () => {
        await (isOn ? this.push.turnOff() : this.push.turnOn());
        this.#show();
        this.body.querySelector('button')?.focus();
        return isOn ? 'This browser is no longer told.' : 'This browser is told from now on.';
      }) },
    }, isOn ? 'Turn off' : 'Turn on');
    const test = isOn && h('button', {
      type: 'button', 'data-testid': 'notifications-test',
      on: { click: () => this.#run('Sending one…', async () => verdict(await this.push.test())) },
    }, 'Send me one');
    const others = h('div', {});
    this.body.replaceChildren(
      h('p', { class: 'actions' }, toggle, test),
      ...(known ? [this.#quiet(known.preferences), this.#muted(known.preferences)] : []),
      others);
    void this.#others(others);
  }

  /** @param {import('./push.js').Preferences} preferences */
  #change(preferences) {
    return this.#run('Saving…', async () => {
      await this.push.change(preferences);
      return 'Saved.';
    });
  }

  /** @param {import('./push.js').Preferences} preferences */
  #quiet({ quiet }) {
    const { from, until } = quiet ?? NIGHT;
    const [boxId, fromId, untilId] = ['quiet', 'quiet-from', 'quiet-until'].map(freshId);
    const box = h('input', { id: boxId, type: 'checkbox', checked: Boolean(quiet), 'data-testid': 'quiet' });
    const field = (/** @type {string} */ id, /** @type {number} */ minutes) => h('input', { id, type: 'time', value: timeOf(minutes), required: true });
    const [first, last] = [field(fromId, from), field(untilId, until)];
    const changed = () => {
      const { quiet: _, ...rest } = this.push.known?.preferences ?? {};
      const now = { from: minutesOf(first.value), until: minutesOf(last.value), offset: 0 };
      void this.#change(box.checked ? { ...rest, quiet: now } : rest);
    };
    for (const input of [box, first, last]) input.addEventListener('change', changed);
    return h('fieldset', {}, h('legend', {}, 'Quiet hours'),
      h('label', { class: 'choice', for: boxId }, box, 'Tell me nothing'),
      h('p', { class: 'hours' }, h('label', { for: fromId }, 'from'), first, h('label', { for: untilId }, 'until'), last));
  }

  /** @param {import('./push.js').Preferences} preferences */
  #muted({ muted }) {
    const known = list(muted).map((name) => text(name));
    const names = [...new Set([...this.machines(), ...known])].sort();
    if (!names.length) return h('p', { class: 'muted small' }, 'Machines can be muted here once there are any.');
    const choice = (/** @type {string} */ name) => {
      const id = freshId('machine');
      const box = h('input', { id, type: 'checkbox', checked: !known.includes(name), on: { change: () => {
        const { muted: before, ...rest } = this.push.known?.preferences ?? {};
        const others = list(before).map((one) => text(one)).filter((one) => one !== name);
        const now = box.checked ? others : [...others, name];
        void this.#change(now.length ? { ...rest, muted: now } : rest);
      } } });
      return h('label', { class: 'choice', for: id, 'data-machine': name }, box, h('bdi', {}, visibleText(name)));
    };
    return h('fieldset', {}, h('legend', {}, 'Tell me of'), names.map(choice));
  }

  /** Other browsers of the person's: one may be lost. @param {HTMLElement} place */
  async #others(place) {
    const own = this.push.known?.id;
    const all = await this.push.api.pushes().catch(() => null);
    const others = list(all?.subscriptions).filter((/** @type {any} */ one) => one.id !== own);
    if (!others.length) return place.replaceChildren();
    const row = (/** @type {any} */ one) => h('li', {}, h('bdi', {}, visibleText(text(one.name)) || 'A browser'), h('span', { class: 'muted small' }, ` · ${ago(text(one.created_at))} `),
      h('button', { type: 'button', class: 'link', on: { click: () => this.#run('Removing…', async () => {
        await this.push.api.removePush(one.id);
        await this.#others(place);
        return 'It is no longer told.';
      }) } }, 'Remove'));
    place.replaceChildren(h('h4', {}, 'Also told'), h('ul', { class: 'plain-list' }, others.map(row)));
  }
}
