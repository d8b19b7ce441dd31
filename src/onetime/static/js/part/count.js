import { words } from "./find.js";
import { language } from "./language.js";

const rules = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);

/**
 * A sentence with a number, in the form that the number takes.
 *
 * @param {string} name
 * @param {number} count
 */
export function counted(name, count) {
  return words(`${name}-${rules.select(count)}`, { num: numbers.format(count) });
}

/**
 * A number of seconds as one would say it after "in"; never less than it is.
 *
 * @param {number} seconds
 */
export function wait(seconds) {
  const unit = [86_400, 3_600, 60].find((each) => seconds >= 1.5 * each || seconds === each) ?? 1;
  const count = Math.ceil(seconds / unit);
  const found = `[data-unit="${unit}"][data-form="${rules.select(count)}"]`;
  const said = words("waits").querySelector(found)?.textContent ?? "";
  return said.replace(/\d+/, numbers.format(count));
}
