import { offerCopy } from "../part/copy.js";
import { find } from "../part/find.js";
import { showTimes } from "../part/times.js";

const link = find("link", HTMLTextAreaElement);
const value = document.getElementById("value");

showTimes();
offerCopy("link", () => link.value);
link.addEventListener("focus", () => link.select());

if (typeof navigator.share === "function") {
  const share = find("pass-on", HTMLButtonElement);
  share.hidden = false;
  share.addEventListener("click", async () => {
    try {
      await navigator.share({ url: link.value });
    } catch {
      // The reader changed their mind, or the device has nothing to share with: the link is still there to copy.
    }
  });
}

if (value !== null) {
  const text = value.textContent ?? "";
  offerCopy("value", () => text);
  addEventListener("pagehide", () => {
    value.textContent = "";
  });
}
