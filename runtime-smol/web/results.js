// @ts-check
// How a turn that did not end well reads, in plain words: agents pass on what the model's service
// said, with codes, JSON and seconds since 1970 in it.
import { withoutColour } from './format.js';
import { clip, list, number, record, text } from './values.js';

/** @typedef {{head: string, hint: string, said: string, raw: string, isStop?: boolean}} Failure `raw` is what the words stand for, unless they are its
 * own; `isStop` if a person has ended the turn, and nothing is wrong */

/** Characters of an agent's words that are searched for what they mean. */
const SEARCHED = 20_000;
const NAME = 120;

/** @type {Map<string, string>} what a turn's `subtype` says */
const SUBTYPES = new Map([
  ['error_max_turns', 'The agent stopped: it has used up its number of turns'],
  ['error_max_budget_usd', 'The agent stopped: it has used up its budget'],
  ['error_max_structured_output_retries', 'The agent stopped: it did not manage to answer in the form that was asked for'],
]);

const AGAIN = 'Nothing is wrong with the session: send the message again in a while.';
const SIGN_IN = 'On the agent’s machine, sign in again (in Claude Code: /login), then send the message again.';

/** @type {[RegExp, string, string][]} what the model's service says, and what to do about it; the first that fits counts */
const KNOWN = [
  [/overloaded|\b529\b/i, 'The model is overloaded', AGAIN],
  [/usage policy|unable to respond to this request/i, 'The model declined to answer', 'Put it in other words, or ask for something else.'],
  [/(?:usage|hour|session|weekly|opus|sonnet|your) limit|limit reached .* resets|out of extra usage/i, 'Usage limit reached', 'Send the message again once it has reset.'],
  [/rate.?limit|\b429\b/i, 'The model is taking no more requests for now', AGAIN],
  [/credit balance|billing_error|\b402\b/i, 'The account has no credit left', 'Top it up, then send the message again.'],
  [/invalid api key|authentication|oauth|token (?:has )?(?:expired|revoked)|run \/login|\b401\b/i, 'The agent is not signed in to its model', SIGN_IN],
  [/permission_error|\b403\b/i, 'The agent’s account may not use this model', SIGN_IN],
  [/prompt is too long|request_too_large|too large|context (?:window|length)|\b413\b/i, 'The conversation has become too long for the model', 'In Claude Code, /compact shortens it; or start a new session.'],
  [/not_found_error|model .* not found|\b404\b/i, 'The model does not exist, or the account may not use it', ''],
  [/timed? ?out|timeout|connection error|econn|enotfound|fetch failed|socket hang up|network/i, 'The model could not be reached', AGAIN],
  [/invalid_request|\b400\b/i, 'The model’s service refused the request', ''],
  [/api_error|internal server error|bad gateway|service unavailable|\b50[0-9]\b/i, 'The model’s service failed', AGAIN],
];

/** @param {number} seconds since 1970 @returns {string} in the reader's own time; empty if it is none */
export function momentOf(seconds) {
  // Some write milliseconds.
  const at = new Date(seconds > 1e11 ? seconds : seconds * 1000);
  if (!(seconds > 0) || Number.isNaN(at.getTime())) return '';
  const time = { hour: '2-digit', minute: '2-digit' };
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? `at ${at.toLocaleTimeString(undefined, /** @type {any} */ (time))}`
    : `on ${at.toLocaleString(undefined, /** @type {any} */ ({ weekday: 'short', day: 'numeric', month: 'short', ...time }))}`;
}

/** @param {number} seconds @returns {string} */
function resets(seconds) {
  const moment = momentOf(seconds);
  const isOver = (seconds > 1e11 ? seconds / 1000 : seconds) * 1000 < Date.now();
  return moment && `It ${isOver ? 'reset' : 'resets'} ${moment}.`;
}

/** A limit, and when it ends: `Claude AI usage limit reached|1760000000`. */
const LIMIT = /^\s*([^|\n]{0,200}\blimit\b[^|\n]{0,200})\|\s*(\d{10}|\d{13})\s*$/i;

/** @param {string} said @returns {string} the same without a raw time in it */
export function plainWords(said) {
  const limit = said.length < 500 && LIMIT.exec(said);
  return limit ? `${limit[1].trim()}. ${resets(Number(limit[2]))}`.trim() : said;
}

/** @param {string} said @returns {string} the sentence in an answer of the model's service */
function sentenceIn(said) {
  const [from, to] = [said.indexOf('{'), said.lastIndexOf('}')];
  if (from === -1 || to < from) return said;
  try {
    const answer = JSON.parse(said.slice(from, to + 1));
    return text(record(answer.error).message ?? answer.message, said);
  } catch {
    return said;
  }
}

/** @param {any} message a `result` @returns {Failure | null} null if it ended well */
export function errorOfTurn(message) {
  const subtype = text(message.subtype);
  const declined = message.stop_reason === 'refusal';
  if (!message.is_error && !subtype.startsWith('error') && !declined) return null;
  const said = list(message.errors).map((error) => text(error)).join('\n') || text(message.result);
  const failure = { head: 'The turn ended with an error', hint: '', said, raw: '' };
  const start = withoutColour(said.slice(0, SEARCHED)).trim();
  const limit = start.length < 500 ? LIMIT.exec(start) : null;
  if (limit) {
    return { head: 'Usage limit reached', hint: `${resets(Number(limit[2]))} Then send the message again.`.trim(), said: '', raw: said };
  }
  if (declined) return { ...failure, head: 'The model declined to answer' };
  const named = SUBTYPES.get(subtype);
  if (named) return { ...failure, head: named };
  const aborted = text(message.terminal_reason).startsWith('aborted');
  // Longer words are about what happened in the turn, and only mention such things.
  const isOfService = /^API Error/i.test(start) || start.length < 300;
  const status = number(message.api_error_status);
  const sentence = sentenceIn(start);
  const searched = `${start}${status ? ` ${status}` : ''}`;
  const known = isOfService && !aborted && subtype !== 'error_during_execution' && KNOWN.find(([sign]) => sign.test(searched));
  if (known) {
    const own = sentence === start ? said : sentence;
    return { head: known[1], hint: known[2], said: own, raw: own === said ? '' : said };
  }
  if (aborted) return { ...failure, head: 'Interrupted by you', said: '', raw: said, isStop: true };
  const other = subtype && subtype !== 'success' && subtype !== 'error_during_execution' && subtype !== 'error';
  return other ? { ...failure, head: `${failure.head}: ${clip(subtype, NAME).replaceAll('_', ' ')}` } : failure;
}

/** @type {Map<string, string>} */
const LIMITS = new Map([
  ['five_hour', 'five-hour limit'], ['seven_day', 'weekly limit'], ['seven_day_opus', 'weekly limit for Opus'],
  ['seven_day_sonnet', 'weekly limit for Sonnet'], ['overage', 'limit for extra usage'],
]);

/** @param {unknown} info of a `rate_limit_event` @returns {{words: string, tone: string} | null} null if no limit is near */
export function limitOf(info) {
  const { status, resetsAt, rateLimitType: type, utilization } = record(info);
  if (status === undefined || status === 'allowed') return null;
  const name = LIMITS.get(text(type)) ?? (type ? `limit “${clip(text(type), NAME).replaceAll('_', ' ')}”` : 'usage limit');
  const when = resets(number(resetsAt));
  const part = number(utilization);
  if (status === 'rejected') return { words: `The ${name} is reached. ${when}`.trim(), tone: 'bad' };
  const used = part > 0 ? ` (${Math.round(part <= 1 ? part * 100 : part)} % used)` : '';
  if (status === 'allowed_warning') return { words: `The ${name} is near${used}. ${when}`.trim(), tone: 'warn' };
  return { words: `The ${name}: ${clip(text(status), NAME).replaceAll('_', ' ')}${used}. ${when}`.trim(), tone: 'warn' };
}
