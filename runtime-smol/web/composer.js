// @ts-check
// The message box, and the messages sent but not in the log yet. Both survive a
// reload; a uuid made before the first attempt makes every retry harmless.
import { h, freshId } from './dom.js';
import { ApiError, uuid } from './api.js';

/** @typedef {{uuid: string, text: string, state: 'sending' | 'sent' | 'unsent', error: string, seq?: number}} Unlogged */

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
  /** @type {Unlogged[]} */ #items = [];
  #draftKey;
  #itemsKey;
  #send;
  #pumping = false;
  #lastSeq = 0;

  /** @param {{sessionId: string, send: (message: any) => Promise<any>, extra: Node}} options */
  constructor({ sessionId, send, extra }) {
    this.#send = send;
    this.#draftKey = `footbridge.draft.${sessionId}`;
    this.#itemsKey = `footbridge.unsent.${sessionId}`;
    const id = freshId('composer');
    const hintId = freshId('hint');
    this.box = h('textarea', {
      id, rows: 1, 'data-testid': 'composer', placeholder: 'Message the agent', dir: 'auto',
      enterkeyhint: isTouch() ? 'enter' : 'send', 'aria-describedby': hintId, value: recall(this.#draftKey) ?? '',
      on: { input: () => this.#edited(), keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) },
    });
    this.form = h('form', { class: 'composer', on: { submit: (/** @type {Event} */ event) => this.#submit(event) } },
      h('label', { for: id, class: 'sr' }, 'Message the agent'),
      this.box,
      h('div', { class: 'composer-row' },
        h('p', { id: hintId, class: 'hint' }, isTouch() ? '' : 'Enter sends · Shift+Enter for a new line'),
        extra,
        h('button', { type: 'submit', class: 'primary', 'data-testid': 'send' }, 'Send')));
    /** Shown below the log. */
    this.outbox = h('div', { class: 'outbox' });
    this.#restore();
  }

  /** The box can only be measured once it is on the page. */
  attached() {
    this.#grow();
  }

  /** @param {any} event */
  sawEvent(event) {
    this.#lastSeq = event.seq;
    if (event.message?.type !== 'user' || typeof event.message.uuid !== 'string') return;
    this.#forget(event.message.uuid);
  }

  #restore() {
    try {
      const kept = JSON.parse(recall(this.#itemsKey) ?? '[]');
      this.#items = kept.map((/** @type {any} */ item) => ({
        uuid: String(item.uuid), text: String(item.text), state: 'unsent', error: 'The page closed while it was being sent.',
      }));
    } catch {
      this.#items = [];
    }
    this.#render();
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
    // 229: an input method is still composing, and Enter belongs to it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229 || isTouch()) return;
    this.#submit(event);
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const text = this.box.value;
    if (!text.trim()) return;
    this.#items.push({ uuid: uuid(), text, state: 'sending', error: '' });
    this.box.value = '';
    this.#edited();
    this.#changed();
    this.#pump();
  }

  /** One at a time: the order of messages is part of what they say. */
  async #pump() {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let item = this.#next(); item; item = this.#next()) {
      try {
        const { accepted } = await this.#send({
          type: 'user',
          message: { role: 'user', content: item.text },
          parent_tool_use_id: null,
          session_id: '',
          uuid: item.uuid,
        });
        item.state = 'sent';
        item.seq = accepted?.[0]?.seq;
        if (item.seq !== undefined && item.seq <= this.#lastSeq) this.#forget(item.uuid);
      } catch (error) {
        const reason = error instanceof ApiError ? error.message : String(error);
        for (const waiting of this.#items) {
          if (waiting.state !== 'sending') continue;
          waiting.state = 'unsent';
          waiting.error = waiting === item ? reason : 'It is waiting for the message before it.';
        }
      }
      this.#changed();
    }
    this.#pumping = false;
  }

  #next() {
    return this.#items.find((item) => item.state === 'sending');
  }

  /** @param {string} id */
  #forget(id) {
    const before = this.#items.length;
    this.#items = this.#items.filter((item) => item.uuid !== id);
    if (this.#items.length !== before) this.#changed();
  }

  #changed() {
    remember(this.#itemsKey, this.#items.length ? JSON.stringify(this.#items) : '');
    this.#render();
  }

  #render() {
    this.outbox.replaceChildren(...this.#items.map((item) => this.#row(item)));
  }

  /** @param {Unlogged} item */
  #row(item) {
    const unsent = item.state === 'unsent';
    return h('div', { class: `unlogged ${item.state}`, 'data-testid': 'outgoing', 'data-state': item.state },
      h('p', { class: 'bubble', dir: 'auto' }, item.text),
      h('p', { class: 'small muted', role: unsent ? 'alert' : null }, unsent ? `Not sent. ${item.error}` : 'Sending…'),
      unsent && h('div', { class: 'actions' },
        h('button', { type: 'button', 'data-testid': 'retry', on: { click: () => this.#retry(item) } }, 'Retry'),
        h('button', { type: 'button', on: { click: () => this.#takeBack(item) } }, 'Edit')));
  }

  /** @param {Unlogged} item */
  #retry(item) {
    item.state = 'sending';
    this.#changed();
    this.box.focus();
    this.#pump();
  }

  /** @param {Unlogged} item back into the box; when sent again, it is a new message */
  #takeBack(item) {
    this.box.value = [item.text, this.box.value].filter(Boolean).join('\n');
    this.#edited();
    this.#forget(item.uuid);
    this.box.focus();
  }
}
