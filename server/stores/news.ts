/**
 * Takes what a store has to say to whoever runs it.
 *
 * @param event `doubtful`: it cannot tell whether it is set up as it should be; `damaged`: something
 *   that it has cannot be read
 * @param detail that in one sentence, without secrets and payloads
 */
export type StoreNews = (event: "doubtful" | "damaged", detail: string) => void;
