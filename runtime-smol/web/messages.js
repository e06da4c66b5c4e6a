// @ts-check
// Turns one event of the log into its entry in the transcript: every event gets one,
// and what is not understood is kept verbatim, folded.
import { modeName } from './agent-facts.js';
import { disclosure, h } from './dom.js';
import { assistantEntry, blocksOf, byline, content, entriesFor, entry, folded, isReport, line, nameOf } from './entries.js';
import { duration, withoutColours } from './format.js';
import { clipped, codeForm } from './long.js';
import { isRefusal } from './outcomes.js';
import { footbridgeEntry, systemEntry } from './reports.js';
import { errorOfTurn, limitOf } from './results.js';
import { clip, keep, number, prettyParts, record, text } from './values.js';

/** Messages from here that later events may repeat. */
const REMEMBERED = 4000;

/**
 * @typedef {import('./entries.js').LogEvent} LogEvent
 * @typedef {{calls: import('./ledger.js').Ledger, viewerUuids: Map<unknown, true>}} Memory what later events refer to in
 *   earlier ones
 */

/**
 * @param {LogEvent} event @param {Memory} memory
 * @returns {Iterable<HTMLElement>} empty if the event only repeats what is already shown; one at a time, since there may be many
 */
export function entriesOf(event, memory) {
  const { message } = event;
  if (isReport(event)) return [footbridgeEntry(event)];
  switch (message?.type) {
    case 'user': return userEntries(event, memory);
    case 'assistant': return assistantEntries(event, memory);
    case 'result': return [resultEntry(event)];
    case 'system': return [quietIf(memory.calls.progress(event), systemEntry(event))];
    case 'control_request': return [requestEntry(event)];
    case 'control_response': return [responseEntry(event)];
    case 'rate_limit_event': return [limitEntry(event)];
    default: return [folded(event, nameOf(message))];
  }
}

/** @param {boolean} isQuiet whether it is not worth its place in the conversation @param {HTMLElement} entry */
function quietIf(isQuiet, entry) {
  if (isQuiet) entry.dataset.quiet = '';
  return entry;
}

/** @param {LogEvent} event @param {Memory} memory */
function userEntries(event, memory) {
  const { message } = event;
  const blocks = blocksOf(message.message?.content);
  if (!blocks.length) return [folded(event, 'user')];
  if (event.from === 'viewer') {
    keep(memory.viewerUuids, message.uuid, true, REMEMBERED);
  } else if (message.isReplay && memory.viewerUuids.has(message.uuid)) {
    return [];
  } else if (memory.calls.isPrompt(event, blocks)) {
    return [];
  }
  const who = event.from === 'viewer' ? 'You' : 'From the agent’s side';
  return entriesFor(event, blocks, (block) => {
    if (block?.type === 'tool_result') return memory.calls.result(event, block);
    const shown = entry(event, 'user', [byline(event, who), ...content(block)], { 'data-from': event.from });
    // The end of the turn says so, too.
    return quietIf(event.from === 'agent' && block?.type === 'text' && isRefusal(text(block.text)), shown);
  });
}

/** @param {LogEvent} event @param {Memory} memory */
function assistantEntries(event, memory) {
  const blocks = blocksOf(event.message.message?.content);
  if (!blocks.length) return [folded(event, 'assistant')];
  return entriesFor(event, blocks, (block) => {
    if (block?.type === 'tool_use') return memory.calls.use(event, block);
    return assistantEntry(event, content(block));
  });
}

/** @param {LogEvent} event */
function resultEntry(event) {
  const { message } = event;
  const failure = errorOfTurn(message);
  if (failure?.isStop) {
    return entry(event, 'result', [disclosure(failure.head, () => h('div', {}, clipped(prettyParts(message), codeForm)), 'folded turn')], { 'data-stopped': '' });
  }
  if (failure) {
    return entry(event, 'result', [
      h('p', { class: 'tool-head' }, h('strong', {}, failure.head)),
      failure.hint && h('p', { class: 'line' }, failure.hint),
      failure.said && clipped(withoutColours(failure.said), codeForm),
      failure.raw && disclosure('What the agent said exactly', () => h('div', {}, clipped(failure.raw, codeForm)), 'folded'),
    ], { 'data-error': '' });
  }
  const facts = [
    Number.isFinite(message.duration_ms) && duration(number(message.duration_ms)),
    number(message.num_turns) > 1 && `${number(message.num_turns)} turns`,
    number(message.total_cost_usd) > 0 && `$${number(message.total_cost_usd).toFixed(4)}`,
  ].filter(Boolean);
  const summary = ['Turn finished', ...facts].join(' · ');
  return entry(event, 'result', [disclosure(summary, () => h('div', {}, clipped(prettyParts(message), codeForm)), 'folded turn')]);
}

/** @param {LogEvent} event */
function limitEntry(event) {
  const limit = limitOf(event.message.rate_limit_info);
  if (!limit) {
    return quietIf(true, folded(event, 'No usage limit is near'));
  }
  return line(event, limit.words, limit.tone);
}

/** @param {Record<string, any>} request of a viewer @returns {string | undefined} in words */
function wordsOfRequest({ subtype, mode, model }) {
  switch (subtype) {
    case 'interrupt': return 'Interrupt requested';
    case 'initialize': return 'The agent was asked to introduce itself';
    case 'set_permission_mode': return `Mode asked for: ${modeName(clip(text(mode), 60))}`;
    case 'set_model': return `Model asked for: ${clip(text(model, 'its own'), 60)}`;
    case 'stop_task': return 'What runs in the background is to stop';
    default: return undefined;
  }
}

/** @param {LogEvent} event */
function requestEntry(event) {
  const { request, request_id: id } = event.message;
  if (event.from === 'agent' && request?.subtype === 'can_use_tool' && typeof id !== 'string') {
    return folded(event, 'The agent asked for permission under an id that is not text; it was refused');
  }
  const known = event.from === 'viewer' ? wordsOfRequest(record(request)) : undefined;
  return quietIf(event.from === 'viewer' && request?.subtype === 'initialize', folded(event, known ?? nameOf(event.message)));
}

/** @param {LogEvent} event */
function responseEntry(event) {
  const { response } = event.message;
  if (response?.subtype === 'error') {
    return line(event, `The ${event.from} answered with an error: ${text(response.error, 'unknown')}`, 'bad');
  }
  return folded(event, event.from === 'agent' ? 'The agent acknowledged' : 'Answer');
}
