// @ts-check
// What a permission request is about, in the form that suits its tool.
import { Editor, isCommandLine } from './editor.js';
import { QuestionForm, questionsIn } from './questions.js';
import { readableOf } from './readable.js';
import { record } from './values.js';

/**
 * @typedef {import('./dom.js').Child} Child
 * @typedef {{
 *   name: string,
 *   summary: string,
 *   isDisguised: boolean,
 *   before: Child[],
 *   element: HTMLElement,
 *   after: Child[],
 *   hidden: number,
 *   subject?: string,
 *   saysDescription?: boolean,
 *   needsReading?: boolean,
 *   words?: {allow: string, deny: string, reason: string, denied: string, outcomes: Record<string, string>},
 *   focusHidden: () => void,
 *   changed: (complain: (words: string) => void) => any,
 *   permissions?: () => any[] | null,
 *   shown?: unknown,
 *   resolved?: (outcome: string, input: unknown) => Child[] | null,
 * }} Asked `subject` is what the call is about, such as a path, if that is shown; `saysDescription` that the
 *   input's description is; `element` is what has to be read, with what stands around it; `hidden` is how many
 *   characters of it are not shown yet, NaN if it is not known how many; `changed` is the input to
 *   allow instead, null if it is the one that was asked, undefined if there is something to put right first;
 *   `permissions` is what changes for later questions; `shown` is what is shown, if that is not the input alone
 */

/** @param {any} request @param {() => void} onMore called when more of it is shown @param {unknown} [called] the input of the call that it is about @returns {Asked} */
export function askedOf(request, onMore, called) {
  const { tool_name: tool, input } = record(request);
  const questions = tool === 'AskUserQuestion' ? questionsIn(input) : null;
  if (questions) return new QuestionForm(questions, input);
  if (tool === 'Bash') return new Editor(input, isCommandLine(input), onMore);
  return readableOf(tool, input, onMore, called) ?? new Editor(input, false, onMore);
}
