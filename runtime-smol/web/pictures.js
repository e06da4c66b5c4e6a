// @ts-check
// Pictures for the agent, from the camera, a file, the clipboard or by dragging: scaled down here, so
// that they neither cost the phone's data nor more than the model looks at.
import { h } from './dom.js';

/** @typedef {{type: string, data: string}} Picture `data` in base64 */

/** Pixels of the longer side, beyond which models scale down by themselves; bytes of one; and how many to a message. */
const SIDE = 1568;
const BYTES = 1_000_000;
const MOST = 6;
/** Bytes of a file that is looked at. */
const FILE = 40_000_000;
/** How a picture is written, from the best on. */
const QUALITIES = [0.85, 0.7, 0.5];

/** @param {number} width @param {number} height @returns {[number, number]} scaled down, with the same shape */
export function fitted(width, height) {
  const by = Math.min(1, SIDE / Math.max(width, height, 1));
  return [Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by))];
}

/** @param {Blob} blob @returns {Promise<string>} */
async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += 32_768) text += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return btoa(text);
}

/** @param {Blob} file @returns {Promise<Picture>} */
async function pictureOf(file) {
  if (file.size > FILE) throw new Error('it is too large');
  // As the camera was held.
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const [width, height] = fitted(bitmap.width, bitmap.height);
  const isSmall = width === bitmap.width && file.size <= BYTES && /^image\/(?:png|jpeg|gif|webp)$/.test(file.type);
  if (isSmall) {
    bitmap.close();
    return { type: file.type, data: await base64(file) };
  }
  const canvas = h('canvas', { width, height });
  const context = canvas.getContext('2d');
  // What is transparent would become black.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  for (const quality of QUALITIES) {
    /** @type {Blob | null} */
    const blob = await new Promise((wake) => canvas.toBlob(wake, 'image/jpeg', quality));
    if (blob && (blob.size <= BYTES || quality === QUALITIES[QUALITIES.length - 1])) return { type: 'image/jpeg', data: await base64(blob) };
  }
  throw new Error('this browser cannot write it');
}

/** @param {Picture} picture @returns {any} as a part of a message */
export const blockOf = ({ type, data }) => ({ type: 'image', source: { type: 'base64', media_type: type, data } });

/** @param {Picture} picture @returns {HTMLElement} */
export const thumbnail = ({ type, data }) => h('img', { src: `data:${type};base64,${data}`, alt: 'Picture to send', class: 'thumbnail' });

/** The pictures that go with the next message. */
export class Pictures {
  /** @type {Picture[]} */ #all = [];

  constructor() {
    this.input = h('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true, 'data-testid': 'picture-input', on: { change: () => this.#chosen() } });
    this.button = h('button', { type: 'button', class: 'attach', 'aria-label': 'Add a picture', title: 'Add a picture', on: { click: () => this.input.click() } }, h('span', { 'aria-hidden': 'true' }, '+'));
    this.error = h('p', { class: 'error', role: 'alert' });
    this.strip = h('ul', { class: 'pictures', 'aria-label': 'Pictures to send', hidden: true });
    this.element = h('div', {}, this.strip, this.error);
  }

  get all() {
    return this.#all;
  }

  /** @returns {Picture[]} and starts afresh */
  take() {
    const all = this.#all;
    this.#all = [];
    this.#render();
    return all;
  }

  /** @param {Picture[]} pictures */
  put(pictures) {
    this.#all = [...pictures, ...this.#all].slice(0, MOST);
    this.#render();
  }

  #chosen() {
    this.add([...(this.input.files ?? [])]);
    this.input.value = '';
  }

  /** @param {Iterable<File>} files */
  async add(files) {
    this.error.textContent = '';
    for (const file of files) {
      if (!file.type.startsWith('image/')) continue;
      if (this.#all.length >= MOST) {
        this.error.textContent = `At most ${MOST} pictures go with a message.`;
        break;
      }
      try {
        this.#all = [...this.#all, await pictureOf(file)];
      } catch (error) {
        const why = error instanceof Error && error.name === 'Error' ? error.message : 'it is not a picture that this browser can read';
        this.error.textContent = `“${file.name || 'The picture'}” was not added: ${why}.`;
      }
      this.#render();
    }
  }

  #render() {
    this.strip.hidden = !this.#all.length;
    this.strip.replaceChildren(...this.#all.map((picture, at) => h('li', {}, thumbnail(picture),
      h('button', { type: 'button', class: 'remove', 'aria-label': `Remove picture ${at + 1}`, on: { click: () => this.#remove(at) } }, '×'))));
  }

  /** @param {number} at */
  #remove(at) {
    this.#all = this.#all.filter((_, index) => index !== at);
    this.#render();
    this.button.focus();
  }

  /** @param {HTMLElement} form takes what is pasted or dropped on it */
  listen(form) {
    form.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith('image/'));
      if (!files.length) return;
      event.preventDefault();
      this.add(files);
    });
    form.addEventListener('dragover', (event) => {
      if ([...(event.dataTransfer?.types ?? [])].includes('Files')) event.preventDefault();
    });
    form.addEventListener('drop', (event) => {
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
  }
}
