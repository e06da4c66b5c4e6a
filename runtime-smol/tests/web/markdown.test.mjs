import assert from 'node:assert/strict';
import test from 'node:test';
import { blocksOf } from '../../web/blocks.js';
import { inlineOf, withoutTail } from '../../web/inline.js';

/** A tree as HTML, only to compare it. */
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const show = (one) => {
  if (typeof one === 'string') return escape(one);
  const more = one.tag === 'a' ? ` href="${escape(one.href)}"` : one.start ? ` start="${one.start}"` : one.align ? ` align="${one.align}"` : '';
  const task = one.done === undefined ? '' : one.done ? '[x] ' : '[ ] ';
  return one.tag === 'hr' ? '<hr>' : `<${one.tag}${more}>${task}${one.kids.map(show).join('')}</${one.tag}>`;
};
const inline = (text) => inlineOf(text).map(show).join('');
const blocks = (text) => blocksOf(text).map(show).join('');

test('a bare link leaves the sentence its full stop', () => {
  const table = [
    ['See https://a.example/x.', 'See <a href="https://a.example/x">https://a.example/x</a>.'],
    ['(https://a.example/x)', '(<a href="https://a.example/x">https://a.example/x</a>)'],
    ['https://a.example/x_(y)!', '<a href="https://a.example/x_(y)">https://a.example/x_(y)</a>!'],
    ['**https://a.example/**', '<strong><a href="https://a.example/">https://a.example/</a></strong>'],
    ['<https://a.example/a?b=c>.', '<a href="https://a.example/a?b=c">https://a.example/a?b=c</a>.'],
    ['https:// no', 'https:// no'],
    ['xhttps://a.example', 'xhttps://a.example'],
  ];
  for (const [text, html] of table) assert.equal(inline(text), html, text);
  assert.equal(withoutTail('https://a.example/x?!.,:'), 'https://a.example/x');
});

/** From the CommonMark specification 0.31.2 (CC BY-SA 4.0), and from GFM's. */
const INLINE = [
  ['*foo bar*', '<em>foo bar</em>'],
  ['a * foo bar*', 'a * foo bar*'],
  ['a*"foo"*', 'a*&quot;foo&quot;*'],
  ['foo*bar*', 'foo<em>bar</em>'],
  ['_foo bar_', '<em>foo bar</em>'],
  ['foo_bar_', 'foo_bar_'],
  ['foo-_(bar)_', 'foo-<em>(bar)</em>'],
  ['*foo bar *', '*foo bar *'],
  ['*(*foo*)*', '<em>(<em>foo</em>)</em>'],
  ['**foo bar**', '<strong>foo bar</strong>'],
  ['foo**bar**', 'foo<strong>bar</strong>'],
  ['__foo, __bar__, baz__', '<strong>foo, <strong>bar</strong>, baz</strong>'],
  ['*foo **bar** baz*', '<em>foo <strong>bar</strong> baz</em>'],
  ['*foo**bar**baz*', '<em>foo<strong>bar</strong>baz</em>'],
  ['*foo**bar*', '<em>foo**bar</em>'],
  ['***foo** bar*', '<em><strong>foo</strong> bar</em>'],
  ['*foo **bar***', '<em>foo <strong>bar</strong></em>'],
  ['**foo*', '*<em>foo</em>'],
  ['****foo****', '<strong><strong>foo</strong></strong>'],
  ['*foo _bar* baz_', '<em>foo _bar</em> baz_'],
  ['`foo`', '<code>foo</code>'],
  ['`` foo ` bar ``', '<code>foo ` bar</code>'],
  ['` `` `', '<code>``</code>'],
  ['`foo\\`bar`', '<code>foo\\</code>bar`'],
  ['*foo`*`', '*foo<code>*</code>'],
  ['```foo``', '```foo``'],
  ['\\*not emphasized*', '*not emphasized*'],
  ['[link](https://a.example/uri "title")', '<a href="https://a.example/uri">link</a>'],
  ['[link [foo [bar]]](https://a.example/)', '<a href="https://a.example/">link [foo [bar]]</a>'],
  ['[*x*](https://a.example/(y))', '<a href="https://a.example/(y)"><em>x</em></a>'],
  ['[a](b', '[a](b'],
  ['~~Hi~~ Hello, ~there~ world!', '<del>Hi</del> Hello, ~there~ world!'],
  ['&lt;b&gt; <b>', '&lt;b&gt; &lt;b&gt;'],
];

test('emphasis, code and links are those of the specification', () => {
  for (const [text, html] of INLINE) assert.equal(inline(text), html, text);
});

test('a link leads to a page, and nowhere else', () => {
  for (const href of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', '/etc/passwd', 'src/main.rs']) assert.equal(inline(`[a](${href})`), 'a', href);
});

const BLOCKS = [
  ['# foo\n## foo ##\n###### foo', '<h1>foo</h1><h2>foo</h2><h6>foo</h6>'],
  ['#hashtag', '<p>#hashtag</p>'],
  ['Foo\n===\nbar\n---', '<h1>Foo</h1><h2>bar</h2>'],
  ['***\n- - -', '<hr><hr>'],
  ['- foo\n- bar\n+ baz', '<ul><li>foo</li><li>bar</li></ul><ul><li>baz</li></ul>'],
  ['- foo\n  - bar\n    - baz', '<ul><li>foo<ul><li>bar<ul><li>baz</li></ul></li></ul></li></ul>'],
  ['1. a\n2. b\n   - c', '<ol><li>a</li><li>b<ul><li>c</li></ul></li></ol>'],
  ['3) a\n4) b', '<ol start="3"><li>a</li><li>b</li></ol>'],
  ['The number of windows is\n14.  The doors are 6.', '<p>The number of windows is\n14.  The doors are 6.</p>'],
  ['- a\nlazy', '<ul><li>a\nlazy</li></ul>'],
  ['> # Foo\n> bar', '<blockquote><h1>Foo</h1><p>bar</p></blockquote>'],
  ['> a\n>\n> b', '<blockquote><p>a</p><p>b</p></blockquote>'],
  ['- [ ] foo\n- [x] bar', '<ul><li>[ ] foo</li><li>[x] bar</li></ul>'],
  ['| a | b |\n| - | -: |\n| `x|y` | **z** |\n| 1', '<table><thead><tr><th>a</th><th align="end">b</th></tr></thead><tbody><tr><td><code>x|y</code></td><td align="end"><strong>z</strong></td></tr><tr><td>1</td><td align="end"></td></tr></tbody></table>'],
  ['| a | b |\n| - |', '<p>| a | b |\n| - |</p>'],
  ['text\n| a |\n|---|', '<p>text</p><table><thead><tr><th>a</th></tr></thead></table>'],
];

test('headings, lists, quotes, tables and tasks are those of the specification', () => {
  for (const [text, html] of BLOCKS) assert.equal(blocks(text), html, JSON.stringify(text));
});

test('whatever is written takes no time, and loses no word', () => {
  const texts = ['*'.repeat(2000), '**a'.repeat(700), '['.repeat(2000), '[a]('.repeat(500), '`'.repeat(2000), '> '.repeat(1000), '- '.repeat(1000), '|'.repeat(2000),
    `${'|a'.repeat(30)}\n${'|-'.repeat(30)}\n${'|b'.repeat(900)}`, '_a_ '.repeat(500), '~~x'.repeat(600), Array.from({ length: 100 }, (_, at) => `${' '.repeat(at)}- x`).join('\n')];
  const began = performance.now();
  for (const text of texts) blocksOf(text);
  assert.ok(performance.now() - began < 2000, `${performance.now() - began} ms`);
  const words = (tree) => (typeof tree === 'string' ? tree : tree.kids.map(words).join(' '));
  for (const text of texts) assert.equal(blocksOf(text).map(words).join(' ').includes('x'), text.includes('x'));
});
