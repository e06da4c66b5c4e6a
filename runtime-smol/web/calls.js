// @ts-check
// What a tool is asked to do, in the form that suits the tool: the same in the transcript and in a
// question. A tool that is not known, or is asked in a way that it does not know, gets names and values.
import { h } from './dom.js';
import { diffForm, endsAlike, extentOf, runsOf } from './diff.js';
import { factsForm } from './facts.js';
import { LongText } from './long.js';
import { markedProseForm } from './prose.js';
import { list, prettyParts, record, text } from './values.js';
import { visible, visibleForm } from './visible.js';

/** @typedef {Node | LongText} Part */
/**
 * @typedef {{subject: string, label: string, isProse?: boolean, extent?: string, parts: Part[]}} View `subject` is what it is
 *   about, such as a path, with a label for it; `isProse` if that may run from right to left; `extent` is how much it changes
 */
/** @typedef {(input: Record<string, any>, onMore: () => void) => View | null} Viewer null if the input is not of the tool's form */

/** Characters of a subject, which stands on a line of its own. */
const SUBJECT = 1000;
/** Characters of two texts that are compared only to say how much changes. */
const MEASURED = 200_000;
/** Changes in one call, and items of a checklist, beyond which they are shown raw. */
const EDITS = 1000;
const TODOS = { count: 200, chars: 20_000 };

/** @type {Record<string, string>} names that tools share */
const LABELS = {
  file_path: 'File', notebook_path: 'Notebook', path: 'Folder', pattern: 'Pattern', glob: 'Files', url: 'Address', query: 'Search for',
  prompt: 'Prompt', description: 'Description', subagent_type: 'Kind of agent', run_in_background: 'In the background',
  offset: 'From line', limit: 'Lines', output_mode: 'Shows', head_limit: 'At most', cell_id: 'Cell', cell_type: 'Kind of cell',
  edit_mode: 'How', replace_all: 'Every occurrence', subject: 'Task', activeForm: 'While it is done', taskId: 'Task', status: 'Status',
  allowed_domains: 'Only from', blocked_domains: 'Not from', model: 'Model', command: 'Command', timeout: 'Time limit (ms)',
};

/** @param {unknown} value @returns {value is string} */
const isText = (value) => typeof value === 'string';

/** @param {unknown} value @returns {value is string} whether it can stand on a line of its own */
const isSubject = (value) => isText(value) && value !== '' && value.length <= SUBJECT && !value.includes('\n');

/** @param {Record<string, any>} input @param {string[]} shown @param {() => void} onMore @returns {Part[]} what else the tool is given */
function rest(input, shown, onMore) {
  if (Object.keys(input).every((name) => shown.includes(name))) return [];
  return [new LongText([], NaN, factsForm(input, LABELS, shown), onMore)];
}

/** @param {string} words @returns {HTMLElement} */
const note = (words) => h('p', { class: 'label' }, words);

/** @param {{old: string, new: string}} edit @returns {import('./diff.js').Run[]} */
const runsIn = (edit) => runsOf(edit.old, edit.new);

/** @param {any} value @returns {{old: string, new: string, isAll: boolean} | null} */
function editIn(value) {
  const { old_string: before, new_string: after, replace_all: all } = record(value);
  if (!isText(before) || !isText(after) || !(all === undefined || typeof all === 'boolean')) return null;
  return { old: before, new: after, isAll: all === true };
}

/** @type {Viewer} */
function edit(input, onMore) {
  const one = editIn(input);
  if (!one || !isSubject(input.file_path)) return null;
  const runs = runsIn(one);
  const chars = one.old.length + one.new.length;
  const extent = chars <= MEASURED ? extentOf(runs) : '';
  const words = [extent, one.isAll && 'at every occurrence'].filter(Boolean).join(', ');
  return {
    subject: input.file_path,
    label: LABELS.file_path,
    extent,
    parts: [
      note(words ? `Change: ${words}` : 'Change'),
      new LongText([], runs.reduce((sum, [, text]) => sum + text.length, 0), diffForm(() => runs, { endsAlike: endsAlike(one.old, one.new) }), onMore),
      ...rest(input, ['file_path', 'old_string', 'new_string', 'replace_all'], onMore),
    ],
  };
}

/** @type {Viewer} */
function multiEdit(input, onMore) {
  if (list(input.edits).length > EDITS || !isSubject(input.file_path)) return null;
  const edits = list(input.edits).map(editIn);
  if (!edits.length || edits.includes(null)) return null;
  if (list(input.edits).some((one) => Object.keys(one).some((key) => !['old_string', 'new_string', 'replace_all'].includes(key)))) return null;
  const known = /** @type {{old: string, new: string, isAll: boolean}[]} */ (edits);
  const runs = function* () {
    for (const [at, one] of known.entries()) {
      yield `Change ${at + 1} of ${known.length}${one.isAll ? ', at every occurrence' : ''}`;
      yield* runsIn(one);
    }
  };
  return {
    subject: input.file_path,
    label: LABELS.file_path,
    extent: known.length === 1 ? '1 change' : `${known.length.toLocaleString()} changes`,
    parts: [
      note(known.length === 1 ? '1 change' : `${known.length.toLocaleString()} changes, one after another`),
      new LongText([], NaN, diffForm(runs, { endsAlike: known.every((one) => endsAlike(one.old, one.new)) }), onMore),
      ...rest(input, ['file_path', 'edits'], onMore),
    ],
  };
}

/** @param {string} content @returns {import('./diff.js').Run[]} */
const written = (content) => (content ? [['added', content]] : []);

/** @type {Viewer} */
function write(input, onMore) {
  const { file_path: path, content } = input;
  if (!isSubject(path) || !isText(content)) return null;
  const count = content.length <= MEASURED ? content.split('\n').length - (content.endsWith('\n') ? 1 : 0) : 0;
  return {
    subject: path,
    label: LABELS.file_path,
    extent: count ? `${count.toLocaleString()} ${count === 1 ? 'line' : 'lines'}` : '',
    parts: [
      note(content ? `The whole file will be${count ? ` (${count.toLocaleString()} ${count === 1 ? 'line' : 'lines'})` : ''}` : 'The file will be empty'),
      ...(content ? [new LongText([], content.length, diffForm(() => written(content), { isNumbered: true, endsAlike: true }), onMore)] : []),
      ...rest(input, ['file_path', 'content'], onMore),
    ],
  };
}

/** @type {Viewer} */
function notebookEdit(input, onMore) {
  const { notebook_path: path, new_source: source = '', edit_mode: mode = 'replace' } = input;
  if (!isSubject(path) || !isText(source) || !['replace', 'insert', 'delete'].includes(mode)) return null;
  const head = { replace: 'The cell will be', insert: 'A new cell', delete: 'The cell will be deleted' }[/** @type {'replace'} */ (mode)];
  return {
    subject: path,
    label: LABELS.notebook_path,
    parts: [
      ...rest(input, ['notebook_path', 'new_source', 'edit_mode'], onMore),
      note(head),
      ...(source ? [new LongText([], source.length, diffForm(() => written(source), { isNumbered: true, endsAlike: true }), onMore)] : []),
    ],
  };
}

/** @type {Viewer} */
function bash(input, onMore) {
  if (!isText(input.command)) return null;
  const about = isSubject(input.description) ? input.description : '';
  return {
    subject: about,
    label: 'The agent says',
    isProse: true,
    parts: [new LongText(input.command, input.command.length, visibleForm, onMore), ...rest(input, about ? ['command', 'description'] : ['command'], onMore)],
  };
}

const MARKS = new Map([['completed', ['☑', 'Done']], ['in_progress', ['◐', 'In progress']], ['pending', ['☐', 'To do']]]);

/** @type {Viewer} */
function todos(input, onMore) {
  if (list(input.todos).length > TODOS.count) return null;
  const all = list(input.todos).map(record);
  const isKnown = all.every(({ content, status, activeForm }) =>
    isText(content) && MARKS.has(status) && (activeForm === undefined || isText(activeForm)));
  const chars = isKnown ? all.reduce((sum, { content }) => sum + content.length, 0) : 0;
  if (!all.length || chars > TODOS.chars || !isKnown) return null;
  const items = all.map(({ content, status }) => {
    const [mark, words] = MARKS.get(status) ?? ['', ''];
    return h('li', { 'data-status': status }, h('span', { 'aria-hidden': 'true' }, mark), h('span', { class: 'sr' }, `${words}: `), h('span', { dir: 'auto' }, visible(content)));
  });
  const done = all.filter(({ status }) => status === 'completed').length;
  return {
    subject: `${done} of ${all.length} done`,
    label: 'Checklist',
    isProse: true,
    parts: [h('ul', { class: 'todos', 'data-testid': 'todos' }, items), ...rest(input, ['todos'], onMore)],
  };
}

/** @type {Viewer} */
function plan(input, onMore) {
  if (input.plan === undefined) return { subject: '', label: '', parts: [note('The agent gives no plan with this.'), ...rest(input, [], onMore)] };
  if (!isText(input.plan) || !input.plan.trim()) return null;
  return {
    subject: isSubject(input.planFilePath) ? input.planFilePath : '',
    label: LABELS.file_path,
    parts: [
      new LongText(input.plan, input.plan.length, markedProseForm, onMore),
      ...rest(input, isSubject(input.planFilePath) ? ['plan', 'planFilePath'] : ['plan'], onMore),
    ],
  };
}

/** @type {Map<unknown, Viewer>} */
const VIEWERS = new Map([
  ['Bash', bash], ['Edit', edit], ['MultiEdit', multiEdit], ['Write', write], ['NotebookEdit', notebookEdit], ['TodoWrite', todos], ['ExitPlanMode', plan],
]);

/** @type {Map<unknown, string>} what a tool's call is about */
const SUBJECTS = new Map([
  ['Read', 'file_path'], ['NotebookRead', 'notebook_path'], ['Glob', 'pattern'], ['Grep', 'pattern'], ['LS', 'path'], ['WebFetch', 'url'], ['WebSearch', 'query'],
  ['Task', 'description'], ['Agent', 'description'], ['TaskCreate', 'subject'],
]);

/** Subjects in the agent's or a person's own words. */
const PROSE = new Set(['description', 'subject', 'query']);

/** @param {unknown} tool @param {Record<string, any>} input @param {() => void} onMore @returns {View} */
function plain(tool, input, onMore) {
  const key = SUBJECTS.get(tool) ?? '';
  const subject = Object.hasOwn(input, key) && isSubject(input[key]) ? input[key] : '';
  return { subject, label: subject ? LABELS[key] : '', isProse: PROSE.has(key), parts: rest(input, subject ? [key] : [], onMore) };
}

/**
 * @param {unknown} tool @param {unknown} input @param {() => void} [onMore] called when more of it is shown
 * @returns {View | null} null if it cannot be shown in a form that suits the tool
 */
export function viewOf(tool, input, onMore = () => {}) {
  if (input !== record(input)) return null;
  const viewer = VIEWERS.get(tool);
  return viewer ? viewer(record(input), onMore) : plain(tool, record(input), onMore);
}

/** @param {Part[]} parts @returns {Node[]} */
export const nodesOf = (parts) => parts.flatMap((part) => {
  if (!(part instanceof LongText)) return [part];
  return part.isComplete ? [part.element] : [part.element, part.button];
});

/** @param {unknown} tool @param {unknown} input @returns {{subject: string, isProse: boolean, extent: string, nodes: Node[]}} whatever the input is */
export function callOf(tool, input) {
  const view = viewOf(tool, input);
  if (view) return { subject: view.subject, isProse: view.isProse === true, extent: view.extent ?? '', nodes: nodesOf(view.parts) };
  if (input === undefined) return { subject: '', isProse: false, extent: '', nodes: [] };
  const all = new LongText(prettyParts(input), NaN, visibleForm);
  return { subject: text(record(input).description).slice(0, SUBJECT), isProse: true, extent: '', nodes: all.isEmpty ? [] : nodesOf([all]) };
}
