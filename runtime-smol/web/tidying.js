// @ts-check
// A session as an entry of a list: what it is called, whether it is put away, and its end.
import { freshId, h, setText } from './dom.js';
import { ApiError } from './api.js';
import { text } from './values.js';

/** @typedef {{title?: string, archived?: boolean}} Change */

export class Tidying {
  /** @type {any} */ #session = null;

  /** @param {{change: (change: Change) => Promise<any>, remove: () => Promise<any>, onChanged: (session: any) => void, onRemoved: () => void}} options */
  constructor(options) {
    this.options = options;
    const [headId, inputId] = ['tidying', 'title'].map(freshId);
    this.button = h('button', {
      type: 'button', class: 'quiet', disabled: true, 'data-testid': 'tidy', 'aria-label': 'Rename, archive or delete', 'aria-haspopup': 'dialog', on: { click: () => this.#open() },
    }, '⋯');
    this.input = h('input', { id: inputId, type: 'text', maxlength: 200, 'data-testid': 'title-input', dir: 'auto' });
    this.archive = h('button', { type: 'button', 'data-testid': 'archive', on: { click: () => this.#change({ archived: this.#session?.archived !== true }) } });
    this.remove = h('button', { type: 'button', class: 'danger', 'data-testid': 'delete', on: { click: () => this.#remove() } });
    this.why = h('p', { class: 'muted small' });
    this.error = h('p', { class: 'error', role: 'alert' });
    this.dialog = h('dialog', { 'aria-labelledby': headId, 'data-testid': 'tidy-dialog' },
      h('h3', { id: headId }, 'This session'),
      h('form', { class: 'rename', on: { submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void this.#change({ title: this.input.value });
      } } },
      h('label', { for: inputId }, 'Title'), this.input, h('button', { type: 'submit', class: 'primary', 'data-testid': 'rename' }, 'Rename')),
      h('p', { class: 'actions' }, this.archive, this.remove),
      this.why, this.error,
      h('form', { method: 'dialog', class: 'actions' }, h('button', {}, 'Close')));
  }

  /** @param {any} session as it is now */
  show(session) {
    this.#session = session;
    // Before this, nobody knows what may be done with it.
    this.button.disabled = false;
    setText(this.archive, session.archived === true ? 'Take out of the archive' : 'Archive');
    const isOver = session.state === 'ended';
    const isKept = session.worktree && session.worktree.dismissed !== true;
    this.remove.hidden = !isOver || isKept;
    setText(this.why, !isOver ? 'It can be deleted once it has ended.'
      : isKept ? 'It can be deleted once you have said what becomes of its worktree.' : 'Deleting removes its log for good.');
  }

  #sure = false;

  #open() {
    this.#sure = false;
    setText(this.remove, 'Delete…');
    setText(this.error, '');
    this.input.value = text(this.#session?.title);
    this.dialog.showModal();
  }

  /** @param {Change} change */
  async #change(change) {
    const session = await this.#attempt(() => this.options.change(change));
    if (!session) return;
    this.options.onChanged(session);
    this.dialog.close();
  }

  async #remove() {
    if (!this.#sure) {
      this.#sure = true;
      setText(this.remove, 'Delete for good');
      return;
    }
    if (await this.#attempt(() => this.options.remove()) === null) return;
    this.dialog.close();
    this.options.onRemoved();
  }

  /** @param {() => Promise<any>} call */
  async #attempt(call) {
    setText(this.error, '');
    try {
      return await call();
    } catch (error) {
      setText(this.error, error instanceof ApiError ? error.message : 'Something went wrong: reload the page.');
      return null;
    }
  }
}
