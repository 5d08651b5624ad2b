// Gradio makes everything that it is told of the page watched, the list of all listeners included, which never changes; and it goes
// through that list for every part of the page, twice. Svelte leaves alone what is no plain list and no plain object: with that the
// page needs half of the time to be there. Where another version of Gradio keeps its list elsewhere, nothing happens.
(() => {
  class Listeners extends Array {}
  class Listener {}
  const listeners = window.gradio_config?.dependencies;
  if (!Array.isArray(listeners)) return;
  listeners.forEach((listener) => {
    Object.setPrototypeOf(listener.targets, Listeners.prototype);
    Object.setPrototypeOf(listener, Listener.prototype);
  });
  Object.setPrototypeOf(listeners, Listeners.prototype);
})();
