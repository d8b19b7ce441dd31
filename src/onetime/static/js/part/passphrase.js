/** Buttons that show what is typed into a passphrase, and hide it again. */
export function offerToShow() {
  for (const button of document.querySelectorAll("button[data-shows]")) {
    if (!(button instanceof HTMLButtonElement)) continue;
    const input = document.getElementById(button.dataset["shows"] ?? "");
    if (!(input instanceof HTMLInputElement)) continue;
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
    });
    // A field of another type may be kept by the browser as ordinary text.
    input.form?.addEventListener("submit", () => {
      input.type = "password";
      button.setAttribute("aria-pressed", "false");
    });
  }
}
