// @ts-check
// Turns one event of the log into its entry in the transcript: every event gets one,
// and what is not understood is kept verbatim, folded.
import { h, disclosure } from './dom.js';
import { clock, duration, exitOf, pretty, withoutColour } from './format.js';
import { clipped, codeBlock, prose } from './prose.js';

/**
 * @typedef {{seq: number, at: string, from: string, message: any}} LogEvent
 * @typedef {{toolNames: Map<string, string>, viewerUuids: Set<string>}} Memory what
 *   later events refer to in earlier ones
 */

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
const line = (event, text, tone = 'quiet') =>
  entry(event, 'system', [h('p', { class: `line ${tone}` }, text)]);

/** @param {LogEvent} event @param {string} summary @param {unknown} [value] */
const folded = (event, summary, value = event.message) =>
  entry(event, 'system', [disclosure(summary, () => codeBlock(pretty(value)), 'folded')]);

/** @param {LogEvent} event @param {string} who */
const byline = (event, who) => h('p', { class: 'byline' }, who, ' ', clock(event.at));

/**
 * @param {LogEvent} event @param {Memory} memory
 * @returns {HTMLElement[]} empty if the event only repeats what is already shown
 */
export function entriesOf(event, memory) {
  const { message } = event;
  if (isReport(event)) return [footbridgeEntry(event)];
  switch (message?.type) {
    case 'user': return userEntries(event, memory);
    case 'assistant': return assistantEntries(event, memory);
    case 'result': return [resultEntry(event)];
    case 'system': return [systemEntry(event)];
    case 'control_request': return [requestEntry(event)];
    case 'control_response': return [responseEntry(event)];
    default: return [folded(event, nameOf(message))];
  }
}

/** @param {any} message */
function nameOf(message) {
  const names = [message?.type, message?.subtype ?? message?.request?.subtype];
  return names.filter((name) => typeof name === 'string').join(' · ').slice(0, 120) || 'Unnamed message';
}

/** @param {unknown} content @returns {any[]} content is a string or a list of blocks */
const blocksOf = (content) =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : Array.isArray(content) ? content : [];

/** @param {LogEvent} event @param {Memory} memory */
function userEntries(event, memory) {
  const { message } = event;
  const blocks = blocksOf(message.message?.content);
  if (!blocks.length) return [folded(event, 'user')];
  if (event.from === 'viewer') {
    if (message.uuid) memory.viewerUuids.add(message.uuid);
  } else if (message.isReplay && memory.viewerUuids.has(message.uuid)) {
    return [];
  }
  const who = event.from === 'viewer' ? 'You' : 'From the agent’s side';
  return blocks.map((block) => {
    if (block?.type === 'tool_result') return toolResult(event, block, memory);
    return entry(event, 'user', [byline(event, who), ...content(block)], { 'data-from': event.from });
  });
}

/** @param {LogEvent} event @param {Memory} memory */
function assistantEntries(event, memory) {
  const blocks = blocksOf(event.message.message?.content);
  if (!blocks.length) return [folded(event, 'assistant')];
  return blocks.map((block) => {
    if (block?.type === 'tool_use') return toolUse(event, block, memory);
    return assistantEntry(event, content(block));
  });
}

/** @param {LogEvent} event @param {Node[]} children @param {Record<string, any>} [more] */
export function assistantEntry(event, children, more) {
  return entry(event, 'assistant', [h('p', { class: 'sr' }, 'Agent'), ...children], more);
}

/** @param {any} block @returns {Node[]} */
function content(block) {
  switch (block?.type) {
    case 'text': return clipped(String(block.text ?? ''), prose);
    case 'thinking':
      return [disclosure('Thinking', () => prose(String(block.thinking ?? '')), 'folded thinking')];
    case 'image': return [image(block)];
    default: {
      const name = String(block?.type ?? 'content');
      return [disclosure(name, () => codeBlock(pretty(block)), 'folded')];
    }
  }
}

const PICTURES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

/** @param {any} block only images inside the message: a URL would make the browser call out */
function image(block) {
  const { media_type: type, data } = block.source ?? {};
  if (!PICTURES.has(type) || typeof data !== 'string') {
    return disclosure('image', () => codeBlock(pretty(block)), 'folded');
  }
  return h('img', { src: `data:${type};base64,${data}`, alt: 'Image from the conversation', loading: 'lazy' });
}

/** @param {LogEvent} event @param {any} block @param {Memory} memory */
function toolUse(event, block, memory) {
  const name = String(block.name ?? 'tool');
  if (block.id) memory.toolNames.set(block.id, name);
  return entry(event, 'tool', [
    h('p', { class: 'tool-head' }, h('span', { class: 'sr' }, 'Tool: '), h('strong', {}, name), ' ',
      block.input?.description && h('span', { class: 'muted' }, String(block.input.description))),
    ...toolInput(block.input),
  ], { 'data-part': 'use' });
}

/** @param {any} input @returns {Node[]} */
export function toolInput(input) {
  if (typeof input?.command === 'string') return clipped(input.command, codeBlock);
  if (input === undefined || (typeof input === 'object' && input && !Object.keys(input).length)) return [];
  return clipped(pretty(input), codeBlock);
}

/** @param {LogEvent} event @param {any} block @param {Memory} memory */
function toolResult(event, block, memory) {
  const name = memory.toolNames.get(block.tool_use_id);
  const parts = blocksOf(block.content);
  const texts = parts.filter((part) => part?.type === 'text').map((part) => String(part.text ?? ''));
  const rest = parts.filter((part) => part?.type !== 'text').flatMap(content);
  const text = withoutColour(texts.join('\n'));
  const label = `${block.is_error ? 'Error' : 'Result'}${name ? ` of ${name}` : ''}`;
  return entry(event, 'tool', [
    h('p', { class: 'tool-head small' }, label),
    text.trim() ? clipped(text, codeBlock) : !rest.length && h('p', { class: 'muted small' }, 'No output'),
    rest,
  ], { 'data-part': 'result', 'data-error': block.is_error ? '' : null });
}

/** @param {LogEvent} event */
function resultEntry(event) {
  const { message } = event;
  if (message.is_error) {
    const errors = Array.isArray(message.errors) ? message.errors : [];
    const said = errors.map(String).join('\n') || (typeof message.result === 'string' ? message.result : '');
    return entry(event, 'result', [
      h('p', { class: 'tool-head' }, h('strong', {}, 'The turn ended with an error'), ' ',
        h('span', { class: 'muted' }, String(message.subtype ?? '').replaceAll('_', ' '))),
      said && clipped(withoutColour(said), codeBlock),
    ], { 'data-error': '' });
  }
  const facts = [
    Number.isFinite(message.duration_ms) && duration(message.duration_ms),
    message.num_turns > 1 && `${message.num_turns} turns`,
    message.total_cost_usd > 0 && `$${Number(message.total_cost_usd).toFixed(4)}`,
  ].filter(Boolean);
  const summary = ['Turn finished', ...facts].join(' · ');
  return entry(event, 'result', [disclosure(summary, () => codeBlock(pretty(message)), 'folded turn')]);
}

/** @param {LogEvent} event */
function systemEntry(event) {
  const { message } = event;
  switch (message.subtype) {
    case 'init': {
      const facts = ['Agent ready', message.model, message.permissionMode && `${message.permissionMode} mode`];
      return folded(event, facts.filter(Boolean).join(' · ').slice(0, 200));
    }
    case 'permission_denied':
      return line(event, `Denied: ${message.tool_name ?? 'tool'}. ${message.message ?? ''}`);
    case 'api_retry':
      return line(event, `The model did not answer (${message.error ?? message.error_status ?? 'error'}); `
        + `attempt ${message.attempt ?? '?'} of ${message.max_retries ?? '?'}`, 'warn');
    default: return folded(event, nameOf(message));
  }
}

/** @param {LogEvent} event */
function footbridgeEntry(event) {
  const { message } = event;
  switch (message.subtype) {
    case 'session_state': {
      if (message.state !== 'ended') return line(event, `Session ${message.state}`);
      const status = String(message.result?.status ?? 'ended').replaceAll('_', ' ');
      const exit = exitOf(message.result);
      const good = message.result?.status === 'completed' || message.result?.status === 'interrupted';
      return line(event, `Session ended: ${status}${exit ? ` (${exit})` : ''}`, good ? 'quiet' : 'bad');
    }
    case 'agent_started': return line(event, `Agent started${message.pid ? ` (pid ${message.pid})` : ''}`);
    case 'agent_resumed': return line(event, String(message.message ?? 'The agent continues its conversation.'));
    case 'agent_restarted': return line(event, String(message.message ?? 'A new agent has started.'), 'warn');
    case 'agent_exited': {
      const fine = message.exit_code === 0;
      return line(event, `Agent exited${exitOf(message) ? ` (${exitOf(message)})` : ''}`, fine ? 'quiet' : 'bad');
    }
    case 'agent_stderr':
      return entry(event, 'system', [
        h('p', { class: 'tool-head small' }, 'The agent wrote to stderr'),
        clipped(withoutColour(String(message.text ?? '')), codeBlock),
        message.dropped > 0 && h('p', { class: 'line quiet' },
          message.dropped === 1 ? 'One more line was left out.' : `${message.dropped} more lines were left out.`),
      ], { 'data-part': 'stderr' });
    case 'agent_output_error':
      return entry(event, 'system', [
        h('p', { class: 'line warn' }, `Skipped a line that is not a message: ${message.message ?? ''}`),
        message.line && codeBlock(String(message.line)),
      ]);
    case 'lines_lost': {
      const many = Math.max(0, Number(message.resumes_after) - Number(message.after)) || 0;
      return line(event, many === 1
        ? 'One line of the agent was lost: it never arrived, and its worker no longer has it.'
        : `${many || 'Some'} lines of the agent were lost: they never arrived, and its worker no longer has them.`, 'warn');
    }
    case 'messages_lost':
      return line(event, `Not delivered: ${message.message ?? 'messages to the agent were lost at the relay'}`, 'warn');
    case 'messages_indeterminate':
    case 'messages_undelivered':
    case 'messages_expired':
      return line(event, undelivered(message), 'warn');
    case 'requests_unanswered': {
      const many = (message.request_ids ?? []).length;
      return line(event, `${many === 1 ? 'A request' : `${many} requests`} will not be answered: ${message.reason ?? 'the agent has ended'}`);
    }
    default: return folded(event, nameOf(message));
  }
}

/** @param {any} message @returns {string} */
function undelivered(message) {
  const { uuids = [], request_ids: requests = [], answers = [] } = message;
  const count = (/** @type {any[]} */ all, /** @type {string} */ one) => all.length && `${all.length} ${one}${all.length > 1 ? 's' : ''}`;
  const what = [count(uuids, 'message'), count(answers, 'answer'), count(requests, 'request')].filter(Boolean).join(', ') || 'A message';
  const why = message.reason ? `: ${message.reason}` : '';
  return message.subtype === 'messages_indeterminate'
    ? `Not known whether the agent read ${what}${why}. It may have acted on it; it is not sent again.`
    : `Not delivered: ${what}${why}.`;
}

/** @type {Record<string, string>} */
const REQUESTS = {
  interrupt: 'Interrupt requested',
  initialize: 'Agent asked to initialize',
};

/** @param {LogEvent} event */
function requestEntry(event) {
  const known = event.from === 'viewer' ? REQUESTS[event.message.request?.subtype] : undefined;
  return folded(event, known ?? nameOf(event.message));
}

/** @param {LogEvent} event */
function responseEntry(event) {
  const { response } = event.message;
  if (response?.subtype === 'error') {
    return line(event, `The ${event.from} answered with an error: ${response.error ?? 'unknown'}`, 'bad');
  }
  return folded(event, event.from === 'agent' ? 'The agent acknowledged' : 'Answer');
}
