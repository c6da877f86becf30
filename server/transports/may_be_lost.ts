/** How the frames begin that tell of changes of presence. */
const PRESENCE = '{"type":"presence_';

/**
 * Whether something that is sent may be left out where much waits: events of presence are at most once,
 * and nobody is to lose a connection over them.
 *
 * @param text one frame, or an array of messages
 * @param count number of messages in it
 */
export function mayBeLost(text: string, count: number): boolean {
  return count === 0 && text.startsWith(PRESENCE);
}
