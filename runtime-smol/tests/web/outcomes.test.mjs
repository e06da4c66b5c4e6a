import assert from 'node:assert/strict';
import test from 'node:test';
import { counted, failureOf, foundIn, isInterrupted, isRefusal, lineCount, linksIn, outcomeOf, peekOf, reportOf } from '../../web/outcomes.js';

test('lines are counted as an editor counts them', () => {
  for (const [text, count] of [['', 0], ['a', 1], ['a\n', 1], ['a\nb', 2], ['\n\n', 2]]) assert.equal(lineCount(text), count, JSON.stringify(text));
});

test('a short result is shown whole, and of a long one the end that says most', () => {
  assert.deepEqual(peekOf('hello\n', true), { text: 'hello', more: 0 });
  const lines = Array.from({ length: 400 }, (_, at) => `line ${at + 1}`).join('\n');
  assert.deepEqual(peekOf(lines, true), { text: 'line 398\nline 399\nline 400', more: 397 });
  assert.deepEqual(peekOf(lines, false), { text: 'line 1\nline 2\nline 3', more: 397 });
  const { text, more } = peekOf('x'.repeat(5_000_000), true);
  assert.ok(text.length <= 301 && more === 1);
  assert.equal(peekOf('\x1b[31mred\x1b[0m', true).text, 'red');
});

test('what came of a call is said in a few words', () => {
  const table = [
    ['Read', '     1\tone\n     2\ttwo', '2 lines'],
    ['Read', '     1\tone\n\n<system-reminder>\nnot\nfor people', '1 line'],
    ['Read', '', 'empty'],
    ['Glob', '/w/a.js\n/w/b.js', '2 files'],
    ['Glob', 'No files found', 'nothing found'],
    ['Grep', 'Found 3 files\na\nb\nc', '3 files'],
    ['Grep', 'a.js:1:x\na.js:2:x', '2 lines'],
    ['TaskCreate', 'Task #12 created successfully: x', '#12'],
    ['Bash', '  \n', 'no output'],
    ['Bash', 'ok', ''],
    ['Edit', '', ''],
    ['mcp__a__b', 'x', ''],
  ];
  for (const [tool, said, words] of table) assert.equal(outcomeOf(tool, said), words, tool);
  assert.equal(failureOf('Exit code 127\nno such command'), 'exit code 127');
  assert.equal(failureOf('anything'), 'failed');
  assert.equal(counted(1, 'match', 'matches'), '1 match');
  assert.equal(counted(1200, 'line'), '1,200 lines');
});

test('what a person has stopped is told from what went wrong', () => {
  const stopped = [
    '[Request interrupted by user for tool use]', '[Request interrupted by user]', 'some output\n[Interrupted]', 'Interrupted',
    'The user doesn\'t want to proceed with this tool use. The tool use was rejected', 'The user doesn’t want to take this action right now.',
  ];
  for (const said of stopped) assert.ok(isRefusal(said), said);
  for (const said of ['Exit code 1\nboom', 'the download was interrupted by a proxy', 'Interrupted system call\nat line 3', '']) assert.ok(!isRefusal(said), said);
  assert.ok(!isInterrupted(stopped[4]));
});

test('pages that a search of the web has found are links, and nothing else is', () => {
  const said = 'Web search results for query: "x"\n\nLinks: [{"title":"A [b]","url":"https://a.example/x"},{"title":"B","url":"javascript:alert(1)"}]\n\nmore';
  assert.deepEqual(linksIn(said), [{ title: 'A [b]', url: 'https://a.example/x' }]);
  for (const odd of ['', 'Links: [', 'Links: [{"url":7}]\n', 'Links: [null]\n']) assert.deepEqual(linksIn(odd), []);
  assert.deepEqual(foundIn('Found 2 files\na\n\nb\n'), ['a', 'b']);
});

test('what another agent has reported is its own words', () => {
  const said = '[Subagent hand-back] The text below is the final report. The report follows:\n  one\n    two\nagentId: a88c (use SendMessage)\n<usage>x</usage>';
  assert.equal(reportOf(said), 'one\n  two');
  assert.equal(reportOf('all is well'), 'all is well');
});
