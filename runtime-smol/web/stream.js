// @ts-check
// Text that is still being written. It is shown below the log, outside the live
// region, so a screen reader reads each message once, when it is complete.
import { h } from './dom.js';
import { Draft } from './draft.js';
import { assistantEntry } from './entries.js';
import { number, text } from './values.js';

/** Messages that may be in the writing at once, and pieces of each. */
const WRITERS = 32;
const PIECES = 64;
/**
 * Characters kept of a piece; the message shows all of it once it is complete. All of them are laid
 * out with each frame.
 */
const KEPT = 8000;

/** @param {any} message @returns {string} the tool call that its writer belongs to */
export const writerOf = (message) => text(message.parent_tool_use_id);

/** @typedef {{element: HTMLElement, prose: Draft | null, text: Text, pending: string}} Block `prose` of what is for people, else `text` */

export class Streams {
  element = h('div', { class: 'streams', 'aria-live': 'off' });
  /** @type {Map<string, Map<number, Block>>} keyed by the tool call that the writer belongs to */
  #writers = new Map();

  /**
   * @param {import('./entries.js').LogEvent} event of type `stream_event`
   * @returns {HTMLElement[]} text of an earlier message that was never completed
   */
  take(event) {
    const { message } = event;
    const writer = writerOf(message);
    const part = message.event ?? {};
    if (part.type === 'message_start') return this.settle(writer);
    if (part.type !== 'content_block_delta') return [];
    const delta = part.delta ?? {};
    const added = delta.text ?? delta.thinking ?? delta.partial_json;
    if (typeof added !== 'string') return [];
    const index = number(part.index) || 0;
    const ended = this.#makeRoom(writer, index);
    const block = this.#block(event, writer, index, text(delta.type));
    block.pending = (block.pending + added.slice(-KEPT)).slice(-KEPT);
    block.element.dataset.seq = `${event.seq}`;
    return ended;
  }

  /** Shows what has arrived since the last frame. */
  flush() {
    for (const blocks of this.#writers.values()) {
      for (const block of blocks.values()) {
        if (!block.pending) continue;
        if (block.prose) block.prose.add(block.pending);
        else block.text.appendData(block.pending);
        block.pending = '';
        if (block.text.length > KEPT) block.text.deleteData(0, block.text.length - KEPT);
        if (!block.element.isConnected) this.element.append(block.element);
      }
    }
  }

  /** @param {string} writer whose message has arrived complete: removes its pieces */
  discard(writer) {
    for (const block of this.#writers.get(writer)?.values() ?? []) block.element.remove();
    this.#writers.delete(writer);
  }

  /** @param {string} [writer] @returns {HTMLElement[]} what is left of messages that will never be completed */
  settle(writer) {
    this.flush();
    const settled = [];
    for (const [name, blocks] of this.#writers) {
      if (writer !== undefined && name !== writer) continue;
      for (const { element } of blocks.values()) settled.push(element);
      this.#writers.delete(name);
    }
    for (const element of settled) {
      element.remove();
      element.removeAttribute('data-streaming');
    }
    return settled;
  }

  get busy() {
    return this.#writers.size > 0;
  }

  /**
   * @param {string} writer @param {number} index
   * @returns {HTMLElement[]} pieces that are given up because there are too many
   */
  #makeRoom(writer, index) {
    const blocks = this.#writers.get(writer);
    if (!blocks) return this.#writers.size < WRITERS ? [] : this.settle();
    return blocks.has(index) || blocks.size < PIECES ? [] : this.settle(writer);
  }

  /** @param {any} event @param {string} writer @param {number} index @param {string} kind */
  #block(event, writer, index, kind) {
    const blocks = this.#writers.get(writer) ?? new Map();
    this.#writers.set(writer, blocks);
    const found = blocks.get(index);
    if (found) return found;
    const text = document.createTextNode('');
    const prose = kind === 'text_delta' ? new Draft() : null;
    const body = prose ? prose.element
      : h('p', { class: 'draft' }, h('strong', {}, kind === 'thinking_delta' ? 'Thinking ' : 'Preparing a tool '), text);
    const element = assistantEntry(event, [body], { 'data-streaming': '' });
    /** @type {Block} */
    const block = { element, prose, text, pending: '' };
    blocks.set(index, block);
    return block;
  }
}
