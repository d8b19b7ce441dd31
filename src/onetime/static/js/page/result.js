import { attend } from "../part/ready.js";
import { showTimes } from "../part/times.js";

showTimes();
attend();
