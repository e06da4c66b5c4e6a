// @ts-check
// What a session is doing, in the words and in the order in which people need to know.
import { list, text } from './values.js';

/** @type {Map<string, [string, string]>} */
const ENDINGS = new Map([
  ['completed', ['Completed', 'quiet']],
  ['failed', ['Failed', 'bad']],
  ['timed_out', ['Timed out', 'bad']],
  ['interrupted', ['Stopped by you', 'quiet']],
  ['lost', ['Lost: its machine disappeared', 'bad']],
]);

/**
 * @typedef {{state: string, detail: string, label: string, tone: string, need: number}} State `state` is the relay's own
 *   word; `detail` is what else people need to know; `need` is 0 for what needs them most
 */

const NEED = { you: 0, works: 1, idle: 2, ended: 3 };

/** @param {any} session @param {boolean} [isOnline] whether its machine is there @returns {State} */
export function stateOf(session, isOnline = true) {
  const { state } = session;
  const is = (/** @type {string} */ detail, /** @type {string} */ label, /** @type {string} */ tone, /** @type {number} */ need) =>
    ({ state: text(state), detail, label, tone, need });
  if (state === 'ended') {
    const detail = text(session.result?.status, 'ended');
    const [label, tone] = ENDINGS.get(detail) ?? ['Ended', 'quiet'];
    return is(detail, label, tone, NEED.ended);
  }
  if (session.stopping) return is('stopping', 'Stopping', 'quiet', NEED.works);
  const questions = list(session.pending_permissions);
  const open = questions.filter((one) => !one.turn_ended).length;
  if (open) return is('waiting', open > 1 ? `${open} questions wait for you` : 'Waits for you', 'warn', NEED.you);
  if (state === 'queued') {
    if (isOnline && session.worker_draining === true) return is('draining', 'Queued: its machine takes no more sessions now', 'warn', NEED.works);
    return isOnline ? is(state, 'Queued', 'quiet', NEED.works) : is('asleep', 'Queued until its machine is back', 'warn', NEED.works);
  }
  if (state === 'starting') return is(state, 'Starting', 'quiet', NEED.works);
  if (state !== 'running') return is(text(state), text(state), 'quiet', NEED.idle);
  if (session.connected === false) return is('disconnected', 'Its machine cannot be reached', 'warn', NEED.works);
  if (questions.length && session.working !== true) return is('left-open', 'Your turn, a question was left open', 'quiet', NEED.idle);
  if (session.working === true) return is('working', 'Working', 'good', NEED.works);
  // A relay of an earlier version does not say.
  return session.working === false ? is('idle', 'Your turn', 'quiet', NEED.idle) : is('running', 'Running', 'good', NEED.works);
}
