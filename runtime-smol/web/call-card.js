// @ts-check
// One tool's use as one card: what it was called with, the question about it, and its result. It is
// folded once it is done and nothing about it is remarkable.
import { callOf } from './calls.js';
import { append, disclosure, h, setText } from './dom.js';
import { PARTS, blocksOf, content, entry, permalink, raw } from './entries.js';
import { withoutColours } from './format.js';
import { clipped, codeForm } from './long.js';
import { counted, failureOf, foundIn, isAgent, isInterrupted, isOpenAtFirst, isQuiet, isRefusal, linksIn, outcomeOf, peekOf, reportOf, withoutFrame } from './outcomes.js';
import { proseForm } from './prose.js';
import { clip, record, text } from './values.js';
import { visible, visibleText } from './visible.js';

/** @typedef {import('./entries.js').LogEvent} LogEvent */
/** @typedef {'running' | 'background' | 'done' | 'failed' | 'refused' | 'unfinished'} State */

/** Steps of another agent that are kept on the card of its call. */
const STEPS = 300;
/** Characters of what a step is about, and of a result of which a list is made. */
const STEP = 120;
const LISTED = 20_000;

/** @type {Record<State, string>} */
const WORDS = { running: '', background: 'in the background', done: '', failed: 'failed', refused: 'not run', unfinished: 'no result' };

/** @param {any} block a tool's result @returns {{said: string, others: any[]}} its text, and what else is in it */
function partsOf(block) {
  const parts = blocksOf(block.content);
  const texts = parts.filter((part) => part?.type === 'text').map((part) => text(part.text));
  return { said: texts.join('\n'), others: parts.filter((part) => part?.type !== 'text') };
}

/** @param {any[]} others @returns {Node[]} */
function shownOthers(others) {
  const shown = others.slice(0, PARTS).flatMap(content);
  if (others.length > PARTS) shown.push(raw(`${others.length - PARTS} more parts`, others.slice(PARTS)));
  return shown;
}

/** @param {string} said @returns {Node[]} */
const output = (said) => (/\S/.test(said) ? clipped(withoutColours(said), codeForm) : []);

/** @param {{title: string, url: string}[]} links @returns {HTMLElement} */
const linkList = (links) => h('ul', { class: 'found' }, links.map(({ title, url }) =>
  h('li', {}, h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, visible(title || url)), h('span', { class: 'muted small' }, ' ', visible(clip(url, 200))))));

/** @param {unknown} tool @param {string} said @returns {Node[]} a whole result, in the form that suits its tool */
function wholeResult(tool, said) {
  if (isAgent(tool) || tool === 'WebFetch') return clipped(said, proseForm);
  if (tool === 'WebSearch') {
    const links = linksIn(said.slice(0, LISTED));
    if (links.length) return [linkList(links), disclosure('All that it said', () => h('div', {}, output(said)), 'folded')];
  }
  if (tool === 'Glob' && said.length <= LISTED) {
    return [h('ul', { class: 'found' }, foundIn(said).map((path) => h('li', {}, h('code', { dir: 'ltr' }, visible(path)))))];
  }
  return output(said);
}

/** @param {LogEvent} event @param {any} block @param {unknown} tool whose call is not shown @returns {HTMLElement} */
export function strayResult(event, block, tool) {
  const { said, others } = partsOf(block);
  const failed = Boolean(block.is_error) && !isRefusal(said);
  const rest = shownOthers(others);
  const show = () => output(failed ? withoutFrame(said) : said);
  const label = failed ? `${tool ? clip(text(tool), STEP) : 'A tool'} failed` : `Result${tool ? ` of ${clip(text(tool), STEP)}` : ''}`;
  const more = { 'data-part': 'result', 'data-error': failed ? '' : null };
  if (!failed && !rest.length && isQuiet(tool)) return entry(event, 'tool', [disclosure(label, show, 'folded')], more);
  const shown = show();
  return entry(event, 'tool', [
    h('p', { class: 'tool-head small' }, label),
    shown.length ? shown : !rest.length && h('p', { class: 'muted small' }, 'No output'),
    rest,
  ], more);
}

export class CallCard {
  /** @type {State} */ state = 'running';
  /** The event of its result; 0 while there is none. */ resultSeq = 0;
  #isTouched = false;
  #steps = 0;
  /** Makes the whole result, once the card is opened. @type {(() => Node[]) | null} */ #later = null;
  /** @type {HTMLElement | null} */ #list = null;

  /** @param {LogEvent} event @param {any} block @param {boolean} isNested whether it is a step of another agent */
  constructor(event, block, isNested) {
    this.seq = event.seq;
    this.tool = text(block.name, 'tool');
    this.input = block.input;
    this.isNested = isNested;
    const { subject, isProse, extent, nodes } = callOf(this.tool, block.input);
    this.subject = subject;
    this.extent = extent;
    // Its questions come with their choices, right after it.
    const isAsked = this.tool === 'AskUserQuestion' && nodes.length > 0;
    this.outcome = h('span', { class: 'outcome' });
    this.body = h('div', { class: 'call-body' }, isAsked ? disclosure('What the agent asked', () => callOf(this.tool, block.input).nodes, 'folded') : nodes, h('p', { class: 'byline' }, permalink(event)));
    this.details = h('details', { class: 'call', open: isOpenAtFirst(this.tool) },
      h('summary', { class: 'tool-head', on: { click: () => { this.#isTouched = true; } } },
        h('span', { class: 'sr' }, 'Tool: '), h('strong', {}, visible(clip(this.tool, 200))), ' ',
        h('span', { class: 'subject muted', dir: isProse ? 'auto' : 'ltr' }, visible(subject)), ' ', this.outcome),
      this.body);
    this.details.addEventListener('toggle', () => this.#opened());
    this.question = h('div', { class: 'call-question' });
    this.element = entry(event, 'tool', [this.details, this.question], { 'data-part': 'use', 'data-tool': this.tool.slice(0, 60) });
    this.#set('running');
  }

  get isOver() {
    return this.state !== 'running' && this.state !== 'background';
  }

  /** @param {State} state @param {string} [words] */
  #set(state, words = WORDS[state]) {
    this.state = state;
    this.element.dataset.state = state;
    setText(this.outcome, words);
    if (!this.#isTouched) this.details.open = state === 'failed' || (!this.isOver && isOpenAtFirst(this.tool));
  }

  #opened() {
    if (!this.details.open || !this.#later) return;
    const make = this.#later;
    this.#later = null;
    try {
      append(this.body, [make()]);
    } catch {
      append(this.body, [h('p', { class: 'line warn' }, 'This cannot be shown.')]);
    }
  }

  /**
   * @param {HTMLElement} element the question about it @param {boolean} isSame whether that shows all that the card does
   * @param {boolean} isOpen
   */
  ask(element, isSame, isOpen) {
    this.element.toggleAttribute('data-asked', isSame && isOpen);
    // One of a step stays where everybody sees it, until it has its answer.
    if (!this.isNested || !isOpen) this.question.append(element);
  }

  /** @param {HTMLElement} element the question, which is closed */
  answered(element) {
    this.element.removeAttribute('data-asked');
    if (element.parentNode !== this.question && (this.element.isConnected || !element.isConnected)) this.question.append(element);
  }

  /** @param {LogEvent} event @param {any} block its result */
  finish(event, block) {
    this.resultSeq = event.seq;
    const { said, others } = partsOf(block);
    const isRefused = Boolean(block.is_error) && (isRefusal(said) || this.question.querySelector('[data-outcome="denied"]') !== null);
    const failed = Boolean(block.is_error) && !isRefused;
    const words = failed ? withoutFrame(said) : isAgent(this.tool) ? reportOf(said) : said;
    if (failed) this.#shows(event, [h('p', { class: 'sr' }, `${visibleText(clip(this.tool, STEP))} failed`), output(words), shownOthers(others)], { 'data-error': '' });
    else if (others.length) this.#shows(event, [output(words), shownOthers(others)]);
    else this.#peek(event, words, isRefused);
    if (this.state === 'background') return;
    if (this.#isLaunched(event)) return this.#set('background');
    if (failed) return this.#set('failed', failureOf(words));
    if (isRefused) return this.#set('refused', isInterrupted(said) ? 'interrupted' : WORDS.refused);
    this.#set('done', isAgent(this.tool) ? this.#stepWords() : this.extent || outcomeOf(this.tool, words));
  }

  /** @param {LogEvent} event @returns {boolean} whether it says only that an agent, or a command, has started */
  #isLaunched({ message }) {
    const { status, isAsync, backgroundTaskId } = record(message?.tool_use_result);
    return status === 'async_launched' || isAsync === true || typeof backgroundTaskId === 'string';
  }

  /** @param {LogEvent} event @param {any[]} children @param {Record<string, any>} [more] @returns {HTMLElement} */
  #shows(event, children, more = {}) {
    const result = h('div', { class: 'call-result', 'data-testid': 'message', 'data-part': 'result', 'data-seq': event.seq, ...more }, children);
    this.element.append(result);
    return result;
  }

  /** @param {LogEvent} event @param {string} said @param {boolean} isRefused */
  #peek(event, said, isRefused) {
    const whole = () => [h('div', { 'data-testid': 'message', 'data-part': 'result', class: 'call-result' }, wholeResult(this.tool, said))];
    const isRepeated = isQuiet(this.tool) || (isRefused && isRefusal(said));
    if (!/\S/.test(said)) return;
    if (isRepeated) {
      this.#wait(whole);
      return;
    }
    const { text: shown, more } = peekOf(said, !isAgent(this.tool) && this.tool !== 'WebFetch');
    const body = isAgent(this.tool) ? h('p', { class: 'peek-prose', dir: 'auto' }, shown) : h('pre', { dir: 'ltr' }, h('code', {}, shown));
    const result = this.#shows(event, [body, more > 0 && h('p', { class: 'muted small' }, `${counted(more, 'more line')}`)], { 'data-partial': more ? '' : null });
    if (more) {
      result.classList.add('peek');
      this.#wait(whole);
    }
  }

  /** @param {() => Node[]} make */
  #wait(make) {
    this.#later = make;
    if (this.details.open && this.#isTouched) this.#opened();
  }

  /** @param {HTMLElement} step what the agent that this call has started does or says */
  step(step) {
    if (!this.#list) {
      this.#list = h('div', { class: 'steps' });
      this.body.append(this.#list);
    }
    this.#list.append(step);
    if (step.dataset.part === 'use') {
      this.#steps += 1;
      if (!this.isOver) this.progress(this.#stepWords());
    }
    while (this.#list.childElementCount > STEPS) {
      const oldest = this.#list.querySelector(':scope > :not(:has([data-testid="permission-card"]))');
      if (!oldest) break;
      oldest.remove();
      this.#list.dataset.cut = '';
    }
  }

  #stepWords() {
    return this.#steps ? counted(this.#steps, 'step') : '';
  }

  /** @param {string} words how far it is */
  progress(words) {
    if (!this.isOver) setText(this.outcome, [WORDS[this.state], words].filter(Boolean).join(' · '));
  }

  /** What runs beside the conversation has begun. */
  inBackground() {
    if (this.state === 'running') this.#set('background');
  }

  /** @param {string} status how it has ended */
  backgroundEnded(status) {
    const isGood = status === 'completed';
    this.#set(isGood ? 'done' : status === 'failed' ? 'failed' : 'refused', isGood ? this.#stepWords() : clip(status, STEP));
  }

  /** Nothing more comes of it. */
  abandon() {
    if (this.state === 'running') this.#set('unfinished');
  }
}
