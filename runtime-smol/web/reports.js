// @ts-check
// What an agent says about itself, and what the worker and the relay say, in words.
import { h } from './dom.js';
import { entry, folded, line, nameOf } from './entries.js';
import { exitOf, withoutColours } from './format.js';
import { clipped, codeForm } from './long.js';
import { list, number, record, text } from './values.js';

/** @typedef {import('./entries.js').LogEvent} LogEvent */

/** @param {LogEvent} event */
export function systemEntry(event) {
  const { message } = event;
  switch (message.subtype) {
    case 'init': {
      const mode = text(message.permissionMode);
      const facts = ['Agent ready', text(message.model), mode && `${mode} mode`];
      return folded(event, facts.filter(Boolean).join(' · ').slice(0, 200));
    }
    case 'compact_boundary': {
      const tokens = number(record(message.compact_metadata).pre_tokens);
      return line(event, `The conversation was summarised to make room${tokens > 0 ? `: it had come to ${tokens.toLocaleString('en')} tokens` : ''}`);
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
export function footbridgeEntry(event) {
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
    case 'relay_set_back':
      return line(event, text(message.message, 'The relay was set back to an earlier state.'), 'warn');
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
