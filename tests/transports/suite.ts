import { DELIVERY } from "./cases_delivery.ts";
import { MESSAGES } from "./cases_messages.ts";
import { SESSIONS } from "./cases_sessions.ts";
import type { Case } from "./trial.ts";

/** What every transport must do. */
export const CASES: readonly Case[] = [...MESSAGES, ...DELIVERY, ...SESSIONS];
