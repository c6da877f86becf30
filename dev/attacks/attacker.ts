/**
 * The process of one attacker: `attacker.ts NAME FIELD`, where the field is JSON. Its last line is
 * how the attack ended.
 *
 * @module
 */
import { ATTACKS } from "./attacks.ts";

const [name, field] = Deno.args;
const ending = await ATTACKS.get(name)!.run(JSON.parse(field));
console.log(`ended ${ending}`);
// Sockets that are still open are no reason to stay.
Deno.exit(0);
