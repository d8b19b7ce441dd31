/** How the reader writes dates and numbers, in the page's language. */

const page = document.documentElement.lang;
const same = navigator.languages.find((tag) => tag.split("-")[0] === page.split("-")[0]);

/** `en` alone would be American; a reader who has said nothing closer gets the page's own order of day and month. */
export const language = same !== undefined && same !== "en" ? same : page === "en" ? "en-GB" : page;
