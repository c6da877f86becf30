import { seededRandom } from "../../server/testing/mod.ts";
import { CursorSchedule } from "./cursor_model.ts";

const SCHEDULES = 4000;
const STEPS = 90;

Deno.test(`DeliveryCursor does as a naive map does, through ${SCHEDULES} random schedules`, () => {
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    const schedule = new CursorSchedule(seededRandom(seed));
    try {
      for (let step = 0; step < STEPS; step++) schedule.step();
      schedule.finish();
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`With seed ${seed}, after ${schedule.script}: ${message}`, { cause: error });
    }
  }
});
