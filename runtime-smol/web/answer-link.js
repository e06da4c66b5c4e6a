// @ts-check
// A button on a question that makes a link with which somebody else can answer it, once.
import { h } from './dom.js';
import { ApiError } from './api.js';
import { copyButton } from './copy.js';

/**
 * @typedef {(question: {request_id: string, seq: number}) => Promise<{token: string, url: string | null}>} MakeLink
 * @param {{request_id: string, seq: number}} question @param {MakeLink} make @returns {HTMLElement}
 */
export function answerLink(question, make) {
  const place = h('div', { class: 'answer-link', 'aria-live': 'polite' });
  const button = h('button', { type: 'button', class: 'link', 'data-testid': 'answer-link' }, 'Let somebody else answer');
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    try {
      const { token, url } = await make(question);
      const link = url ?? new URL(`answer#${token}`, document.baseURI).href;
      place.replaceChildren(
        h('p', { class: 'muted small' }, 'Whoever opens this link within an hour can allow or deny this, once, without signing in:'),
        h('p', {}, h('code', { 'data-testid': 'answer-url' }, link), ' ', copyButton(() => link, 'Copy link')));
    } catch (error) {
      place.replaceChildren(button, h('p', { class: 'error', role: 'alert' }, error instanceof ApiError ? error.message : String(error)));
      button.setAttribute('aria-disabled', 'false');
    }
  });
  place.append(button);
  return place;
}
