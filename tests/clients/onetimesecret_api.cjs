// Calls one method of the npm package onetimesecret-api and prints what came of it as JSON.
//
//     node onetimesecret_api.cjs MODULES URL METHOD ARGUMENTS
//
// MODULES is the folder the package is installed in, ARGUMENTS a JSON array.

const { createRequire } = require("node:module");

const [, , modules, url, method, args] = process.argv;
const { OneTimeSecretApi } = createRequire(`${modules}/`)("onetimesecret-api/index.js");

new OneTimeSecretApi("me@example.org", "0123456789abcdef", { url })
  [method](...JSON.parse(args))
  .then((value) => ({ value }))
  .catch((error) => ({ error: error.constructor.name, message: error.message }))
  .then((outcome) => process.stdout.write(JSON.stringify(outcome)));
