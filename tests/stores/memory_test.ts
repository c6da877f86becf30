import { MemoryData, MemoryStore } from "../../server/stores/memory.ts";
import { storeSuite } from "../../server/testing/mod.ts";

storeSuite({
  name: "MemoryStore",
  open: (terms) => {
    const data = new MemoryData();
    return { a: new MemoryStore({ ...terms, data }), b: new MemoryStore({ ...terms, data }) };
  },
  test: (name, fn) => Deno.test(name, fn),
});
