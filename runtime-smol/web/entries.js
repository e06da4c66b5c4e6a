// @ts-check
// What the entries of a transcript are made of.
import { h, disclosure } from './dom.js';
import { clock } from './format.js';
import { clipped, codeForm } from './long.js';
import { proseForm } from './prose.js';
import { plainWords } from './results.js';
import { list, prettyParts, text } from './values.js';

/** Parts of one message that are shown; the others are folded together. */
export const PARTS = 100;

/** @typedef {{seq: number, at: string, from: string, message: any}} LogEvent */

/**
 * @param {LogEvent} event @param {string} [subtype]
 * @returns {boolean} whether the relay or worker said this: an agent printing the same is not believed
 */
export const isReport = ({ from, message }, subtype) =>
  (from === 'relay' || from === 'worker') && message?.type === 'footbridge'
  && (subtype === undefined || message.subtype === subtype);

/** @param {LogEvent} event @param {string} kind @param {any[]} children @param {Record<string, any>} [more] */
export function entry(event, kind, children, more = {}) {
  const parent = event.message?.parent_tool_use_id;
  return h('article', {
    class: `entry entry-${kind}`,
    'data-testid': 'message',
    'data-kind': kind,
    'data-seq': event.seq,
    'data-subagent': parent ? '' : null,
    ...more,
  }, parent && h('p', { class: 'tag' }, 'Subagent'), children);
}

/** @param {LogEvent} event @param {string} text @param {string} [tone] */
export const line = (event, text, tone = 'quiet') =>
  entry(event, 'system', [h('p', { class: `line ${tone}` }, text)]);

/** @param {LogEvent} event @param {string} summary @param {unknown} [value] */
export const folded = (event, summary, value = event.message) =>
  entry(event, 'system', [raw(summary, value)]);

/** @param {string} summary @param {unknown} value @returns {Node} */
export const raw = (summary, value) => disclosure(summary, () => h('div', {}, clipped(prettyParts(value), codeForm)), 'folded');

/** @param {LogEvent} event @returns {HTMLElement} for an event that cannot be shown in any other way */
export const rawEntry = (event) => folded(event, `Cannot be shown: ${nameOf(event.message)}`);

/** @param {LogEvent} event @param {string} summary @returns {HTMLElement} for a question that gets no card of its own */
export const foldedQuestion = (event, summary) => folded(event, summary);

/** @param {LogEvent} event @param {string} who */
export const byline = (event, who) => h('p', { class: 'byline' }, who, ' ', permalink(event));

/** @param {LogEvent} event @returns {HTMLElement} its time, as a link to it */
export const permalink = ({ seq, at }) =>
  h('a', { class: 'permalink', href: `${/^#\/session\/[\w-]+/.exec(location.hash)?.[0] ?? '#'}/${seq}`, title: 'Link to this' }, clock(at));

/** @param {any} message */
export function nameOf(message) {
  const names = [message?.type, message?.subtype ?? message?.request?.subtype];
  return names.filter((name) => typeof name === 'string').join(' · ').slice(0, 120) || 'Unnamed message';
}

/** @param {unknown} content @returns {any[]} content is a string or a list of blocks */
export const blocksOf = (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : list(content));

/**
 * @param {LogEvent} event @param {any[]} blocks @param {(block: any) => HTMLElement | null} show null if it is shown elsewhere
 * @returns {Generator<HTMLElement>} what cannot be shown is folded, and takes nothing else with it
 */
export function* entriesFor(event, blocks, show) {
  for (const block of blocks.slice(0, PARTS)) {
    let entry;
    try {
      entry = show(block);
    } catch {
      entry = folded(event, 'Cannot be shown', block);
    }
    if (entry) yield entry;
  }
  const rest = blocks.slice(PARTS);
  if (rest.length) yield folded(event, `${rest.length.toLocaleString()} more parts`, rest);
}

/** @param {LogEvent} event @param {Node[]} children @param {Record<string, any>} [more] */
export function assistantEntry(event, children, more) {
  return entry(event, 'assistant', [h('p', { class: 'sr' }, 'Agent'), ...children], more);
}

/** @param {any} block @returns {Node[]} */
export function content(block) {
  switch (block?.type) {
    case 'text': return clipped(plainWords(text(block.text)), proseForm);
    case 'thinking':
      return [disclosure('Thinking', () => h('div', {}, clipped(text(block.thinking), proseForm)), 'folded thinking')];
    case 'image': return [image(block)];
    default: return [raw(text(block?.type, 'content'), block)];
  }
}

const PICTURES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** @param {any} block only images inside the message: a URL would make the browser call out */
function image(block) {
  const { media_type: type, data } = block.source ?? {};
  if (!PICTURES.has(type) || typeof data !== 'string' || data.length % 4 === 1 || !BASE64.test(data)) {
    return raw('image', block);
  }
  return h('img', { src: `data:${type};base64,${data}`, alt: 'Image from the conversation', loading: 'lazy' });
}
