// Shows the page's transcript texts of every kind, as long as an agent's line may be, and asks for
// more of each. Evaluates to how much was added at once. No clock decides about that here, so that it
// is the same on a machine that is busy: the page's slices end by characters and nodes alone, and
// frames follow at once.
(async () => {
  performance.now = () => 0;
  window.requestAnimationFrame = (run) => setTimeout(run);
  window.cancelAnimationFrame = clearTimeout;
  const names = ['transcript', 'permission', 'receipts'];
  const [{ Transcript }, { Permissions }, { Receipts }] = await Promise.all(names.map((name) => import(`/${name}.js`)));
  const sentence = 'Some **bold** text with `code` and https://example.com/a/b?c=d and more words to fill a line or two. ';
  const section = `## Heading\n\n${sentence.repeat(3)}\n\n- item\n  - nested\n\n> quote\n\n\`\`\`js\nconst x = 1;\n\`\`\`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`;
  const markdown = (length) => section.repeat(Math.ceil(length / section.length)).slice(0, length);
  const said = (text) => ({ type: 'assistant', message: { content: [{ type: 'text', text }] } });
  const printed = (content) => ({ type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: 't', content }] } });
  const used = (input) => ({ type: 'assistant', message: { content: [{ type: 'tool_use', id: 't', name: 'Write', input }] } });
  const called = (name, input) => ({ type: 'assistant', message: { content: [{ type: 'tool_use', id: 't', name, input }] } });
  const edit = (before, after) => called('Edit', { file_path: 'f', old_string: before, new_string: after });
  const askedFor = (tool, input) => ({ type: 'control_request', request_id: 'q', request: { subtype: 'can_use_tool', tool_name: tool, input } });
  const asked = (input) => ({ type: 'control_request', request_id: 'q', request: { subtype: 'can_use_tool', tool_name: 'Bash', input } });
  // Each with whether a few clicks show the rest of it.
  const KINDS = {
    'Markdown of 500 kB': [said(markdown(500_000))],
    'Markdown of 5 MB': [said(markdown(5_000_000))],
    'one line of 1 MB': [said('word '.repeat(200_000))],
    'one word of 1 MB': [said('x'.repeat(1_000_000))],
    'wide characters': [said('漢😀'.repeat(60_000)), true],
    'blank lines': [said(`${'\n'.repeat(100_000)}end`), true],
    'many paragraphs': [said('a\n\n'.repeat(60_000))],
    'nested lists': [said(Array.from({ length: 1000 }, (_, at) => `${' '.repeat(at % 300)}- x`).join('\n')), true],
    'nested quotes': [said('> '.repeat(50_000)), true],
    'emphasis that never ends': [said('**a'.repeat(60_000)), true],
    'ticks': [said('`'.repeat(50_000)), true],
    'much code in lines': [said('`a`'.repeat(20_000)), true],
    'links': [said('https://example.com/x '.repeat(9_000)), true],
    'a table': [said('| a | b | c |\n'.repeat(14_000)), true],
    'a block of code': [said(`\`\`\`\n${'code line\n'.repeat(19_000)}`), true],
    'fences': [said('~~~\n```\n'.repeat(2_000)), true],
    'short blocks of code': [said('```\nx\n```\n'.repeat(20_000))],
    'colours': [printed('\x1b[31mred\x1b[0m '.repeat(40_000)), true],
    'codes that never end': [printed('\x1b['.repeat(80_000)), true],
    'output of 5 MB': [printed('line of output\n'.repeat(350_000))],
    'one line of output of 5 MB': [printed('y'.repeat(5_000_000))],
    'a large input': [used({ content: 'z\n'.repeat(500_000) })],
    'an input of many parts': [used(Array.from({ length: 50_000 }, (_, at) => ({ at })))],
    'hidden characters': [used({ content: 'a\u200b'.repeat(200_000) })],
    'a diff': [used({ old_string: '-a line\n'.repeat(20_000), new_string: '+a line\n'.repeat(20_000) })],
    'a change in a text of 2 MB': [edit('a line\n'.repeat(290_000), `${'a line\n'.repeat(145_000)}x\n${'a line\n'.repeat(145_000)}`)],
    'another text of 1 MB': [edit('a line\n'.repeat(70_000), 'other line\n'.repeat(50_000))],
    'a change in each line': [edit('a line\nb\n'.repeat(900), 'a line\nc\n'.repeat(900)), true],
    'many changes': [called('MultiEdit', { file_path: 'f', edits: Array.from({ length: 900 }, (_, at) => ({ old_string: `a${at}\nb`, new_string: `b\nc${at}` })) }), true],
    'a file of 2 MB': [askedFor('Write', { file_path: 'f', content: 'a line\n'.repeat(290_000) })],
    'a file of one line': [askedFor('Write', { file_path: 'f', content: 'x'.repeat(150_000) }), true],
    'a file of hidden characters': [askedFor('Write', { file_path: 'f', content: 'a\u200b'.repeat(100_000) })],
    'a list of many': [askedFor('mcp__a__b', { all: Array.from({ length: 50_000 }, (_, at) => at) })],
    'an object of many': [askedFor('mcp__a__b', Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`key ${at}`, { at }])))],
    'a value of 1 MB': [askedFor('mcp__a__b', { all: 'a line\n'.repeat(150_000) })],
    'a name of 1 MB': [askedFor('mcp__a__b', { ['a'.repeat(1_000_000)]: 1 })],
    'a plan of 500 kB': [askedFor('ExitPlanMode', { plan: markdown(500_000) })],
    'a command of 1 MB': [asked({ command: 'echo x\n'.repeat(150_000) })],
    'a command of one long line': [asked({ command: 'x '.repeat(20_000) })],
    'a command of hidden characters': [asked({ command: 'a\u200b'.repeat(100_000) })],
    'many parts': [{ type: 'assistant', message: { content: Array.from({ length: 90 }, () => ({ type: 'text', text: markdown(5000) })) } }],
    'an error of 1 MB': [{ type: 'result', subtype: 'success', is_error: true, result: 'r\n'.repeat(500_000) }],
  };
  const found = [];
  /** Elements, without those in an element that was added with them. */
  const added = (records) => {
    const all = new Set(records.flatMap(({ addedNodes }) => [...addedNodes]));
    const isWithin = (node) => {
      for (let at = node.parentNode; at; at = at.parentNode) if (all.has(at)) return true;
      return false;
    };
    return [...all].filter((node) => node.isConnected && !isWithin(node));
  };
  let longest = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  }).observe({ type: 'longtask' });
  const wait = (ms) => new Promise((wake) => setTimeout(wake, ms));
  for (const [kind, [message, isShort = false]] of Object.entries(KINDS)) {
    window.progress = kind;
    const transcript = new Transcript({
      permissions: new Permissions(() => Promise.resolve({}), () => {}), receipts: new Receipts(() => {}),
      loadEarlier: () => Promise.reject(), onCaughtUp: () => {}, tail: document.createElement('div'),
    });
    document.querySelector('main').replaceChildren(transcript.element);
    transcript.setLive();
    await wait(20);
    const most = { chars: 0, nodes: 0 };
    let [slices, all] = [0, 0];
    longest = 0;
    // Records of changes come together after each task, so after each slice.
    const observer = new MutationObserver((records) => {
      const now = { chars: 0, nodes: 0 };
      for (const node of added(records)) {
        now.chars += node.textContent.length;
        now.nodes += 1 + (node.querySelectorAll?.('*').length ?? 0);
      }
      for (const name of ['chars', 'nodes']) most[name] = Math.max(most[name], now[name]);
      [slices, all] = [slices + 1, all + now.chars];
    });
    observer.observe(transcript.log, { childList: true, subtree: true });
    transcript.push({ type: 'event', seq: 1, at: '2026-01-01T00:00:00Z', from: 'agent', message });
    for (let tries = 0; tries < 200 && !transcript.log.childElementCount; tries += 1) await wait(20);
    await wait(50);
    const button = () => [...transcript.log.querySelectorAll('[data-testid="show-more"], [data-testid="show-rest"]')].find((one) => !one.hidden);
    for (let clicks = 0; clicks < (isShort ? 5 : 1) && button(); clicks += 1) {
      button().click();
      for (let tries = 0; tries < 3000 && button()?.getAttribute('aria-disabled') === 'true'; tries += 1) await wait(20);
    }
    transcript.toEnd();
    await wait(20);
    observer.disconnect();
    found.push({ kind, ...most, slices, all, longest, end: !isShort || !button() });
  }
  return found;
})
