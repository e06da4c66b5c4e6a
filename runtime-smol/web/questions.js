// @ts-check
// The questions of `AskUserQuestion`: each with its choices, and room for an answer of one's own.
import { h, disclosure, freshId } from './dom.js';
import { clipped } from './long.js';
import { clip, list, prettyParts, record, text } from './values.js';
import { isDeceptive, visible, visibleCode, visibleForm, visibleText } from './visible.js';

/**
 * @typedef {{label: string, description: string, preview: string}} Option
 * @typedef {{question: string, header: string, options: Option[], isMultiple: boolean}} Question
 * @typedef {{question: Question, answer: () => string, focus: () => void, element: HTMLElement}} Field
 */

/** More than an agent can ask in good faith: beyond these, the input is shown raw. */
const QUESTIONS = 20;
const OPTIONS = 50;
const CHARS = 30_000;
/** Characters of an answer in a person's own words. */
const OWN = 10_000;
/** Characters of an answer that are shown once it is given. */
const SHOWN = 2000;

/** @param {unknown} value @returns {string | null} null if it is neither text nor left out */
const optional = (value) => (value === undefined || value === null ? '' : typeof value === 'string' ? value : null);

/** @param {unknown} value @returns {Option | null} */
function optionIn(value) {
  const { label, description, preview } = record(value);
  const said = [optional(description), optional(preview)];
  if (typeof label !== 'string' || !label.trim() || said.includes(null)) return null;
  return { label, description: said[0] ?? '', preview: said[1] ?? '' };
}

/** @param {unknown} value @returns {Question | null} */
function questionIn(value) {
  const { question, header, options, multiSelect } = record(value);
  const heading = optional(header);
  if (typeof question !== 'string' || !question.trim() || heading === null || !Array.isArray(options)) return null;
  if (options.length > OPTIONS || !(multiSelect === undefined || typeof multiSelect === 'boolean')) return null;
  const read = options.map(optionIn);
  const labels = new Set(read.map((option) => option?.label));
  if (read.includes(null) || labels.size !== read.length) return null;
  return { question, header: heading, options: /** @type {Option[]} */ (read), isMultiple: multiSelect === true };
}

/** @param {Question[]} questions @returns {string[]} */
const wordsIn = (questions) => questions.flatMap(({ question, header, options }) =>
  [question, header, ...options.flatMap(({ label, description, preview }) => [label, description, preview])]);

/** @param {unknown} input @returns {Question[] | null} null if it cannot be asked as what it should be */
export function questionsIn(input) {
  const all = list(record(input).questions);
  if (!all.length || all.length > QUESTIONS) return null;
  const questions = all.map(questionIn);
  if (questions.includes(null)) return null;
  const read = /** @type {Question[]} */ (questions);
  // Answers go by the text of their questions.
  const isUnclear = new Set(read.map(({ question }) => question)).size !== read.length;
  const chars = wordsIn(read).reduce((sum, words) => sum + words.length, 0);
  return isUnclear || chars > CHARS ? null : read;
}

/** @param {Question} question @returns {string} what to call it in a sentence */
const nameOf = ({ header, question }) => visibleText(clip(header.trim() || question, 80));

/** @param {Question} question @returns {Field} */
function fieldOf(question) {
  const { options, isMultiple } = question;
  const name = freshId('choice');
  const type = isMultiple ? 'checkbox' : 'radio';
  const choice = (/** @type {Record<string, any>} */ props) => h('input', { type, name, ...props });
  const choices = options.map((option) => ({ option, input: choice({ 'data-testid': 'option' }) }));
  const other = choice({ 'data-testid': 'other' });
  other.checked = !options.length;
  const own = h('textarea', {
    class: 'own', rows: '1', maxlength: OWN, dir: 'auto', autocomplete: 'off', 'data-testid': 'other-text',
    'aria-label': `Your own answer: ${nameOf(question)}`, hidden: !other.checked,
  });
  const element = h('fieldset', { class: 'question', 'data-testid': 'question' },
    h('legend', {},
      question.header.trim() && h('span', { class: 'chip' }, visible(question.header)), ' ',
      h('span', { dir: 'auto' }, visible(question.question)),
      isMultiple && h('span', { class: 'muted small' }, ' Choose any number.')),
    choices.map(({ option, input }) => h('label', { class: 'choice' }, input,
      h('span', { dir: 'auto' }, h('span', { class: 'choice-label' }, visible(option.label)),
        option.description && h('span', { class: 'muted' }, visible(option.description)),
        option.preview && visibleCode(option.preview)))),
    options.length ? h('label', { class: 'choice' }, other, h('span', { class: 'choice-label' }, 'Other')) : null,
    own);
  element.addEventListener('change', () => { own.hidden = !other.checked; });
  // By a pointer only: arrow keys must be able to pass it.
  other.addEventListener('click', (/** @type {MouseEvent} */ event) => { if (event.detail > 0 && other.checked) own.focus(); });
  const answer = () => {
    const chosen = choices.filter(({ input }) => input.checked).map(({ option }) => option.label);
    if (other.checked && !own.value.trim()) return '';
    return [...chosen, ...(other.checked ? [own.value.trim()] : [])].join(', ');
  };
  const focus = () => (other.checked ? own : choices[0].input).focus();
  return { question, answer, focus, element };
}

/** @implements {import('./asked.js').Asked} */
export class QuestionForm {
  name = 'The agent asks you';
  needsReading = false;
  hidden = 0;
  words = {
    allow: 'Answer', deny: 'Do not answer', reason: 'Reason for not answering (optional)', denied: 'The user declined to answer.',
    outcomes: { allowed: 'Answered', denied: 'Not answered', withdrawn: 'Withdrawn', failed: 'Answered with an error' },
  };
  before = [];
  #input;
  #fields;

  /** @param {Question[]} questions @param {any} input that they are in */
  constructor(questions, input) {
    this.#input = input;
    this.#fields = questions.map(fieldOf);
    this.summary = questions.map(({ question }) => question).join(' ').slice(0, 400);
    this.isDisguised = wordsIn(questions).some(isDeceptive);
    this.element = h('div', { class: 'questions' }, this.#fields.map(({ element }) => element));
    this.after = [disclosure('What the agent asked exactly', () => h('div', {}, clipped(prettyParts(input), visibleForm)), 'folded')];
  }

  focusHidden() {}

  /** @param {(words: string) => void} complain @returns {any} */
  changed(complain) {
    const open = this.#fields.find(({ answer }) => !answer());
    if (open) {
      complain(`Not sent: “${nameOf(open.question)}” has no answer yet.`);
      open.focus();
      return undefined;
    }
    const answers = Object.fromEntries(this.#fields.map(({ question, answer }) => [question.question, answer()]));
    return { ...this.#input, answers };
  }

  /** @param {string} outcome @param {unknown} input what was allowed */
  resolved(outcome, input) {
    const answers = record(record(input).answers);
    return [h('dl', { class: 'answers' }, this.#fields.map(({ question: { question } }) => {
      const answer = Object.hasOwn(answers, question) ? text(answers[question]) : '';
      return [h('dt', { dir: 'auto' }, visible(question)), outcome === 'allowed'
        && h('dd', { dir: 'auto', class: answer ? '' : 'muted' }, answer ? visible(clip(answer, SHOWN)) : 'no answer')];
    }))];
  }
}
