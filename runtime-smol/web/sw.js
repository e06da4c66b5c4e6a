// @ts-check
// Keeps the page itself in the browser, so that it opens at once and without a connection. It never
// keeps data: what is below `v1/` does not pass through here at all.

/** Changes with any file of the page. */
const SHELL = 'a/VERSION/';
const NAME = `footbridge ${SHELL}`;
const PREFIX = 'footbridge ';
/** How long the relay is waited for before the page that is kept is shown. */
const PATIENCE_MS = 1500;

const worker = /** @type {any} */ (self);
worker.importScripts(`${SHELL}sw-push.js`);
const base = new URL('./', worker.location.href);
const first = new URL('./', base).href;
const shell = new URL(SHELL, base).href;

worker.addEventListener('install', (/** @type {any} */ event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll([new Request(first, { cache: 'reload' })])).then(() => worker.skipWaiting()));
});

worker.addEventListener('activate', (/** @type {any} */ event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== NAME).map((name) => caches.delete(name))))
    .then(() => worker.clients.claim()));
});

/** @param {Request} request of a file whose name is for its content alone @returns {Promise<Response>} */
async function kept(request) {
  const cache = await caches.open(NAME);
  const found = await cache.match(request);
  if (found) return found;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}

/** @param {Request} request for the page @returns {Promise<Response>} as the relay has it now, or as it was */
async function page(request) {
  const cache = await caches.open(NAME);
  const old = await cache.match(first);
  const fresh = fetch(request);
  if (!old) return fresh;
  // Another version has another worker, which keeps it.
  const late = new Promise((wake) => setTimeout(() => wake(old), PATIENCE_MS));
  return Promise.race([fresh.then((response) => (response.ok ? response : old), () => old), late]);
}

worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method !== 'GET') return;
  const [address] = request.url.split(/[?#]/);
  if (request.mode === 'navigate' && address === first) event.respondWith(page(request));
  else if (address.startsWith(shell)) event.respondWith(kept(request));
});
