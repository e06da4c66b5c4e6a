// @ts-check
// Turns one event of the log into its entry in the transcript: every event gets one,
// and what is not understood is kept verbatim, folded.
import { callOf } from './calls.js';
import { h, disclosure } from './dom.js';
import { clock, duration, exitOf, withoutColours } from './format.js';
import { clipped, codeForm } from './long.js';
import { proseForm } from './prose.js';
import { errorOfTurn, limitOf, plainWords } from './results.js';
import { clip, keep, list, number, prettyParts, record, text } from './values.js';
import { visible } from './visible.js';

/** Parts of one message that are shown; the others are folded together. */
const PARTS = 100;
/** Names of tools, and messages from here, that later events may refer to. */
const REMEMBERED = 4000;
/** Calls that a question may be about. */
const RECENT = 100;

/**
 * @typedef {{seq: number, at: string, from: string, message: any}} LogEvent
 * @typedef {{entry: HTMLElement, input: unknown}} Call a tool's use, and what shows it
 * @typedef {{toolNames: Map<unknown, string>, calls: Map<unknown, Call>, viewerUuids: Map<unknown, true>}} Memory what
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
  entry(event, 'system', [raw(summary, value)]);

/** @param {string} summary @param {unknown} value @returns {Node} */
const raw = (summary, value) => disclosure(summary, () => h('div', {}, clipped(prettyParts(value), codeForm)), 'folded');

/** @param {LogEvent} event @returns {HTMLElement} for an event that cannot be shown in any other way */
export const rawEntry = (event) => folded(event, `Cannot be shown: ${nameOf(event.message)}`);

/** @param {LogEvent} event @param {string} summary @returns {HTMLElement} for a question that gets no card of its own */
export const foldedQuestion = (event, summary) => folded(event, summary);

/** @param {LogEvent} event @param {string} who */
const byline = (event, who) => h('p', { class: 'byline' }, who, ' ', clock(event.at));

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
    case 'system': return [systemEntry(event)];
    case 'control_request': return [requestEntry(event)];
    case 'control_response': return [responseEntry(event)];
    case 'rate_limit_event': return [limitEntry(event)];
    default: return [folded(event, nameOf(message))];
  }
}

/** @param {any} message */
function nameOf(message) {
  const names = [message?.type, message?.subtype ?? message?.request?.subtype];
  return names.filter((name) => typeof name === 'string').join(' · ').slice(0, 120) || 'Unnamed message';
}

/** @param {unknown} content @returns {any[]} content is a string or a list of blocks */
const blocksOf = (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : list(content));

/**
 * @param {LogEvent} event @param {any[]} blocks @param {(block: any) => HTMLElement} show
 * @returns {Generator<HTMLElement>} what cannot be shown is folded, and takes nothing else with it
 */
function* entriesFor(event, blocks, show) {
  for (const block of blocks.slice(0, PARTS)) {
    let entry;
    try {
      entry = show(block);
    } catch {
      entry = folded(event, 'Cannot be shown', block);
    }
    yield entry;
  }
  const rest = blocks.slice(PARTS);
  if (rest.length) yield folded(event, `${rest.length.toLocaleString()} more parts`, rest);
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
  }
  const who = event.from === 'viewer' ? 'You' : 'From the agent’s side';
  return entriesFor(event, blocks, (block) => {
    if (block?.type === 'tool_result') return toolResult(event, block, memory);
    return entry(event, 'user', [byline(event, who), ...content(block)], { 'data-from': event.from });
  });
}

/** @param {LogEvent} event @param {Memory} memory */
function assistantEntries(event, memory) {
  const blocks = blocksOf(event.message.message?.content);
  if (!blocks.length) return [folded(event, 'assistant')];
  return entriesFor(event, blocks, (block) => {
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

/** @param {LogEvent} event @param {any} block @param {Memory} memory */
function toolUse(event, block, memory) {
  const name = text(block.name, 'tool');
  keep(memory.toolNames, block.id, name, REMEMBERED);
  const { subject, isProse, nodes } = callOf(name, block.input);
  // Its questions come with their choices, right after it.
  const isAsked = name === 'AskUserQuestion' && nodes.length > 0;
  const call = entry(event, 'tool', [
    h('p', { class: 'tool-head' }, h('span', { class: 'sr' }, 'Tool: '), h('strong', {}, visible(clip(name, 200))), ' ',
      h('span', { class: 'muted', dir: isProse ? 'auto' : 'ltr' }, visible(subject))),
    isAsked ? disclosure('What the agent asked', () => callOf(name, block.input).nodes, 'folded') : nodes,
  ], { 'data-part': 'use' });
  keep(memory.calls, block.id, { entry: call, input: block.input }, RECENT);
  return call;
}

/** @type {Set<unknown>} tools whose results only confirm their calls, or repeat what is in a file */
const KNOWN_RESULTS = new Set([
  'Read', 'NotebookRead', 'Glob', 'Grep', 'LS', 'Edit', 'MultiEdit', 'Write', 'NotebookEdit', 'TodoWrite', 'TaskCreate', 'TaskUpdate',
  'AskUserQuestion', 'ExitPlanMode',
]);

/** @param {string} said @returns {string} without the tags that are meant for the model */
const withoutFrame = (said) => /^<tool_use_error>([^]*)<\/tool_use_error>\s*$/.exec(said)?.[1] ?? said;

/** @param {LogEvent} event @param {any} block @param {Memory} memory */
function toolResult(event, block, memory) {
  const name = memory.toolNames.get(block.tool_use_id);
  const parts = blocksOf(block.content);
  const texts = parts.filter((part) => part?.type === 'text').map((part) => text(part.text));
  const others = parts.filter((part) => part?.type !== 'text');
  const rest = others.slice(0, PARTS).flatMap(content);
  if (others.length > PARTS) rest.push(raw(`${others.length - PARTS} more parts`, others.slice(PARTS)));
  const said = texts.join('\n');
  const { is_error: failed } = block;
  const words = failed ? withoutFrame(said) : said;
  const show = () => (/\S/.test(words) ? clipped(withoutColours(words), codeForm) : []);
  const label = failed ? `${name ?? 'The tool'} failed` : `Result${name ? ` of ${name}` : ''}`;
  const more = { 'data-part': 'result', 'data-error': failed ? '' : null };
  if (!failed && !rest.length && KNOWN_RESULTS.has(name)) return entry(event, 'tool', [disclosure(label, show, 'folded')], more);
  const shown = show();
  return entry(event, 'tool', [
    h('p', { class: 'tool-head small' }, label),
    shown.length ? shown : !rest.length && h('p', { class: 'muted small' }, 'No output'),
    rest,
  ], more);
}

/** @param {LogEvent} event */
function resultEntry(event) {
  const { message } = event;
  const failure = errorOfTurn(message);
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
    const quiet = folded(event, 'No usage limit is near');
    quiet.dataset.quiet = '';
    return quiet;
  }
  return line(event, limit.words, limit.tone);
}

/** @param {LogEvent} event */
function systemEntry(event) {
  const { message } = event;
  switch (message.subtype) {
    case 'init': {
      const mode = text(message.permissionMode);
      const facts = ['Agent ready', text(message.model), mode && `${mode} mode`];
      return folded(event, facts.filter(Boolean).join(' · ').slice(0, 200));
    }
    case 'permission_denied':
      return line(event, `Denied: ${text(message.tool_name, 'tool')}. ${text(message.message)}`);
    case 'api_retry':
      return line(event, `The model did not answer (${text(message.error ?? message.error_status, 'error').replaceAll('_', ' ')}); `
        + `attempt ${text(message.attempt, '?')} of ${text(message.max_retries, '?')}`, 'warn');
    default: return folded(event, nameOf(message));
  }
}

/** @type {Map<string, string>} what a person wants done with a worktree that was kept */
const WISHES = new Map([
  ['look', 'The worker is to look into the worktree'],
  ['keep', 'The worktree is to stay where it is'],
  ['branch', 'The worktree is to be brought into a branch'],
  ['delete', 'The worktree is to be deleted'],
]);

/** @param {string} words @returns {string} with a capital letter */
const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** @param {LogEvent} event */
function footbridgeEntry(event) {
  const { message } = event;
  switch (message.subtype) {
    case 'session_state': {
      if (message.state !== 'ended') return line(event, `Session ${text(message.state)}`);
      const status = text(message.result?.status, 'ended').replaceAll('_', ' ');
      const exit = exitOf(message.result);
      const good = message.result?.status === 'completed' || message.result?.status === 'interrupted';
      return line(event, `Session ended: ${status}${exit ? ` (${exit})` : ''}`, good ? 'quiet' : 'bad');
    }
    case 'agent_started': return line(event, `Agent started${message.pid ? ` (pid ${text(message.pid)})` : ''}`);
    case 'agent_resumed': return line(event, text(message.message, 'The agent continues its conversation.'));
    case 'agent_restarted': return line(event, text(message.message, 'A new agent has started.'), 'warn');
    case 'agent_exited': {
      const fine = message.exit_code === 0;
      return line(event, `Agent exited${exitOf(message) ? ` (${exitOf(message)})` : ''}`, fine ? 'quiet' : 'bad');
    }
    case 'agent_not_reading': return line(event, text(message.message, 'The agent is not reading its input.'), 'warn');
    case 'agent_reading': return line(event, text(message.message, 'The agent reads its input again.'));
    case 'agent_stderr':
      return entry(event, 'system', [
        h('p', { class: 'tool-head small' }, 'The agent wrote to stderr'),
        clipped(withoutColours(text(message.text)), codeForm),
        number(message.dropped) > 0 && h('p', { class: 'line quiet' },
          message.dropped === 1 ? 'One more line was left out.' : `${number(message.dropped)} more lines were left out.`),
      ], { 'data-part': 'stderr' });
    case 'agent_output_error':
      return entry(event, 'system', [
        h('p', { class: 'line warn' }, `Skipped a line that is not a message: ${text(message.message)}`),
        message.line && clipped(withoutColours(text(message.line)), codeForm),
        number(message.more) > 0 && h('p', { class: 'line quiet' },
          message.more === 1 ? 'One more line like it was skipped.' : `${number(message.more).toLocaleString()} more lines like it were skipped.`),
      ]);
    case 'lines_lost': {
      const many = Math.max(0, number(message.resumes_after) - number(message.after)) || 0;
      return line(event, many === 1
        ? 'One line of the agent was lost: it never arrived, and its worker no longer has it.'
        : `${many || 'Some'} lines of the agent were lost: they never arrived, and its worker no longer has them.`, 'warn');
    }
    case 'messages_lost':
      return line(event, `Not delivered: ${text(message.message, 'messages to the agent were lost at the relay')}`, 'warn');
    case 'messages_indeterminate':
    case 'messages_undelivered':
    case 'messages_expired':
      return line(event, undelivered(message), 'warn');
    case 'worktree': {
      const { state, error } = record(message.worktree);
      return line(event, sentence(text(message.message, 'Something has become of the worktree')), state === 'kept' || error ? 'warn' : 'quiet');
    }
    case 'worktree_requested': return line(event, WISHES.get(text(message.action)) ?? nameOf(message));
    case 'worktree_unanswered':
      return line(event, `Nothing was done about the worktree: ${text(message.reason, 'the worker did not answer')}`, 'warn');
    case 'commit_kept': return line(event, sentence(text(message.message, 'A commit that only the worktree had is kept')), 'warn');
    case 'callback_withdrawn':
      return line(event, `What the agent asked a client was not answered: ${text(message.reason, 'the client is gone')}`, 'warn');
    case 'requests_unanswered': {
      const many = list(message.request_ids).length;
      return line(event, `${many === 1 ? 'A request' : `${many} requests`} will not be answered: ${text(message.reason, 'the agent has ended')}`);
    }
    default: return folded(event, nameOf(message));
  }
}

/** @param {any} message @returns {string} */
function undelivered(message) {
  const count = (/** @type {unknown} */ all, /** @type {string} */ one) => {
    const { length } = list(all);
    return length && `${length} ${one}${length > 1 ? 's' : ''}`;
  };
  const counts = [count(message.uuids, 'message'), count(message.answers, 'answer'), count(message.request_ids, 'request')];
  const what = counts.filter(Boolean).join(', ') || 'A message';
  const why = message.reason ? `: ${text(message.reason)}` : '';
  return message.subtype === 'messages_indeterminate'
    ? `Not known whether the agent read ${what}${why}. It may have acted on it; it is not sent again.`
    : `Not delivered: ${what}${why}.`;
}

/** @type {Map<unknown, string>} */
const REQUESTS = new Map([
  ['interrupt', 'Interrupt requested'],
  ['initialize', 'Agent asked to initialize'],
]);

/** @param {LogEvent} event */
function requestEntry(event) {
  const { request, request_id: id } = event.message;
  if (event.from === 'agent' && request?.subtype === 'can_use_tool' && typeof id !== 'string') {
    return folded(event, 'The agent asked for permission under an id that is not text; it was refused');
  }
  const known = event.from === 'viewer' ? REQUESTS.get(event.message.request?.subtype) : undefined;
  return folded(event, known ?? nameOf(event.message));
}

/** @param {LogEvent} event */
function responseEntry(event) {
  const { response } = event.message;
  if (response?.subtype === 'error') {
    return line(event, `The ${event.from} answered with an error: ${text(response.error, 'unknown')}`, 'bad');
  }
  return folded(event, event.from === 'agent' ? 'The agent acknowledged' : 'Answer');
}
