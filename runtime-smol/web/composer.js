// @ts-check
// The message box, with what goes with a message, and the messages that are not in the log yet.
import { Completion } from './completion.js';
import { h, freshId } from './dom.js';
import { Outbox } from './outbox.js';
import { Pictures, thumbnail } from './pictures.js';

/** @typedef {import('./outbox.js').Item} Item */

/** @param {string} key */
function recall(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string} value */
function remember(key, value) {
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    // Without storage, the text lasts as long as the page.
  }
}

/** @returns {boolean} whether Enter should start a new line, since the keyboard is on screen */
const isTouch = () => matchMedia('(hover: none) and (pointer: coarse)').matches;

export class Composer {
  #draftKey;

  /**
   * @param {{
   *   sessionId: string, send: (message: any) => Promise<any>, extra: Node, controls: Node,
   *   facts: import('./agent-facts.js').AgentFacts, onCommand: () => void,
   * }} options `onCommand` is called when a command is being typed
   */
  constructor({ sessionId, send, extra, controls, facts, onCommand }) {
    this.#draftKey = `footbridge.draft.${sessionId}`;
    const id = freshId('composer');
    const hintId = freshId('hint');
    this.box = h('textarea', {
      id, rows: 1, 'data-testid': 'composer', placeholder: 'Message the agent', dir: 'auto',
      enterkeyhint: isTouch() ? 'enter' : 'send', 'aria-describedby': hintId, value: recall(this.#draftKey) ?? '',
      on: { input: () => this.#edited(), keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) },
    });
    this.pictures = new Pictures();
    this.completion = new Completion(this.box, facts, onCommand);
    this.form = h('form', { class: 'composer', on: { submit: (/** @type {Event} */ event) => this.#submit(event) } },
      h('label', { for: id, class: 'sr' }, 'Message the agent'),
      this.completion.list,
      this.completion.said,
      this.pictures.element,
      this.box,
      h('div', { class: 'composer-row' },
        this.pictures.button, this.pictures.input, controls,
        h('p', { id: hintId, class: 'hint' }, isTouch() ? '' : 'Enter sends · Shift+Enter for a new line'),
        extra,
        h('button', { type: 'submit', class: 'primary', 'data-testid': 'send' }, 'Send')));
    this.pictures.listen(this.form);
    this.box.addEventListener('focus', () => this.completion.update());
    /** Shown below the log. */
    this.outbox = h('div', { class: 'outbox' });
    this.waiting = new Outbox({ sessionId, send, onChange: () => this.#render(), storage: () => localStorage });
    this.#render();
  }

  /** The box can only be measured once it is on the page. */
  attached() {
    this.#grow();
  }

  /** @param {any} event */
  sawEvent(event) {
    this.waiting.saw(event);
  }

  /** There is a connection. */
  connected() {
    this.waiting.connected();
  }

  #edited() {
    remember(this.#draftKey, this.box.value);
    this.#grow();
  }

  #grow() {
    this.box.style.height = 'auto';
    this.box.style.height = `${this.box.scrollHeight + 2}px`;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.completion.key(event)) return;
    // 229: an input method is still composing, and Enter belongs to it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229 || isTouch()) return;
    this.#submit(event);
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const text = this.box.value;
    if (!text.trim() && !this.pictures.all.length) return;
    this.box.value = '';
    this.completion.close();
    this.#edited();
    this.waiting.add(text.trim() ? text : '', this.pictures.take());
  }

  #render() {
    this.outbox.replaceChildren(...this.waiting.items.map((item) => this.#row(item)));
  }

  /** @param {Item} item */
  #row(item) {
    const { state } = item;
    const isUnsent = state === 'unsent';
    const words = isUnsent ? `Not sent. ${item.error}` : state === 'queued' ? 'Queued: it is sent when the connection is back.' : 'Sending…';
    return h('div', { class: `unlogged ${state}`, 'data-testid': 'outgoing', 'data-state': state },
      item.pictures.length > 0 && h('div', { class: 'pictures' }, item.pictures.map(thumbnail)),
      item.text && h('p', { class: 'bubble', dir: 'auto' }, item.text),
      h('p', { class: 'small muted', role: isUnsent ? 'alert' : null }, words),
      (isUnsent || state === 'queued') && h('div', { class: 'actions' },
        isUnsent && h('button', { type: 'button', 'data-testid': 'retry', on: { click: () => this.#retry(item) } }, 'Retry'),
        h('button', { type: 'button', on: { click: () => this.#takeBack(item) } }, 'Edit')));
  }

  /** @param {Item} item */
  #retry(item) {
    this.waiting.retry(item);
    this.box.focus();
  }

  /** @param {Item} item back into the box; when sent again, it is a new message */
  #takeBack(item) {
    this.box.value = [item.text, this.box.value].filter(Boolean).join('\n');
    this.pictures.put(item.pictures);
    this.#edited();
    this.waiting.forget(item.uuid);
    this.box.focus();
  }
}
