/** Running sums over everything that one memory store holds, so that nothing is counted by scan. */
export class Tally {
  /** Messages in all logs. */
  messages = 0;
  /** Their bytes. */
  messageBytes = 0;
  /** Dead letters of all subscriptions. */
  deadLetters = 0;
  /** Publish ids remembered. */
  publishIds = 0;
  /** Bytes of messages, dead letters and channels: what `maxStoreBytes` bounds. */
  held = 0;
  /** Part of it that cannot be let go: channels in which a session has a position. */
  fixed = 0;
  /** Messages and dead letters dropped by a size limit while somebody waited for them. */
  evicted = 0;
  /** Messages dropped by age. */
  expired = 0;
  /** Sessions forgotten because there were too many. */
  sessionsForgotten = 0;
}
