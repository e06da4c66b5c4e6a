import assert from 'node:assert/strict';
import test from 'node:test';
import { closed, completeIn } from '../../web/draft.js';

test('what is being written shows no mark that is not closed yet', () => {
  const table = [
    ['a **bo', 'a **bo**'], ['a **bold** b', 'a **bold** b'], ['a *', 'a '], ['a **', 'a '], ['`co', '`co`'], ['`co` b', '`co` b'],
    ['see [the do', 'see the do'], ['see [the docs](https://a', 'see the docs'], ['see [the docs](https://a) b', 'see [the docs](https://a) b'],
  ];
  for (const [text, shown] of table) assert.equal(closed(text), shown, text);
});

test('a paragraph is complete with a blank line, and code with its end', () => {
  assert.deepEqual(completeIn('a\n\nb'), { end: 3, fence: '' });
  assert.deepEqual(completeIn('a\nb'), { end: 0, fence: '' });
  assert.deepEqual(completeIn('```js\nx\n\ny'), { end: 0, fence: '```js' });
  assert.deepEqual(completeIn('```js\nx\n\ny\n```\nz'), { end: 15, fence: '' });
});
