// @ts-check
// The page behind a link that answers one question: whoever has it sees what is asked, and says yes or
// no, once. It is not signed in, and can do nothing else.
import { h, freshId } from './dom.js';
import { Api, ApiError } from './api.js';
import { record, text } from './values.js';
import { visible } from './visible.js';

const main = h('main', { class: 'log-ins' });
document.body.append(main);

/** @param {...any} children */
const show = (...children) => main.replaceChildren(h('h1', {}, 'Footbridge'), ...children);

/** @param {unknown} error @returns {string} */
const why = (error) => (error instanceof ApiError ? error.message : 'Something went wrong: reload the page.');

/** @param {unknown} input @returns {HTMLElement} all of it, with what is invisible made visible */
function asked(input) {
  const fields = Object.entries(record(input));
  const rows = fields.map(([name, value]) => [
    h('dt', { dir: 'auto' }, visible(name)),
    h('dd', {}, h('pre', { dir: 'auto' }, visible(typeof value === 'string' ? value : JSON.stringify(value, null, 2)))),
  ]);
  return fields.length > 0 ? h('dl', { class: 'asked', 'data-testid': 'asked' }, ...rows.flat()) : h('p', { class: 'muted' }, 'Without any input.');
}

/** @param {Api} api @param {any} question */
function ask(api, question) {
  const reasonId = freshId('reason');
  const reason = h('input', { id: reasonId, type: 'text', autocomplete: 'off' });
  const error = h('p', { class: 'error', role: 'alert' });
  const buttons = h('p', { class: 'actions' },
    h('button', { type: 'button', class: 'primary', 'data-testid': 'allow', on: { click: () => void answer('allow') } }, 'Allow'),
    h('button', { type: 'button', class: 'danger', 'data-testid': 'deny', on: { click: () => void answer('deny') } }, 'Deny'));
  const answer = async (/** @type {'allow' | 'deny'} */ behavior) => {
    if (buttons.hasAttribute('aria-busy')) return;
    buttons.toggleAttribute('aria-busy', true);
    error.textContent = '';
    try {
      const message = behavior === 'deny' ? reason.value.trim() : '';
      await api.answerLinked({ behavior, ...(message && { message }) });
      show(h('p', { role: 'status', 'data-testid': 'done' }, behavior === 'allow' ? 'Allowed. You can close this page.' : 'Denied. You can close this page.'));
    } catch (failure) {
      buttons.removeAttribute('aria-busy');
      error.textContent = why(failure);
    }
  };
  show(
    h('h2', {}, 'May the agent use ', h('bdi', {}, visible(text(question.tool_name, 'a tool without a name'))), '?'),
    question.title ? h('p', {}, 'In the session ', h('bdi', {}, visible(text(question.title)))) : null,
    asked(question.input),
    h('p', { class: 'muted' }, 'This link answers this question only, once, until ',
      h('time', { datetime: question.expires_at }, new Date(question.expires_at).toLocaleString()), '.'),
    h('label', { for: reasonId }, 'Reason for denying (optional)'), reason,
    error, buttons);
}

async function begin() {
  const token = location.hash.slice(1);
  if (!token.startsWith('fbanswer-')) {
    show(h('p', {}, 'This page shows the question behind a link, and the link is not whole: open it as you were given it.'));
    return;
  }
  const api = new Api(token, () => {});
  try {
    ask(api, await api.linked());
  } catch (error) {
    const isUnknown = error instanceof ApiError && error.status === 401;
    show(h('p', { class: 'error', role: 'alert' }, isUnknown ? 'This relay did not make this link, or it is not whole: open it as you were given it.' : why(error)));
  }
}

window.addEventListener('hashchange', () => void begin());
void begin();
