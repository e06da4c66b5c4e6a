// @ts-check
// Puts the parts together and picks, from the address, which of them to show.
import { h } from './dom.js';
import { Api } from './api.js';
import { Attention, questionCount } from './attention.js';
import { forgetAll } from './outbox.js';
import { Notifications } from './notifications.js';
import { Overview } from './overview.js';
import { Push } from './push.js';
import { SessionView } from './session.js';
import { askToReplace, exchange, handOver, nameOf, signIn, works } from './sign-in.js';
import { StatusLine } from './status.js';
import { isAccessToken, isUsableToken, keepToken, readToken, takeFromAddress } from './token.js';

/** @type {Overview | null} */ let overview = null;
/** @type {SessionView | null} */ let session = null;
/** @type {Api | null} */ let api = null;
/** @type {Notifications | null} */ let notifications = null;
let firstRoute = true;
/** The session that was made here last. */
let made = '';
const attention = new Attention();

const status = new StatusLine(() => {
  overview?.connection.wake();
  session?.connection.wake();
});
const announcer = h('div', { class: 'sr', role: 'alert' });
const signOut = h('button', { type: 'button', class: 'link', hidden: true, on: { click: () => signedOut() } }, 'Sign out');
/** Who is signed in, where others use the relay as well. */
const account = h('bdi', {});
const signedInAs = h('span', { class: 'account', hidden: true, 'data-testid': 'account' }, h('span', { class: 'sr' }, 'Signed in as '), account);
const main = h('main', { id: 'main', tabindex: '-1' });
const skip = skipLink('Skip to the content', () => session?.heading ?? main);
const skipToBox = skipLink('Skip to the message box', () => session?.composer.box);

document.body.append(
  skip,
  skipToBox,
  // The heading is there also where there is no room for the bar.
  h('header', {}, h('h1', { class: 'sr' }, 'Footbridge'), h('div', { class: 'top' },
    h('a', { class: 'brand', href: '#/' }, h('img', { src: 'icon.svg', alt: '', width: 24, height: 24 }), h('span', { class: 'wordmark' }, 'Footbridge')),
    status.element,
    signedInAs,
    signOut)),
  main,
  announcer,
);

/** @param {string} text @param {() => HTMLElement | undefined} target */
function skipLink(text, target) {
  return h('a', {
    class: 'skip',
    href: '#main',
    on: {
      click: (/** @type {Event} */ event) => {
        // The fragment is the route here, so move the focus by hand.
        event.preventDefault();
        target()?.focus();
      },
    },
  }, text);
}

/** @returns {{id: string | null, seq: number | null}} the session that the address names, and the event */
function routed() {
  const match = /^#\/session\/([a-zA-Z0-9_-]+)(?:\/(\d{1,15}))?$/.exec(location.hash);
  return { id: match ? match[1] : null, seq: match?.[2] ? parseInt(match[2], 10) : null };
}

/** A person has signed out: what they have written here goes, too. */
async function signedOut() {
  forgetAll(localStorage);
  // Without a connection the relay learns of it from the push service.
  await notifications?.push.turnOff().catch(() => {});
  leave('');
}

/** @param {string} reason why the token has to be entered again */
function leave(reason) {
  session?.destroy();
  overview?.destroy();
  notifications?.destroy();
  session = null;
  overview = null;
  notifications = null;
  api = null;
  keepToken(null);
  showSignIn(reason);
}

/** @param {string} reason */
function showSignIn(reason) {
  signOut.hidden = true;
  signedInAs.hidden = true;
  status.element.hidden = true;
  skipToBox.hidden = true;
  attention.title = '';
  attention.count = 0;
  document.body.dataset.view = 'sign-in';
  const form = signIn({
    reason,
    onToken: (token) => {
      keepToken(token);
      enter(token);
    },
  });
  main.replaceChildren(form);
  form.querySelector('input')?.focus();
}

/** @param {string} token */
function enter(token) {
  api = new Api(token, () => leave('The relay no longer accepts this browser’s token.'));
  signOut.hidden = false;
  signedInAs.hidden = true;
  name(api);
  status.element.hidden = false;
  const push = new Push(api, token);
  notifications = new Notifications({ push, machines: () => overview?.machines ?? [] });
  push.renew().catch(() => {});
  overview = new Overview({
    api,
    extra: notifications.button,
    onStatus: (known) => status.set('overview', known),
    onChange: () => {
      attention.count = questionCount(overview?.waitingSessions ?? []);
      session?.placeChanged();
    },
    open: (id) => {
      made = id;
      location.hash = `#/session/${encodeURIComponent(id)}`;
    },
  });
  firstRoute = true;
  overview.start();
  route();
}

/** @param {Api} own */
async function name(own) {
  const person = await nameOf(own);
  if (api !== own || person === '') return;
  account.textContent = person;
  signedInAs.hidden = false;
}

function route() {
  if (!api || !overview) return;
  const { id, seq } = routed();
  const changed = firstRoute || id !== (session?.id ?? null);
  firstRoute = false;
  if (!changed && seq !== null) session?.goTo(seq);
  if (!changed) return;
  session?.destroy();
  session = null;
  overview.current = id;
  document.body.dataset.view = id ? 'session' : 'overview';
  skipToBox.hidden = !id;
  if (id) {
    session = new SessionView({
      id,
      api,
      placeOf: (environmentId) => overview?.placeOf(environmentId) ?? '',
      places: () => overview?.places ?? [],
      isOnline: (environmentId) => overview?.isOnline(environmentId) ?? true,
      waitingSessions: () => overview?.waitingSessions ?? [],
      onSession: (known) => overview?.learn(known),
      onGone: () => overview?.forget(id),
      isNew: made === id,
      seq,
      // A new element each time, so that the same words twice are read out twice.
      announce: (text) => announcer.replaceChildren(h('p', {}, text)),
      onStatus: (known) => status.set('session', known),
      onTitle: (title) => {
        attention.title = title;
      },
    });
    main.replaceChildren(overview.element, session.element);
    session.start();
    session.attached();
    made = '';
  } else {
    attention.title = '';
    main.replaceChildren(overview.element, h('p', { class: 'choose muted' }, 'Choose a session, or start a new one.'));
    overview.heading.focus({ preventScroll: true });
  }
}

/** @param {string} token */
function use(token) {
  session?.destroy();
  overview?.destroy();
  notifications?.destroy();
  session = null;
  keepToken(token);
  enter(token);
}

/** With the token that this browser has kept. */
function resume() {
  if (api) return route();
  const token = readToken();
  if (!token || !isUsableToken(token)) return leave('');
  enter(token);
  if (isAccessToken(token)) exchangeKept(token);
}

/** @param {string} kept by an earlier version of this page */
async function exchangeKept(kept) {
  const { token } = await exchange({ value: kept, isCode: false });
  if (token && readToken() === kept) keepToken(token);
}

/** Instead of the token that this browser has kept. @param {string} token */
async function replace(token) {
  await handOver(api, token, () => notifications?.push.turnOff());
  use(token);
}

/**
 * Anyone can make a link. What it holds is only used if it works, and takes nobody's place unasked.
 * @param {import('./token.js').Credential} credential
 */
async function consider(credential) {
  const kept = readToken();
  const isSignedIn = kept !== null && (!credential.isCode || await works(kept));
  if (isSignedIn) resume();
  if (isSignedIn && kept === credential.value) return;
  if (isSignedIn && credential.isCode) {
    // A code works once: it is not used up before somebody has said that it is to be.
    const person = api ? await nameOf(api) : '';
    askToReplace({ person, onUse: async () => {
      const { token, problem } = await exchange(credential);
      if (problem) askToReplace({ problem });
      else replace(token);
    } });
    return;
  }
  const { token, problem } = await exchange(credential);
  if (isSignedIn && readToken() !== null) askToReplace({ problem, person: api ? await nameOf(api) : '', onUse: () => replace(token) });
  else if (problem) leave(problem);
  else use(token);
}

/** Follows the address, at the start and whenever it changes. */
function begin() {
  const credential = takeFromAddress();
  if (credential) consider(credential);
  else resume();
}

window.addEventListener('hashchange', begin);
begin();

// Only where a browser has it, so over https or on this computer.
if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register(new URL('sw.js', document.baseURI)).catch(() => {});
  // A notification was tapped.
  navigator.serviceWorker.addEventListener('message', ({ data }) => {
    if (data?.kind === 'open' && /^#\/(?:session\/[a-zA-Z0-9_-]+(?:\/\d{1,15})?)?$/.test(data.place)) location.hash = data.place;
  });
}
