// @ts-check
// Signing in: by a link with a code, by the access token, or by asking for one of them.
import { h, freshId } from './dom.js';
import { Api, ApiError } from './api.js';
import { forgetAll } from './outbox.js';
import { credentialIn, isUsableToken } from './token.js';
import { text } from './values.js';

/**
 * @param {{reason: string, onToken: (token: string) => void}} options
 * @returns {HTMLElement}
 */
export function signIn({ reason, onToken }) {
  const [inputId, helpId] = ['token', 'token-help'].map(freshId);
  const input = h('input', {
    id: inputId, type: 'password', name: 'token', required: true, autocomplete: 'off',
    autocapitalize: 'off', spellcheck: 'false', 'aria-describedby': helpId,
  });
  const error = h('p', { class: 'error', role: 'alert' }, reason);
  const button = h('button', { type: 'submit', class: 'primary' }, 'Sign in');
  const form = h('form', {
    class: 'sign-in',
    'data-testid': 'sign-in',
    on: {
      submit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        if (button.getAttribute('aria-disabled') === 'true') return;
        error.textContent = '';
        button.setAttribute('aria-disabled', 'true');
        const { token, problem } = await exchange(credentialIn(input.value));
        button.removeAttribute('aria-disabled');
        error.textContent = problem;
        if (problem) input.focus();
        else onToken(token);
      },
    },
  },
  h('h2', { tabindex: '-1' }, 'Sign in to this relay'),
  h('label', { for: inputId }, 'Link or access token'),
  input,
  h('p', { id: helpId, class: 'muted' },
    'Whoever runs the relay gets a link that signs you in: it is printed at the start, and by ',
    h('code', {}, 'footbridge sign-in'),
    '. Opening it is enough; pasting it, or the access token, works as well. What stays in this browser is a token of its own.'),
  error,
  button,
  withProvider());
  return form;
}

/** @returns {HTMLElement} a way by the relay's provider, once it is known that there is one */
function withProvider() {
  const place = h('p', { class: 'provider', hidden: true });
  new Api('', () => {}).oidc().then(({ provider }) => {
    if (!provider) return;
    const code = new URLSearchParams(location.search).get('user_code');
    const to = new URL(`v1/oidc/start${code ? `?user_code=${encodeURIComponent(code)}` : ''}`, document.baseURI);
    place.replaceChildren(h('a', { href: to.href, 'data-testid': 'provider' }, `Sign in with ${provider}`));
    place.hidden = false;
  }).catch(() => {});
  return place;
}

/**
 * For someone who is signed in and has opened a link that would sign them in. The last one that was
 * opened is asked about.
 * @param {{problem?: string, person?: string, onUse?: () => void}} options why the link does not do it, if
 *   it does not; who is signed in, where that is not plain
 */
export function askToReplace({ problem = '', person = '', onUse = () => {} }) {
  for (const earlier of document.querySelectorAll('dialog[data-testid="other-token"]')) earlier.remove();
  const headId = freshId('replace');
  const dialog = h('dialog', { 'aria-labelledby': headId, 'data-testid': 'other-token', on: { close: () => dialog.remove() } },
    h('h3', { id: headId }, problem ? 'This link does not sign you in' : 'Sign in with this link?'),
    h('p', {}, problem ? `${problem} You are still signed in as before.`
      : [person ? ['You are signed in as ', h('bdi', {}, person)] : 'You are signed in already',
        '. The link you opened would replace the token that this browser uses.']),
    h('form', { method: 'dialog', class: 'actions' },
      h('button', { value: 'keep', 'data-testid': 'keep-token' }, problem ? 'OK' : 'Stay signed in as before'),
      !problem && h('button', { value: 'use', 'data-testid': 'use-token', on: { click: onUse } }, 'Use the link')));
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * To be called before a token takes another one's place: what somebody has written here, and is told here, is
 * for nobody else.
 * @param {Api | null} before @param {string} token the new one @param {() => Promise<void> | undefined} turnOff ends what is told
 */
export async function handOver(before, token, turnOff) {
  const [one, other] = await Promise.all([before, new Api(token, () => {})].map((api) => api?.whoAmI().catch(() => null)));
  if (one?.account === other?.account) return;
  forgetAll(localStorage);
  await Promise.resolve(turnOff()).catch(() => {});
}

/** @param {Api} api @returns {Promise<string>} who is signed in; empty where that is plain, or cannot be found out */
export async function nameOf(api) {
  const me = await api.whoAmI().catch(() => null);
  return me?.shared === true ? text(me.account) : '';
}

/**
 * @param {import('./token.js').Credential} credential
 * @returns {Promise<{token: string, problem: string}>} a token of this browser's own, or why there is none
 */
export async function exchange({ value, isCode }) {
  const failed = (/** @type {string} */ problem) => ({ token: '', problem });
  if (!isUsableToken(value)) return failed('This is not a token: it contains characters that tokens never have.');
  try {
    const { token } = await new Api(value, () => {}).signIn();
    return { token, problem: '' };
  } catch (error) {
    if (!(error instanceof ApiError)) return failed(String(error));
    if (error.status !== 401) return failed(error.message);
    return failed(isCode
      ? 'This link has been used, or is too old. For a new one, run footbridge sign-in where the relay runs.'
      : 'The relay does not accept this token.');
  }
}

/** @param {string} token @returns {Promise<boolean>} whether the relay knows it, as far as can be found out */
export async function works(token) {
  try {
    await new Api(token, () => {}).environments();
    return true;
  } catch (error) {
    return !(error instanceof ApiError && error.status === 401);
  }
}
