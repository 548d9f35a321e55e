// Tells Monaco where its workers are: three files of their own, from our own origin. The build
// fills in WORKERS, because only it knows the names that carry the hash of the content.
/* global WORKERS */

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const file = WORKERS[label] ?? WORKERS.editor;
    return new Worker(new URL(file, import.meta.url), { type: 'module', name: label });
  },
};
