// @ts-check
// Where the conversation of a session that has ended can be continued, and what that means, said before it
// is done. The agent has it, on its machine: a new session starts an agent there with its id.
import { list, record, text } from './values.js';
import { visibleText } from './visible.js';

/** @typedef {{id: string, place: string, directory: string, isOnline: boolean}} Place a machine and the directory that its worker works in */
/** @typedef {{environmentId: string | null, words: string}} Way without an environment, the words say why there is none */

/** @param {unknown} value @returns {string} what an agent calls its conversation, or nothing */
export const conversationId = (value) => (typeof value === 'string' && /^[a-zA-Z0-9][\w.-]{0,127}$/.test(value) ? value : '');

/** @param {any[]} events of a log @returns {string} the conversation that they belong to, if one of them says so */
export function conversationIn(events) {
  for (const { from, message } of list(events).map(record)) {
    const { type, subtype, session_id: id } = record(message);
    if (from === 'agent' && type === 'system' && subtype === 'init' && conversationId(id)) return id;
  }
  return '';
}

/** @param {any} session @param {string} directory that its agent worked in @returns {string} what becomes of its worktree, if it had one */
function ofWorktree(session, directory) {
  if (!directory.includes(text(session.id, '-'))) return '';
  const kept = record(session.worktree).path;
  return kept ? ` What it left in its worktree, ${visibleText(text(kept))}, stays there: the new session works in a fresh one.`
    : ' Its worktree is gone: the new session works in a fresh one.';
}

/**
 * @param {{conversation: string, directory: string}} facts what its agent has said of itself @param {any} session that has ended
 * @param {Place[]} places that are known @returns {Way | null} null if there is no conversation to continue
 */
export function wayOn({ conversation, directory }, session, places) {
  if (!conversation) return null;
  const what = 'The agent remembers this conversation; what you see here stays here, and the new session begins with your next message.';
  const own = places.find(({ id }) => id === session.environment_id);
  if (own?.isOnline) return { environmentId: own.id, words: `In a new session on ${own.place}. ${what}${ofWorktree(session, directory)}` };
  if (own) return { environmentId: own.id, words: `In a new session on ${own.place}, which is offline: it begins when that is back. ${what}${ofWorktree(session, directory)}` };
  const alike = places.filter((one) => one.isOnline && directory !== '' && one.directory === directory);
  if (alike.length === 1) {
    const [{ id, place }] = alike;
    return { environmentId: id, words: `Its worker is gone; in a new session on ${place}, which works in the same directory. If that is another machine, its agent does not know the conversation, and the new session fails. ${what}` };
  }
  return { environmentId: null, words: 'It cannot be continued: its machine is no longer registered. Start the worker there again, in the same directory, and it can.' };
}
