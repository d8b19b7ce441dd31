// The text of the code in a picture on standard input, `{ pixels, width, height }`, on standard output; nothing if there is none.

import { readFileSync } from "node:fs";

import { read } from "./jsqr.js";

const { pixels, width, height } = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(read(Uint8ClampedArray.from(pixels), width, height)?.data ?? "");
