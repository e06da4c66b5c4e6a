// @ts-check
// Building elements by hand is the whole defence against hostile agent output:
// nothing on this page ever parses a string as markup.

import { text } from './values.js';

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] attributes; `on` holds event listeners
 * @param {...Child} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'value' || name === 'disabled' || name === 'hidden') {
      /** @type {any} */ (element)[name] = value;
    } else {
      element.setAttribute(name, value === true ? '' : text(value));
    }
  }
  append(element, children);
  return element;
}

/** @param {Node} parent @param {Child[]} children */
export function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.appendChild(child);
    else if (child !== null && child !== undefined && child !== false) {
      parent.appendChild(document.createTextNode(text(child)));
    }
  }
}

let count = 0;

/** @param {string} prefix @returns {string} an id not yet used in this document */
export const freshId = (prefix) => `${prefix}-${++count}`;

/**
 * A disclosure whose body is only built when it is first opened: a transcript
* has thousands of them, and most stay closed.
 * @param {Child} summary @param {() => Child} build @param {string} [className]
 * @returns {HTMLDetailsElement}
 */
export function disclosure(summary, build, className = '') {
  const details = h('details', { class: className }, h('summary', {}, summary));
  details.addEventListener('toggle', () => {
    try {
      append(details, [build()]);
    } catch {
      append(details, [h('p', { class: 'line warn' }, 'This cannot be shown.')]);
    }
  }, { once: true });
  return details;
}

/**
 * Sets text only if it differs, so live regions are not read out again.
 * @param {Element} element @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {Record<string, string | null>} attributes */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
}
