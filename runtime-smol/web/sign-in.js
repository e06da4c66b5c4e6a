// @ts-check
// Asks for the access token if there is none or the relay rejects it.
import { h, freshId } from './dom.js';
import { Api, ApiError } from './api.js';
import { isUsableToken, tokenIn } from './token.js';

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
        const token = tokenIn(input.value);
        error.textContent = '';
        button.setAttribute('aria-disabled', 'true');
        error.textContent = await problemWith(token);
        button.removeAttribute('aria-disabled');
        if (error.textContent) input.focus();
        else onToken(token);
      },
    },
  },
  h('h2', { tabindex: '-1' }, 'Sign in to this relay'),
  h('label', { for: inputId }, 'Access token'),
  input,
  h('p', { id: helpId, class: 'muted' },
    'Ask whoever runs the relay: it prints an address that ends in ',
    h('code', {}, '#token=…'),
    ' when it starts. Opening that address signs you in; pasting it, or only the token, works as well. It stays in this browser.'),
  error,
  button);
  return form;
}

/**
 * For someone who is signed in and has opened a link with another token.
 * @param {string} problem why that token does not work, or empty if it does @param {() => void} onUse
 */
export function askToReplace(problem, onUse) {
  const headId = freshId('replace');
  const dialog = h('dialog', { 'aria-labelledby': headId, 'data-testid': 'other-token', on: { close: () => dialog.remove() } },
    h('h3', { id: headId }, problem ? 'This link does not sign you in' : 'Sign in with this link?'),
    h('p', {}, problem ? `${problem} You are still signed in as before.`
      : 'You are signed in already. The link you opened would replace the token that this browser uses.'),
    h('form', { method: 'dialog', class: 'actions' },
      h('button', { value: 'keep', 'data-testid': 'keep-token' }, problem ? 'OK' : 'Stay signed in as before'),
      !problem && h('button', { value: 'use', 'data-testid': 'use-token', on: { click: onUse } }, 'Use the link')));
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {string} token @returns {Promise<string>} why the token does not work, or empty if it does */
export async function problemWith(token) {
  if (!isUsableToken(token)) return 'This is not a token: it contains characters that tokens never have.';
  try {
    await new Api(token, () => {}).environments();
    return '';
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return 'The relay does not accept this token.';
    return error instanceof ApiError ? error.message : String(error);
  }
}
