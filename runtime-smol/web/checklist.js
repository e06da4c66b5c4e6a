// @ts-check
// The agent's tasks, on one line that stays in view while there is something left to do, and as a
// whole list at a click.
import { h, setText } from './dom.js';
import { Tasks } from './tasks.js';
import { visible, visibleText } from './visible.js';

/** @type {Record<string, [string, string]>} */
const MARKS = { completed: ['☑', 'Done'], in_progress: ['◐', 'In progress'], pending: ['☐', 'To do'] };

export class Checklist {
  #tasks = new Tasks();
  #scheduled = false;

  constructor() {
    this.count = h('strong', {});
    this.now = h('span', { class: 'checklist-now', dir: 'auto' });
    this.list = h('ul', { class: 'todos', 'aria-label': 'Tasks' });
    this.element = h('details', { class: 'checklist', hidden: true, 'data-testid': 'checklist' },
      h('summary', {}, this.count, ' ', this.now), this.list);
  }

  clear() {
    this.#tasks.clear();
    this.#schedule();
  }

  /** @param {any} event */
  take(event) {
    if (this.#tasks.take(event)) this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#render();
    });
  }

  #render() {
    const { all, done, current } = this.#tasks;
    // What is all done is in the transcript.
    this.element.hidden = !all.length || done === all.length;
    setText(this.count, `${done} of ${all.length} done`);
    setText(this.now, current ? visibleText(current.status === 'in_progress' ? current.doing || current.subject : `Next: ${current.subject}`) : '');
    this.list.replaceChildren(...all.map(({ subject, status }) => h('li', { 'data-status': status },
      h('span', { 'aria-hidden': 'true' }, MARKS[status][0]), h('span', { class: 'sr' }, `${MARKS[status][1]}: `), h('span', { dir: 'auto' }, visible(subject)))));
  }
}
