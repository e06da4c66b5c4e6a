// @ts-check
// The worktree of a session that has ended, if it was kept because work in it is nowhere else:
// what is in it, and what can be done with it.
import { h, freshId, setAttributes, setText } from './dom.js';
import { isReport } from './entries.js';
import { clip, list, number, record, text } from './values.js';
import { visible } from './visible.js';

/** @typedef {{action: string, ignored?: boolean, seen?: string}} Ask */

/** @type {Map<string, string>} what was asked for */
const ASKED = new Map([
  ['look', 'to look into it'], ['branch', 'to bring it into a branch'], ['delete', 'to delete it'], ['keep', 'to keep it'],
]);

/** @type {Map<string, string>} */
const BECAUSE = new Map([
  ['changed', 'changed'], ['deleted', 'deleted'], ['untracked', 'new'], ['ignored', 'ignored by git'],
]);

/** Whatever a worker sends, no more than this is listed, and no name is longer. */
const LISTED = 100;
const NAME = 600;

/** @param {unknown} name */
const named = (name) => visible(clip(text(name), NAME));

/** @param {number} count @param {string} one @returns {string} */
const many = (count, one) => `${count.toLocaleString()} ${one}${count === 1 ? '' : 's'}`;

/** @param {any} contents @returns {{files: any[], commits: any[], moreFiles: number, moreCommits: number}} */
function partsOf(contents) {
  const { files, commits, more_files: moreFiles, more_commits: moreCommits } = record(contents);
  const cut = (/** @type {any} */ all, /** @type {any} */ more) => {
    const known = list(all);
    return [known.slice(0, LISTED), (number(more) || 0) + Math.max(0, known.length - LISTED)];
  };
  const [[shownFiles, restFiles], [shownCommits, restCommits]] = [cut(files, moreFiles), cut(commits, moreCommits)];
  return { files: shownFiles, commits: shownCommits, moreFiles: restFiles, moreCommits: restCommits };
}

/** @param {any} file @returns {Node} */
function fileItem(file) {
  const { path, what, added, removed } = record(file);
  const lines = Number.isFinite(added) || Number.isFinite(removed) ? ` +${number(added) || 0} −${number(removed) || 0}` : '';
  return h('li', {}, h('code', {}, named(path)), ' ', h('span', { class: 'muted' }, `${BECAUSE.get(text(what)) ?? clip(text(what), NAME)}${lines}`));
}

/** @param {any} contents @returns {Node[]} its files and commits, bounded as the worker has sent them */
function listed(contents) {
  const { files, commits, moreFiles, moreCommits } = partsOf(contents);
  const shown = [];
  if (files.length) {
    shown.push(h('p', { class: 'muted small' }, `${many(files.length + moreFiles, 'file')} as no commit has them`),
      h('ul', { class: 'kept-list' }, files.map(fileItem), moreFiles > 0 && h('li', { class: 'muted' }, `and ${moreFiles.toLocaleString()} more`)));
  }
  if (commits.length) {
    shown.push(h('p', { class: 'muted small' }, `${many(commits.length + moreCommits, 'commit')} that no other branch has`),
      h('ul', { class: 'kept-list' },
        commits.map((commit) => h('li', {}, h('code', {}, named(commit?.id)), ' ', named(commit?.subject))),
        moreCommits > 0 && h('li', { class: 'muted' }, `and ${moreCommits.toLocaleString()} more`)));
  }
  return shown;
}

export class KeptWorktree {
  /** @type {any} */ #kept = null;
  /** @type {Map<number, any>} what was listed, by its event */ #lists = new Map();
  #error = '';
  #loading = 0;
  /** @type {any} */ #shown = null;

  /**
   * @param {(ask: Ask) => Promise<any>} ask
   * @param {(seq: number) => Promise<any>} load reads one event
   */
  constructor(ask, load) {
    this.ask = ask;
    this.load = load;
    const headId = freshId('kept');
    this.words = h('p', {});
    this.contents = h('div', { class: 'kept-contents', 'data-testid': 'worktree-contents' });
    this.status = h('p', { class: 'line', role: 'status', 'data-testid': 'worktree-status' });
    const button = (/** @type {string} */ name, /** @type {string} */ words, /** @type {() => void} */ act, danger = false) => h('button', {
      type: 'button', class: danger ? 'danger' : null, 'data-testid': `worktree-${name}`,
      on: { click: (/** @type {Event} */ event) => { if (/** @type {Element} */ (event.currentTarget).getAttribute('aria-disabled') !== 'true') act(); } },
    }, words);
    this.buttons = [
      button('look', 'Look again', () => this.ask({ action: 'look' })),
      button('branch', 'Bring into a branch', () => this.#askToBring()),
      button('keep', 'Keep it there', () => this.ask({ action: 'keep' })),
      button('delete', 'Delete…', () => this.#askToDelete(), true),
    ];
    this.dialog = h('dialog', {});
    this.element = h('section', { class: 'kept', 'aria-labelledby': headId, 'data-testid': 'worktree', hidden: true },
      h('h3', { id: headId }, 'Work was kept'), this.words, this.contents, this.status,
      h('div', { class: 'actions' }, this.buttons), this.dialog);
  }

  /** @param {any} event */
  saw(event) {
    if (!isReport(event, 'worktree') && !isReport(event, 'worktree_unanswered')) return;
    const { worktree, error, reason } = record(event.message);
    this.#error = text(record(worktree).error ?? error ?? reason);
    if (text(record(worktree).state) === 'kept') {
      this.#lists.set(event.seq, record(record(worktree).contents));
      for (const seq of this.#lists.keys()) {
        if (this.#lists.size <= 4) break;
        this.#lists.delete(seq);
      }
    }
    this.#draw();
  }

  /** @param {any} session */
  show(session) {
    this.#kept = session.state === 'ended' ? session.worktree ?? null : null;
    this.#draw();
  }

  get #list() {
    return this.#lists.get(number(this.#kept?.seq));
  }

  async #fetch() {
    const seq = number(this.#kept?.seq);
    if (!(seq > 0) || this.#loading === seq || this.#lists.has(seq)) return;
    this.#loading = seq;
    try {
      const { events } = record(await this.load(seq));
      for (const event of list(events)) if (event?.seq === seq) this.saw(event);
    } catch {
      // The log may not have it any more: looking again brings another list.
    }
  }

  #draw() {
    const kept = this.#kept;
    this.element.hidden = !kept;
    if (!kept) {
      this.dialog.close();
      return;
    }
    const { request, dismissed } = kept;
    const state = request ? (request.with_worker ? 'with-worker' : 'waiting') : dismissed ? 'dismissed' : 'offered';
    setAttributes(this.element, { 'data-state': state });
    this.words.replaceChildren('In ', h('code', {}, named(kept.path)), kept.reason ? `: ${text(kept.reason)}` : '');
    const contents = this.#list;
    if (!contents) this.#fetch();
    // Only if it differs, so that what a person reads or has selected stays.
    if (contents !== this.#shown) {
      this.#shown = contents;
      this.contents.replaceChildren(...listed(contents));
    }
    const what = ASKED.get(text(request?.action)) ?? '';
    const words = state === 'waiting' ? `Waiting for the worker ${what}: it is done once the worker asks for work`
      : state === 'with-worker' ? `The worker was asked ${what}`
        : this.#error ? `Not done: ${this.#error}`
          : dismissed ? 'It stays where it is.' : '';
    setText(this.status, words);
    setAttributes(this.status, { class: `line ${this.#error && !request ? 'warn' : 'quiet'}` });
    for (const button of this.buttons) setAttributes(button, { 'aria-disabled': request ? 'true' : null });
    this.buttons[2].hidden = Boolean(dismissed);
    // What would be lost is not known then.
    this.buttons[3].hidden = !contents || !kept.seen;
  }

  #askToBring() {
    const { files, moreFiles } = partsOf(this.#list);
    const ignored = files.filter((file) => file?.what === 'ignored');
    if (!ignored.length || moreFiles > 0 || !this.#kept.seen) {
      this.ask({ action: 'branch' });
      return;
    }
    this.#confirm('Bring it into a branch?', [
      h('p', {}, `Everything that git does not ignore is committed onto a new branch. ${many(ignored.length, 'file')} would not be in it:`),
      h('ul', { class: 'kept-list' }, ignored.map(fileItem)),
    ], [
      ['Keep these in the worktree', 'worktree-branch-keep', false, { action: 'branch' }],
      ['Delete these', 'worktree-branch-confirm', true, { action: 'branch', ignored: true, seen: this.#kept.seen }],
    ]);
  }

  #askToDelete() {
    const { files, commits, moreFiles, moreCommits } = partsOf(this.#list);
    const lost = [files.length && many(files.length + moreFiles, 'file'), commits.length && many(commits.length + moreCommits, 'commit')];
    this.#confirm('Delete this work?', [
      h('p', {}, h('code', {}, named(this.#kept.path))),
      h('p', {}, `${lost.filter(Boolean).join(' and ') || 'The worktree'} will be lost for good:`),
      ...listed(this.#list),
    ], [['Delete for good', 'worktree-delete-confirm', true, { action: 'delete', seen: this.#kept.seen }]]);
  }

  /** @param {string} title @param {Node[]} body @param {[string, string, boolean, Ask][]} choices */
  #confirm(title, body, choices) {
    const headId = freshId('kept');
    setAttributes(this.dialog, { 'aria-labelledby': headId });
    this.dialog.replaceChildren(
      h('h3', { id: headId }, title),
      h('div', { class: 'kept-contents' }, body),
      h('form', { method: 'dialog', class: 'actions' },
        h('button', { value: 'cancel' }, 'Cancel'),
        choices.map(([words, hook, danger, ask]) => h('button', {
          value: 'yes', class: danger ? 'danger' : null, 'data-testid': hook, on: { click: () => this.ask(ask) },
        }, words))));
    this.dialog.showModal();
  }
}
