// @ts-check
// A button that copies a text.
import { h } from './dom.js';

/** For how long it says that it has. */
const SAID_MS = 2000;

/** @param {string} text @returns {Promise<boolean>} also where the page is not served over https, and the browser has no clipboard for it */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h('textarea', { class: 'sr', 'aria-hidden': 'true', tabindex: '-1', value: text });
    document.body.append(field);
    field.select();
    const isDone = document.execCommand('copy');
    field.remove();
    return isDone;
  }
}

/** @param {() => string} textOf @param {string} [label] @returns {HTMLButtonElement} */
export function copyButton(textOf, label = 'Copy') {
  const button = h('button', { type: 'button', class: 'copy', 'data-testid': 'copy' }, label);
  button.addEventListener('click', async () => {
    const isDone = await copied(textOf());
    button.focus({ preventScroll: true });
    button.textContent = isDone ? 'Copied' : 'Could not copy';
    setTimeout(() => { button.textContent = label; }, SAID_MS);
  });
  return button;
}
