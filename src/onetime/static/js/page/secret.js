import { find, words } from "../part/find.js";
import { offerToShow } from "../part/passphrase.js";
import { sendOnce } from "../part/submit.js";
import { showTimes } from "../part/times.js";

const opening = find("opening", HTMLElement);

showTimes();
offerToShow();
// Two presses would open the secret and then show the page of one that is gone.
sendOnce(find("show", HTMLFormElement), () => opening.replaceChildren(words("opening-words")));
addEventListener("pageshow", () => opening.replaceChildren());
