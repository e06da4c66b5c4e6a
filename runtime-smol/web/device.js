// @ts-check
// The page of log-ins: a person enters the code that a machine shows, sees what it asks for, and
// approves or refuses it; and ends log-ins that are there.
import { h, freshId } from './dom.js';
import { Api, ApiError } from './api.js';
import { Push } from './push.js';
import { askToReplace, exchange, handOver, nameOf, signIn, works } from './sign-in.js';
import { keepToken, readToken, takeFromAddress } from './token.js';

const SCOPES = /** @type {Record<string, string>} */ ({
  watch: 'see your machines and sessions',
  answer: 'answer the questions of agents in your name',
  drive: 'start and stop sessions, and write in them',
  work: 'run sessions on that machine',
});

/** @param {unknown} error @returns {string} */
const why = (error) => (error instanceof ApiError ? error.message : 'Something went wrong: reload the page.');

const main = h('main', { class: 'log-ins' });
document.body.append(main);

/** @param {...any} children */
function show(...children) {
  main.replaceChildren(...children);
}

function begin() {
  const token = readToken();
  if (token === null) {
    show(h('h1', { class: 'sr' }, 'Footbridge'), signIn({ reason: '', onToken: (/** @type {string} */ own) => { keepToken(own); begin(); } }));
    return;
  }
  const api = new Api(token, () => { keepToken(null); begin(); });
  const person = nameOf(api);
  const typed = new URLSearchParams(location.search).get('user_code') ?? '';
  const devices = h('section', { 'data-testid': 'devices' });
  show(h('p', {}, h('a', { href: './' }, 'Footbridge')), h('h1', {}, 'Log in a machine'), enter(api, person, typed, devices), devices);
  void list(api, devices);
}

/**
 * @param {Api} api @param {Promise<string>} person who is signed in, if not plain
 * @param {string} typed @param {HTMLElement} devices @returns {HTMLElement}
 */
function enter(api, person, typed, devices) {
  const you = h('bdi', { 'data-testid': 'account' }, 'you');
  void person.then((name) => { if (name) you.textContent = name; });
  const [inputId, helpId] = ['code', 'code-help'].map(freshId);
  const input = h('input', {
    id: inputId, name: 'code', required: true, value: typed, autocomplete: 'off', autocapitalize: 'characters',
    spellcheck: 'false', 'aria-describedby': helpId,
  });
  const result = h('div', { 'aria-live': 'polite' });
  const look = async (/** @type {Event} */ event) => {
    event.preventDefault();
    result.replaceChildren();
    const code = input.value;
    try {
      const asked = await api.logIn(code);
      result.replaceChildren(question(api, await person, code, asked, devices));
    } catch (error) {
      result.replaceChildren(h('p', { class: 'error', role: 'alert' }, why(error)));
    }
  };
  return h('section', {},
    h('form', { class: 'sign-in', on: { submit: look } },
      h('label', { for: inputId }, 'Code'),
      input,
      h('p', { id: helpId, class: 'muted' }, 'The machine shows it after ', h('code', {}, 'footbridge login'),
        '. Go on only if it is in front of you, or yours: whoever sent you a code wants to log in as ', you, '.'),
      h('button', { type: 'submit', class: 'primary' }, 'Go on')),
    result);
}

/**
 * @param {Api} api @param {string} person @param {string} code @param {any} asked @param {HTMLElement} devices
 * @returns {HTMLElement}
 */
function question(api, person, code, asked, devices) {
  const box = h('div', { class: 'sign-in', 'data-testid': 'log-in' });
  const decide = async (/** @type {'approve' | 'deny'} */ answer) => {
    try {
      await api.answerLogIn(code, answer);
      box.replaceChildren(h('p', { role: 'status' }, answer === 'approve' ? 'Approved. The machine will go on by itself.' : 'Refused.'));
      setTimeout(() => void list(api, devices), 6000);
    } catch (error) {
      box.append(h('p', { class: 'error', role: 'alert' }, why(error)));
    }
  };
  const scopes = `${asked.scope}`.split(' ').map((scope) => h('li', {}, SCOPES[scope] ?? scope));
  box.append(
    h('h2', {}, 'Let ', h('bdi', {}, asked.name), ' log in as ', h('bdi', {}, person || 'you'), '?'),
    h('p', {}, 'It asks from ', h('bdi', {}, asked.address), ', and will be able to:'),
    h('ul', {}, ...scopes),
    h('p', { class: 'actions' },
      h('button', { type: 'button', class: 'primary', on: { click: () => void decide('approve') } }, 'Approve'),
      h('button', { type: 'button', on: { click: () => void decide('deny') } }, 'Refuse')));
  return box;
}

/** @param {Api} api @param {HTMLElement} place */
async function list(api, place) {
  try {
    const { devices } = await api.devices();
    const rows = devices.map((/** @type {any} */ device) => h('li', {},
      h('bdi', {}, device.name), ` (${device.scope}${device.trusted_at ? ', trusted' : ''}), last used `, h('time', { datetime: device.last_used_at }, new Date(device.last_used_at).toLocaleString()),
      ' from ', h('bdi', {}, device.address), ' ',
      h('button', { type: 'button', on: { click: () => void end(api, device.id, place) } }, 'Revoke')));
    place.replaceChildren(h('h2', {}, 'Logged in'), rows.length > 0 ? h('ul', {}, ...rows) : h('p', { class: 'muted' }, 'No machine is.'));
  } catch (error) {
    place.replaceChildren(h('p', { class: 'error' }, why(error)));
  }
}

/** @param {Api} api @param {string} id @param {HTMLElement} place */
async function end(api, id, place) {
  try {
    await api.revokeDevice(id);
  } catch (error) {
    place.append(h('p', { class: 'error', role: 'alert' }, why(error)));
    return;
  }
  await list(api, place);
}

/** A sign-in with a provider comes back with a code, which takes nobody's place unasked. */
async function arrive() {
  const credential = takeFromAddress();
  const kept = readToken();
  if (credential && (kept === null || !await works(kept))) {
    const { token } = await exchange(credential);
    if (token) keepToken(token);
    begin();
    return;
  }
  begin();
  if (!credential || kept === null || kept === credential.value) return;
  const before = new Api(kept, () => {});
  askToReplace({ person: await nameOf(before), onUse: async () => {
    const { token, problem } = await exchange(credential);
    if (problem) {
      askToReplace({ problem });
      return;
    }
    await handOver(before, token, () => new Push(before, kept).turnOff());
    keepToken(token);
    begin();
  } });
}

void arrive();
