import { showTimes } from "../part/times.js";

showTimes();
