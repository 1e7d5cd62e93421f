// Files that were announced by a text, and whose binary message hasn't come yet.

const MOST = 16;

export class FileAnnouncements {
  #files = []; // { name, file, bytes, mine }

  // Take an announcement: who sends the file, its name, how many bytes it has, and whether it is an own one.
  push(announcement) {
    this.#files.push(announcement);
    if (this.#files.length > MOST) this.#files.shift();
  }

  // Return what was announced of a binary message of so many bytes.
  take(bytes) {
    const index = this.#files.findIndex((announcement) => announcement.bytes === bytes);
    return index < 0 ? { name: null, mine: false } : this.#files.splice(index, 1)[0];
  }

  // How many own files have not come back.
  get own() {
    return this.#files.filter(({ mine }) => mine).length;
  }

  clear() {
    this.#files = [];
  }
}
