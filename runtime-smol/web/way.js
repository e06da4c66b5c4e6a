// @ts-check
// The way to a question that waits and is not on the screen.
import { h, setText } from './dom.js';

export class WayToQuestion {
  /** @type {Set<Element>} cards already in view, with no need of a way to them */
  #inSight = new Set();

  /** @param {import('./permission.js').Permissions} permissions @param {HTMLElement} scroller */
  constructor(permissions, scroller) {
    this.permissions = permissions;
    this.element = h('button', {
      type: 'button', class: 'waiting', hidden: true, on: { click: () => this.permissions.pending[0]?.focus() },
    });
    this.sight = new IntersectionObserver((seen) => this.#sighted(seen), { root: scroller });
  }

  destroy() {
    this.sight.disconnect();
  }

  /** @param {import('./card.js').Card[]} pending those that are shown */
  show(pending) {
    for (const card of pending) this.sight.observe(card.element);
    this.#update();
    setText(this.element, pending.length > 1 ? `Go to the first of ${pending.length} questions` : `Go to the question: ${pending[0]?.tool ?? ''}`);
  }

  /** @param {IntersectionObserverEntry[]} seen */
  #sighted(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.#inSight.add(target);
      else this.#inSight.delete(target);
    }
    this.#update();
  }

  #update() {
    this.element.hidden = this.permissions.pending.every((card) => card.element.hidden || this.#inSight.has(card.element));
  }
}
