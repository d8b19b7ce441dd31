import { language } from "./language.js";

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

const FORMAT = /** @type {const} */ ({
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});
const zone = new Intl.DateTimeFormat(language, FORMAT);
const utc = new Intl.DateTimeFormat(language, { ...FORMAT, timeZone: "UTC" });

/** Instants in the reader's own zone, and times that are left, counting on. */
export function showTimes() {
  for (const time of document.querySelectorAll("time")) {
    time.title = (time.textContent ?? "").replaceAll("\u00a0", " ");
    time.textContent = zone.format(new Date(time.dateTime));
  }
  for (const element of document.querySelectorAll("[data-seconds]")) {
    if (element instanceof HTMLElement) countDown(element, Number(element.dataset["seconds"]));
  }
}

/**
 * An instant that the page did not know when it was made, as if it had.
 *
 * @param {HTMLTimeElement} time
 * @param {number} at seconds since 1970
 */
export function instant(time, at) {
  const date = new Date(at * 1000);
  time.dateTime = date.toISOString();
  time.title = utc.format(date);
  time.textContent = zone.format(date);
}

/**
 * Instants that the server has told a script at `now` of its clock: each in the elements that the templates have for its name.
 *
 * @param {Record<string, number | null>} instants
 * @param {number} now
 */
export function tellTimes(instants, now) {
  const told = performance.now() / 1000;
  for (const [name, at] of Object.entries(instants)) {
    if (at === null) continue;
    for (const time of document.querySelectorAll(`time[data-at="${name}"]`)) {
      if (time instanceof HTMLTimeElement) instant(time, at);
    }
    for (const element of document.querySelectorAll(`[data-left="${name}"]`)) {
      if (element instanceof HTMLElement) countDown(element, told + at - now);
    }
  }
}

/**
 * By this device's steady clock, from what the server said: the device's idea of the date may be wrong.
 *
 * @param {HTMLElement} element
 * @param {number} end in seconds of that clock, which began with the page
 */
function countDown(element, end) {
  const tick = () => {
    const left = Math.max(0, end - performance.now() / 1000);
    element.textContent = say(left);
    if (left > 0 && element.isConnected) setTimeout(tick, left < 2 * MINUTE ? 1000 : 20_000);
  };
  tick();
}

/** @param {number} seconds */
function say(seconds) {
  if (seconds >= 1.5 * DAY) return unit("day", seconds / DAY);
  if (seconds >= 1.5 * HOUR) return unit("hour", seconds / HOUR);
  if (seconds >= 1.5 * MINUTE) return unit("minute", seconds / MINUTE);
  return unit("second", seconds);
}

/**
 * @param {"day" | "hour" | "minute" | "second"} name
 * @param {number} count
 */
function unit(name, count) {
  const format = { style: /** @type {const} */ ("unit"), unit: name, unitDisplay: /** @type {const} */ ("long") };
  return new Intl.NumberFormat(language, format).format(Math.round(count));
}
