/**
 * Send a form once, however often its button is pressed.
 *
 * @param {HTMLFormElement} form
 * @param {() => void} [sending]
 */
export function sendOnce(form, sending) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    else sending?.();
    sent = true;
  });
  // Shown again from the browser's memory of pages, or after the request was stopped.
  addEventListener("pageshow", () => {
    sent = false;
  });
}
